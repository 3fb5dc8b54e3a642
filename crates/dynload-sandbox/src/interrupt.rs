//! Ending a call from another thread.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Which call of an instance runs, and up to which it was told to stop. Calls are numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct CallGate {
    /// The number of the running call, 0 while none runs.
    running: AtomicUsize,
    /// The highest number that was interrupted.
    interrupted: AtomicUsize,
}

impl CallGate {
    pub(crate) fn enter(&self, call: usize) {
        self.running.store(call, Ordering::SeqCst);
    }

    pub(crate) fn leave(&self) {
        self.running.store(0, Ordering::SeqCst);
    }

    pub(crate) fn is_interrupted(&self, call: usize) -> bool {
        self.interrupted.load(Ordering::Relaxed) == call
    }
}

/// Ends one call of an instance, from any thread.
///
/// The handle belongs to one call: used too late, it does nothing, and never ends the call after.
///
/// ```
/// # use dynload_sandbox::{Engine, Module, Sandbox, Limits, ErrorKind};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let module = Module::new(&Engine::default(), wat::parse_str("(module (func (export \"spin\") (loop (br 0))))")?)?;
/// let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module)?;
/// let interrupt = instance.interrupt_next();
/// std::thread::spawn(move || interrupt.interrupt());
/// let error = instance.call("spin", &[]).unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::Interrupted));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Interrupt {
    gate: Arc<CallGate>,
    /// The call that it ends; `None`: whichever runs at that moment.
    call: Option<usize>,
}

impl Interrupt {
    pub(crate) fn new(gate: Arc<CallGate>, call: Option<usize>) -> Interrupt {
        Interrupt { gate, call }
    }

    /// Ends the call, now or as soon as it starts; does nothing when it has ended.
    ///
    /// A guest in a loop stops within a slice of fuel (less than a millisecond), a host function that waits at its next
    /// look at the clock (a millisecond).
    pub fn interrupt(&self) {
        let call = self
            .call
            .unwrap_or_else(|| self.gate.running.load(Ordering::SeqCst));
        self.gate.interrupted.fetch_max(call, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_interrupt_hits_nobody() {
        let gate = Arc::new(CallGate::default());
        let first = Interrupt::new(gate.clone(), Some(1));
        gate.enter(1);
        gate.leave();
        first.interrupt();
        gate.enter(2);
        assert!(!gate.is_interrupted(2));
    }

    #[test]
    fn an_early_interrupt_waits_and_a_late_one_does_not_displace_it() {
        let gate = Arc::new(CallGate::default());
        Interrupt::new(gate.clone(), Some(2)).interrupt();
        Interrupt::new(gate.clone(), Some(1)).interrupt();
        assert!(gate.is_interrupted(2));
    }

    #[test]
    fn the_running_call_is_hit_and_only_that() {
        let gate = Arc::new(CallGate::default());
        let any = Interrupt::new(gate.clone(), None);
        any.interrupt();
        gate.enter(1);
        assert!(!gate.is_interrupted(1));
        any.interrupt();
        assert!(gate.is_interrupted(1));
    }
}
