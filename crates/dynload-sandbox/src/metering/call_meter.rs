//! Counts the fuel and the time of a call while it runs.

use crate::{
    clock::Clock,
    error::{ErrorKind, Limit},
    metering::budget::{DrawError, FuelBudget},
    schedule,
    usage::Totals,
};
use core::time::Duration;
use dynload_caps::Limits;

/// The fuel that is granted between two reads of the clock: the most expensive operators that it buys take less than a
/// millisecond.
const SLICE: u64 = 40_000;

/// The fuel and the time of the running call.
#[derive(Debug)]
pub(crate) struct CallMeter {
    limit: u64,
    budget: Option<FuelBudget>,
    time_limit: Duration,
    /// If the outer call has the earlier deadline: the time that this call may take, and the limit of the outer one.
    outer: Option<(Duration, Duration)>,
    /// The size of the next slice.
    slice: u64,
    /// The size of a slice until the first read of the clock, and between two reads.
    slices: (u64, u64),
    /// Burnt by this call in slices that have ended.
    used: u64,
    /// Granted for the running slice, out of the limit and the budget.
    drawn: u64,
    /// Granted on top, because the call may be stopped by something other than this limit: 0 or 1.
    lent: u64,
    /// The limit that was exceeded by burning the lent fuel.
    overdrawn: Option<Limit>,
    started: Option<Duration>,
    /// For a worker's call: when the outermost call started, of which it is a part.
    began: Option<Duration>,
    ended: Option<Duration>,
    /// The sums of the calls before this one, without their number; this one is included if it failed.
    past: Totals,
}

/// The time that an enclosing call has left.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLeft {
    pub(crate) left: Duration,
    /// The limit of which `left` remains.
    pub(crate) limit: Duration,
}

impl CallMeter {
    /// Creates a meter for an instance. `began` is when the outermost call started, for a worker of it: the worker has its
    /// deadline.
    pub(crate) fn new(
        limits: &Limits,
        budget: Option<FuelBudget>,
        slice: Option<u64>,
        began: Option<Duration>,
    ) -> CallMeter {
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
            began,
            ended: None,
            past: Totals::default(),
        }
    }

    /// Returns a budget of all the fuel that the call has left, for workers to draw on, or `None` if nothing limits them.
    ///
    /// Only to be called between slices. From then on the call draws on the budget, too.
    #[cfg(feature = "std")]
    pub(crate) fn share_fuel(&mut self) -> Option<FuelBudget> {
        if self.limit != u64::MAX && !self.budget.as_ref().is_some_and(FuelBudget::is_of_call) {
            self.budget = Some(FuelBudget::of_call(self.limit - self.used, self.budget.take()));
        }
        self.budget.clone()
    }

    /// Counts fuel that a worker burnt as burnt by this call, on whose budget it drew.
    #[cfg(feature = "std")]
    pub(crate) fn add_burnt(&mut self, fuel: u64) {
        self.used = self.used.saturating_add(fuel).min(self.limit);
    }

    /// Returns whether the call draws on a budget, on which other calls may draw as well.
    pub(crate) fn is_shared(&self) -> bool {
        self.budget.is_some()
    }

    /// Starts a call: no fuel is used yet, and the clock is not read.
    pub(crate) fn start(&mut self) {
        self.past.fuel = self.past.fuel.saturating_add(self.used);
        if let (Some(started), Some(ended)) = (self.started, self.ended) {
            self.past.time = self.past.time.saturating_add(ended.saturating_sub(started));
        }
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

    /// Counts the running call, or the last one, as failed.
    pub(crate) fn fail(&mut self) {
        self.past.failures = self.past.failures.saturating_add(1);
    }

    /// Adds the calls of the store before this one.
    pub(crate) fn add_past(&mut self, totals: Totals) {
        self.past = self.past.saturating_add(totals);
    }

    /// Returns the sums of all calls that have ended, without their number.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.past;
        totals.fuel = totals.fuel.saturating_add(self.used);
        if let (Some(started), Some(ended)) = (self.started, self.ended) {
            totals.time = totals.time.saturating_add(ended.saturating_sub(started));
        }
        totals
    }

    /// Ends the time of the call, if it is measured.
    pub(crate) fn stop(&mut self, clock: &dyn Clock) {
        if self.started.is_some() {
            self.ended = Some(clock.monotonic());
        }
    }

    /// Returns the wall-clock time of the call, until its end or until now, or `None` if it is not measured.
    pub(crate) fn wall_time(&self, clock: &dyn Clock) -> Option<Duration> {
        let end = self.ended.unwrap_or_else(|| clock.monotonic());
        self.started.map(|started| end.saturating_sub(started))
    }

    /// Grants a slice of at least `required`.
    ///
    /// With `lend`, one unit beyond the limit is lent: the code that is about to be charged for may exceed another limit before
    /// it has burnt all of that, or be charged 1 that is refunded. A call that does not return what was lent has exceeded the
    /// limit: the next slice reports it, or the end of the call.
    // The first slice does not require anything, and most of this function is for those that do.
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
                    Err(DrawError::Burnt) if lendable > 0 && required > 0 => {
                        let rest = required - lendable;
                        budget.draw(rest, rest)
                    }
                    drawn => drawn,
                };
                match drawn {
                    Ok(drawn) => drawn,
                    // Waits until the calls that hold fuel return it; each time they read the clock, a slice of theirs ends.
                    Err(DrawError::Lent) => {
                        #[cfg(feature = "std")]
                        std::thread::yield_now();
                        return Ok(0);
                    }
                    Err(DrawError::Burnt) => return Err(self.exceeded(Limit::FuelBudget)),
                }
            }
        };
        self.lent = required.saturating_sub(self.drawn);
        Ok(self.drawn + self.lent)
    }

    /// Takes back what is left of the slice, and `refund`, which was charged although it is not owed.
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

    /// Returns the fuel that the call has burnt, if `left` is left of the running slice.
    pub(crate) fn used(&self, left: u64) -> u64 {
        self.used + self.drawn.saturating_sub(left)
    }

    /// Returns an error if the call burnt what it was lent.
    #[inline]
    pub(crate) fn check_overdrawn(&self) -> Result<(), ErrorKind> {
        self.overdrawn.map_or(Ok(()), |limit| Err(self.exceeded(limit)))
    }

    /// Ends this call no later than its outer call, which has the time `outside.left` from `now` on.
    #[cfg(feature = "std")]
    pub(crate) fn end_with(&mut self, outer: TimeLeft, now: Duration) {
        let since = now.saturating_sub(*self.started.get_or_insert(now));
        let limit = since.saturating_add(outer.left);
        if limit < self.time_limit {
            self.outer = Some((limit, outer.limit));
        }
    }

    /// Returns how long the call may take.
    fn time_limit(&self) -> Duration {
        self.outer.map_or(self.time_limit, |(limit, _)| limit)
    }

    /// Returns the limit from which its deadline results.
    pub(crate) fn named_time_limit(&self) -> Duration {
        self.outer.map_or(self.time_limit, |(_, limit)| limit)
    }

    /// Starts the clock of the call if it has not been started, and returns an error if its time is up.
    pub(crate) fn check(&mut self, now: Duration) -> Result<(), ErrorKind> {
        self.slice = self.slices.1;
        let started = *self.started.get_or_insert(now);
        if now.saturating_sub(started) >= self.time_limit() {
            return Err(self.exceeded(Limit::Time));
        }
        Ok(())
    }

    /// Returns the time that the call has taken.
    #[cfg(feature = "std")]
    pub(crate) fn elapsed(&mut self, now: Duration) -> Duration {
        now.saturating_sub(*self.started.get_or_insert(now))
    }

    /// Returns the time until the deadline.
    pub(crate) fn remaining(&mut self, now: Duration) -> Duration {
        let started = *self.started.get_or_insert(now);
        self.time_limit().saturating_sub(now.saturating_sub(started))
    }

    fn exceeded(&self, limit: Limit) -> ErrorKind {
        // The budget of a call and its workers is what was left of the call's own limit.
        let limit = match &self.budget {
            Some(budget) if limit == Limit::FuelBudget && budget.is_exhausted_by_call() => Limit::Fuel,
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
