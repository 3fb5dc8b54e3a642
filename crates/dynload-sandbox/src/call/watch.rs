//! When deadline and interrupts are looked at: between two slices of fuel, and around each host function.
//!
//! A slice is so small that the dearest operators that it can buy take about a millisecond. What a host function takes no
//! fuel can tell, so each of them is followed by a glance: at a counter that somebody else advances, where the clock has
//! one, and at the clock itself where it has none or where the counter has changed.

use crate::{call::share::Share, call::state::State, error::ErrorKind};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Glances at a counter that has not changed before the clock is read all the same: whoever advances it may be held up, or be
/// gone in a process that was forked.
const GLANCES: u32 = 64;

/// What one call has looked at.
#[derive(Default)]
pub(crate) struct Watch {
    has_begun: bool,
    /// The counter of the clock and what it was at the last look.
    ticks: Option<(&'static AtomicUsize, usize)>,
    /// Glances until the clock is read all the same.
    glances: u32,
    #[cfg(feature = "std")]
    enclosing: enclosing::Enclosing,
}

impl State {
    /// Looks at interrupts and clock if time may have passed since the last glance.
    #[inline]
    pub(crate) fn glance(&mut self) -> Result<(), ErrorKind> {
        match self.watch.ticks {
            Some((ticks, seen)) if ticks.load(Ordering::Relaxed) == seen && self.watch.glances > 0 => {
                self.watch.glances -= 1;
                Ok(())
            }
            _ => self.glance_anew(),
        }
    }

    #[inline(never)]
    fn glance_anew(&mut self) -> Result<(), ErrorKind> {
        // Before the clock is read: a tick that comes between is seen next time.
        let ticks = self.clock().ticks();
        self.watch.ticks = ticks.map(|ticks| (ticks, ticks.load(Ordering::Relaxed)));
        self.watch.glances = GLANCES;
        let _now = self.look()?;
        #[cfg(feature = "std")]
        self.announce(_now);
        Ok(())
    }

    /// Ends the call if somebody told it to stop, or its time is up. The clock of the call starts with the first look.
    /// Gives the time by that clock.
    pub(crate) fn look(&mut self) -> Result<Duration, ErrorKind> {
        let now = self.clock().monotonic();
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

    /// Looks if the call has looked before.
    pub(crate) fn look_again(&mut self) -> Result<(), ErrorKind> {
        if self.watch.has_begun {
            self.look()?;
        }
        Ok(())
    }

    /// Whether the running call was told to stop, or one that it was made from.
    pub(crate) fn is_interrupted(&self) -> bool {
        #[cfg(feature = "std")]
        if self.watch.enclosing.is_interrupted() {
            return true;
        }
        self.is_told_to_stop()
    }

    /// Whether the running call was told to stop itself.
    #[inline]
    pub(crate) fn is_told_to_stop(&self) -> bool {
        self.gate.is_interrupted(self.call) || self.parent.as_ref().is_some_and(Share::has_ended)
    }

    /// The call has ended: its time is taken, if it was looked at, and what it looked at is forgotten.
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

/// The call that this one was made from, and this one as those see it that are made from it.
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
        /// Finds out which call this one was made from: its time is this one's as well.
        pub(super) fn look_at_enclosing(&mut self, now: Duration) {
            let share = self.parent.as_ref();
            let outer = share.and_then(Share::enclosing).or_else(calls::innermost);
            if let Some(outer) = &outer {
                self.meter.end_with(outer.time_left(), now);
            }
            self.watch.enclosing.outer = outer;
        }

        /// Makes the running call known to those that its host functions make.
        pub(super) fn announce(&mut self, now: Duration) {
            if self.watch.enclosing.announced.is_some() {
                return;
            }
            let deadline = now.saturating_add(self.meter.remaining(now));
            let running = Arc::new(Running::new(
                (self.gate.clone(), self.call),
                self.parent.clone(),
                self.config.clock.clone(),
                (deadline, self.meter.named_time_limit()),
                self.watch.enclosing.outer.clone(),
            ));
            calls::announce(Some(running.clone()));
            self.watch.enclosing.announced = Some(running);
        }

        /// The running call, as workers see it that it starts.
        #[cfg(unix)]
        pub(crate) fn running(&self) -> Option<Arc<Running>> {
            self.watch.enclosing.announced.clone()
        }
    }
}
