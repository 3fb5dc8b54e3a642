//! The outer call of a call, where a host function of one instance calls into another.
//!
//! The deadline and the interrupts of the outer call also apply to the inner one. A call announces itself on its thread before
//! its first host function runs; it is the outer call of every call that starts on that thread before it ends.

use crate::{call::interrupt::CallGate, call::share::Share, clock::Clock, metering::call_meter::TimeLeft};
use alloc::sync::Arc;
use core::{cell::RefCell, time::Duration};

std::thread_local! {
    static INNERMOST: RefCell<Option<Arc<Running>>> = const { RefCell::new(None) };
}

/// A call that may be the outer call of others.
pub(crate) struct Running {
    gate: Arc<CallGate>,
    call: usize,
    share: Option<Share>,
    clock: Arc<dyn Clock>,
    /// A time of `clock`.
    deadline: Duration,
    limit: Duration,
    /// Its own outer call.
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

    /// Returns whether the call, or one of its outer calls, has to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.gate.is_interrupted(self.call)
            || self.share.as_ref().is_some_and(Share::has_ended)
            || self.outer.as_ref().is_some_and(|outer| outer.is_interrupted())
    }

    /// Returns the time that the call has left. Its deadline is the earliest among its own and those of its outer calls.
    pub(crate) fn time_left(&self) -> TimeLeft {
        TimeLeft {
            left: self.deadline.saturating_sub(self.clock.monotonic()),
            limit: self.limit,
        }
    }
}

/// Returns the outer call of a call that starts now on this thread.
pub(crate) fn innermost() -> Option<Arc<Running>> {
    // A call from a destructor that runs when the thread exits has no outer call.
    INNERMOST
        .try_with(|innermost| innermost.borrow().clone())
        .unwrap_or_default()
}

/// Sets the outer call of the calls that start on this thread.
pub(crate) fn announce(running: Option<Arc<Running>>) {
    let _ = INNERMOST.try_with(|innermost| innermost.replace(running));
}
