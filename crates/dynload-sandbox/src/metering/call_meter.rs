//! Fuel and time of one call, as they are counted while it runs.

use crate::{
    clock::Clock,
    error::{ErrorKind, Limit},
    metering::budget::{Dry, FuelBudget},
    schedule,
};
use core::time::Duration;
use dynload_caps::Limits;

/// Fuel that is handed out between two looks at the clock: what it buys of the dearest operators takes less than a
/// millisecond.
const SLICE: u64 = 40_000;

/// Fuel and time of the call that runs.
#[derive(Debug)]
pub(crate) struct CallMeter {
    limit: u64,
    budget: Option<FuelBudget>,
    time_limit: Duration,
    /// Where the call that this one was made from ends first: when this one has to end, and the limit of that one.
    outer: Option<(Duration, Duration)>,
    /// What is handed out next.
    slice: u64,
    /// What is handed out until the first look at the clock, and between two looks.
    slices: (u64, u64),
    /// Burnt by this call in slices that ended.
    used: u64,
    /// Handed out for the slice that runs, out of the limit and the budget.
    drawn: u64,
    /// Handed out on top, because the limit may not be what stops the call: 0 or 1.
    lent: u64,
    /// The limit that was exceeded by burning what was lent.
    overdrawn: Option<Limit>,
    started: Option<Duration>,
    /// When the call began that this one is part of, where it is a worker's.
    began: Option<Duration>,
    ended: Option<Duration>,
}

/// The time that an enclosing call has left.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLeft {
    pub(crate) left: Duration,
    /// The limit that it is left of.
    pub(crate) limit: Duration,
}

impl CallMeter {
    pub(crate) fn new(limits: &Limits, budget: Option<FuelBudget>, slice: Option<u64>) -> CallMeter {
        CallMeter {
            limit: limits.max_fuel.unwrap_or(u64::MAX),
            budget,
            time_limit: limits.max_time,
            outer: None,
            slice: 0,
            slices: slice.map_or((schedule::UNTIMED_FUEL, SLICE), |slice| (slice, slice)),
            used: 0,
            drawn: 0,
            lent: 0,
            overdrawn: None,
            started: None,
            began: None,
            ended: None,
        }
    }

    /// The same for a worker of a call that began at some time: its deadline is that of the call.
    pub(crate) fn began(mut self, began: Option<Duration>) -> CallMeter {
        self.began = began;
        self
    }

    /// A budget of all that is left of the call, for workers to draw on; `None` where nothing limits them.
    ///
    /// Between slices only. From here on the call draws on it too.
    #[cfg(feature = "std")]
    pub(crate) fn share_fuel(&mut self) -> Option<FuelBudget> {
        if self.limit != u64::MAX && !self.budget.as_ref().is_some_and(FuelBudget::is_of_call) {
            self.budget = Some(FuelBudget::of_call(self.limit - self.used, self.budget.take()));
        }
        self.budget.clone()
    }

    /// Counts what a worker burnt as burnt by this call, whose budget it drew on.
    #[cfg(feature = "std")]
    pub(crate) fn add_burnt(&mut self, fuel: u64) {
        self.used = self.used.saturating_add(fuel).min(self.limit);
    }

    /// Whether others draw on what this call draws on.
    pub(crate) fn is_shared(&self) -> bool {
        self.budget.is_some()
    }

    /// Starts a call: nothing is used, the clock is not read.
    pub(crate) fn start(&mut self) {
        self.used = 0;
        self.drawn = 0;
        self.lent = 0;
        self.overdrawn = None;
        self.slice = self.slices.0;
        self.outer = None;
        self.started = self.began;
        if self.began.is_none() && self.budget.is_some() {
            self.budget = self.budget.take().and_then(FuelBudget::without_call);
        }
        self.ended = None;
    }

    /// Ends the call's time, if it was taken.
    pub(crate) fn stop(&mut self, clock: &dyn Clock) {
        if self.started.is_some() {
            self.ended = Some(clock.monotonic());
        }
    }

    /// Wall clock of the call, until its end or until now.
    pub(crate) fn wall_time(&self, clock: &dyn Clock) -> Option<Duration> {
        let end = self.ended.unwrap_or_else(|| clock.monotonic());
        self.started.map(|started| end.saturating_sub(started))
    }

    /// Hands out a slice of at least `required`.
    ///
    /// With `lend`, one more than the limit is lent: the code that is about to be charged for may get to another limit
    /// before it has burnt all of that, or be charged 1 for nothing. Who keeps what was lent has exceeded the limit and is
    /// told by the next slice, or at the end.
    // A first slice asks for nothing in particular, and most of this is for those that do.
    #[inline(always)]
    pub(crate) fn grant(&mut self, required: u64, lend: bool) -> Result<u64, ErrorKind> {
        self.check_overdrawn()?;
        let left = self.limit - self.used;
        let lendable = u64::from(lend);
        if left.saturating_add(lendable) < required {
            return Err(self.exceeded(Limit::Fuel));
        }
        let wanted = self.slice.max(required).min(left);
        self.drawn = match &self.budget {
            None => wanted,
            Some(budget) => {
                let drawn = match budget.draw(required.min(left), wanted) {
                    Err(Dry::Burnt) if lendable > 0 && required > 0 => {
                        let rest = required - lendable;
                        budget.draw(rest, rest)
                    }
                    drawn => drawn,
                };
                match drawn {
                    Ok(drawn) => drawn,
                    // Waits until the calls that borrowed have given back; each look at the clock ends a slice of theirs.
                    Err(Dry::Lent) => {
                        #[cfg(feature = "std")]
                        std::thread::yield_now();
                        return Ok(0);
                    }
                    Err(Dry::Burnt) => return Err(self.exceeded(Limit::FuelBudget)),
                }
            }
        };
        self.lent = required.saturating_sub(self.drawn);
        Ok(self.drawn + self.lent)
    }

    /// Takes back what is left of the slice; `refund` was charged for nothing.
    pub(crate) fn settle(&mut self, left: u64, refund: u64) {
        let burnt = (self.drawn + self.lent)
            .saturating_sub(left)
            .saturating_sub(refund);
        if burnt > self.drawn {
            let limit = if self.used + self.drawn == self.limit {
                Limit::Fuel
            } else {
                Limit::FuelBudget
            };
            self.overdrawn = Some(limit);
        }
        let burnt = burnt.min(self.drawn);
        if let Some(budget) = &self.budget
            && self.drawn > 0
        {
            budget.settle(self.drawn, self.drawn - burnt);
        }
        self.used += burnt;
        self.drawn = 0;
        self.lent = 0;
    }

    /// Fuel of the call, with `left` of the running slice still there.
    pub(crate) fn used(&self, left: u64) -> u64 {
        self.used + self.drawn.saturating_sub(left)
    }

    /// Whether the call kept what it was lent.
    #[inline]
    pub(crate) fn check_overdrawn(&self) -> Result<(), ErrorKind> {
        self.overdrawn.map_or(Ok(()), |limit| Err(self.exceeded(limit)))
    }

    /// Ends with the call that this one was made from, whose time is up in `left` from `now` on.
    #[cfg(feature = "std")]
    pub(crate) fn end_with(&mut self, outer: TimeLeft, now: Duration) {
        let since = now.saturating_sub(*self.started.get_or_insert(now));
        let limit = since.saturating_add(outer.left);
        if limit < self.time_limit {
            self.outer = Some((limit, outer.limit));
        }
    }

    /// How long the call may take.
    fn time_limit(&self) -> Duration {
        self.outer.map_or(self.time_limit, |(limit, _)| limit)
    }

    /// The limit that its deadline comes from.
    pub(crate) fn named_time_limit(&self) -> Duration {
        self.outer.map_or(self.time_limit, |(_, limit)| limit)
    }

    /// Starts the clock of the call if nobody did yet, and says whether its time is up.
    pub(crate) fn check(&mut self, now: Duration) -> Result<(), ErrorKind> {
        self.slice = self.slices.1;
        let started = *self.started.get_or_insert(now);
        if now.saturating_sub(started) >= self.time_limit() {
            return Err(self.exceeded(Limit::Time));
        }
        Ok(())
    }

    /// Time that the call has taken.
    #[cfg(feature = "std")]
    pub(crate) fn elapsed(&mut self, now: Duration) -> Duration {
        now.saturating_sub(*self.started.get_or_insert(now))
    }

    /// Time until the deadline.
    pub(crate) fn remaining(&mut self, now: Duration) -> Duration {
        let started = *self.started.get_or_insert(now);
        self.time_limit().saturating_sub(now.saturating_sub(started))
    }

    fn exceeded(&self, limit: Limit) -> ErrorKind {
        // The budget of a call and its workers is what the call's own limit left.
        let limit = match &self.budget {
            Some(budget) if limit == Limit::FuelBudget && budget.is_call_tighter() => Limit::Fuel,
            _ => limit,
        };
        let value = match limit {
            Limit::Fuel => self.limit,
            Limit::Time => u64::try_from(self.named_time_limit().as_millis()).unwrap_or(u64::MAX),
            _ => self
                .budget
                .clone()
                .and_then(FuelBudget::without_call)
                .map_or(0, |budget| budget.total()),
        };
        ErrorKind::LimitExceeded {
            limit,
            value,
            requested: None,
        }
    }
}
