//! The call that a call was made from, where a host function of one instance calls into another.
//!
//! Its deadline and its interrupts hold for what it started as well. A call announces itself on its thread before its first
//! host function runs; a call that begins meanwhile on that thread was made from it.

use crate::{call::interrupt::CallGate, call::share::Share, clock::Clock, metering::call_meter::TimeLeft};
use alloc::sync::Arc;
use core::{cell::RefCell, time::Duration};

std::thread_local! {
    static INNERMOST: RefCell<Option<Arc<Running>>> = const { RefCell::new(None) };
}

/// A call in one of whose host functions another may be made.
pub(crate) struct Running {
    gate: Arc<CallGate>,
    call: usize,
    share: Option<Share>,
    clock: Arc<dyn Clock>,
    /// By its clock.
    deadline: Duration,
    limit: Duration,
    /// The call that it was made from itself.
    outer: Option<Arc<Running>>,
}

impl Running {
    pub(crate) fn new(
        (gate, call): (Arc<CallGate>, usize),
        share: Option<Share>,
        clock: Arc<dyn Clock>,
        (deadline, limit): (Duration, Duration),
        outer: Option<Arc<Running>>,
    ) -> Running {
        Running {
            gate,
            call,
            share,
            clock,
            deadline,
            limit,
            outer,
        }
    }

    /// Whether it, or one that it was made from, was told to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.gate.is_interrupted(self.call)
            || self.share.as_ref().is_some_and(Share::has_ended)
            || self.outer.as_ref().is_some_and(|outer| outer.is_interrupted())
    }

    /// The time that is left of it. Its own deadline is the earliest of all that it was made from.
    pub(crate) fn time_left(&self) -> TimeLeft {
        TimeLeft {
            left: self.deadline.saturating_sub(self.clock.monotonic()),
            limit: self.limit,
        }
    }
}

/// The call that one which begins now on this thread is made from.
pub(crate) fn innermost() -> Option<Arc<Running>> {
    // A call from a destructor that runs when the thread ends is made from nowhere.
    INNERMOST
        .try_with(|innermost| innermost.borrow().clone())
        .unwrap_or_default()
}

/// Makes it the call that others on this thread are made from.
pub(crate) fn announce(running: Option<Arc<Running>>) {
    let _ = INNERMOST.try_with(|innermost| innermost.replace(running));
}
