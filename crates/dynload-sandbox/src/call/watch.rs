//! Checks the deadline and interrupts: between two slices of fuel, and around each host function.
//!
//! A slice is so small that the most expensive operators that it buys take about a millisecond. The time that a host function
//! takes does not show in its fuel, so each of them is followed by a glance: at a counter that another thread advances, if the
//! clock has one, and at the clock itself if it has none or if the counter has changed.

use crate::{call::share::Share, call::state::State, error::ErrorKind, translation::UNCHECKED};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// The number of glances at an unchanged counter after which the clock is read anyway: the thread that advances it may be
/// delayed, or may not exist in a forked process.
const GLANCES: u32 = 64;

/// The state of the checks of one call.
#[derive(Default)]
pub(crate) struct Watch {
    has_begun: bool,
    /// The counter of the clock, and its value at the last check.
    ticks: Option<(&'static AtomicUsize, usize)>,
    /// The number of glances until the clock is read anyway.
    glances: u32,
    /// The cost of the functions that were translated since the last check.
    translated: u64,
    #[cfg(feature = "std")]
    enclosing: enclosing::Enclosing,
}

impl State {
    /// Checks interrupts and the clock if time may have passed since the last glance.
    #[inline]
    pub(crate) fn glance(&mut self) -> Result<(), ErrorKind> {
        match self.watch.ticks {
            Some((ticks, seen)) if ticks.load(Ordering::Relaxed) == seen && self.watch.glances > 0 => {
                self.watch.glances -= 1;
                Ok(())
            }
            _ => self.glance_slow(),
        }
    }

    #[inline(never)]
    fn glance_slow(&mut self) -> Result<(), ErrorKind> {
        // Before the clock is read: a tick in between is seen next time.
        let ticks = self.clock().ticks();
        self.watch.ticks = ticks.map(|ticks| (ticks, ticks.load(Ordering::Relaxed)));
        self.watch.glances = GLANCES;
        let _now = self.look()?;
        #[cfg(feature = "std")]
        self.announce(_now);
        Ok(())
    }

    /// Returns an error if the call was told to stop or its time is up, or else the time of the clock. The time of the call
    /// starts with the first check.
    pub(crate) fn look(&mut self) -> Result<Duration, ErrorKind> {
        let now = self.clock().monotonic();
        self.watch.translated = 0;
        if !self.watch.has_begun {
            self.watch.has_begun = true;
            #[cfg(feature = "std")]
            self.look_at_enclosing(now);
        }
        if self.is_interrupted() {
            return Err(ErrorKind::Interrupted);
        }
        self.meter.check(now)?;
        Ok(now)
    }

    /// Adds the cost of a function that was translated, and checks if translation may have taken time.
    pub(crate) fn add_translated(&mut self, cost: u64) -> Result<(), ErrorKind> {
        self.watch.translated += cost;
        if self.watch.translated > UNCHECKED {
            self.look()?;
        }
        Ok(())
    }

    /// Checks if the call has been checked before.
    pub(crate) fn check_if_begun(&mut self) -> Result<(), ErrorKind> {
        if self.watch.has_begun {
            self.look()?;
        }
        Ok(())
    }

    /// Returns whether the running call, or one of its outer calls, was told to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        #[cfg(feature = "std")]
        if self.watch.enclosing.is_interrupted() {
            return true;
        }
        self.is_told_to_stop()
    }

    /// Returns whether the running call itself was told to stop.
    #[inline]
    pub(crate) fn is_told_to_stop(&self) -> bool {
        self.gate.is_interrupted(self.call) || self.parent.as_ref().is_some_and(Share::has_ended)
    }

    /// Ends the checks of the call: ends its time, if it was measured, and resets their state.
    #[inline]
    pub(crate) fn end_watch(&mut self) {
        if self.watch.has_begun {
            self.meter.stop(&*self.config.clock);
            #[cfg(feature = "std")]
            self.watch.enclosing.end();
            self.watch = Watch::default();
        }
    }
}

/// The outer call of the running one, and the running one as the outer call of others.
#[cfg(feature = "std")]
mod enclosing {
    use crate::{
        call::enclosing::{self as calls, Running},
        call::share::Share,
        call::state::State,
    };
    use alloc::sync::Arc;
    use core::time::Duration;

    #[derive(Default)]
    pub(super) struct Enclosing {
        outer: Option<Arc<Running>>,
        announced: Option<Arc<Running>>,
    }

    impl Enclosing {
        pub(super) fn is_interrupted(&self) -> bool {
            self.outer.as_ref().is_some_and(|outer| outer.is_interrupted())
        }

        pub(super) fn end(&mut self) {
            if self.announced.take().is_some() {
                calls::announce(self.outer.take());
            }
        }
    }

    impl State {
        /// Determines the outer call, whose deadline applies to this call as well.
        pub(super) fn look_at_enclosing(&mut self, now: Duration) {
            let share = self.parent.as_ref();
            let outer = share.and_then(Share::enclosing).or_else(calls::innermost);
            if let Some(outer) = &outer {
                self.meter.end_with(outer.time_left(), now);
            }
            self.watch.enclosing.outer = outer;
        }

        /// Announces the running call as the outer call of those that its host functions make.
        pub(super) fn announce(&mut self, now: Duration) {
            if self.watch.enclosing.announced.is_some() {
                return;
            }
            let deadline = now.saturating_add(self.meter.remaining(now));
            let running = Arc::new(Running::new(
                (self.gate.share(self.call), self.call),
                self.parent.clone(),
                self.config.clock.clone(),
                (deadline, self.meter.named_time_limit()),
                self.watch.enclosing.outer.clone(),
            ));
            calls::announce(Some(running.clone()));
            self.watch.enclosing.announced = Some(running);
        }

        /// Returns the running call, for the workers that it starts.
        #[cfg(any(unix, windows))]
        pub(crate) fn running(&self) -> Option<Arc<Running>> {
            self.watch.enclosing.announced.clone()
        }
    }
}
