//! Ending a call from another thread.

use crate::sync::{AtomicUsize, Ordering};
use alloc::sync::Arc;

/// Which call of an instance runs, and up to which it was told to stop. Calls are numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct CallGate {
    /// The number of the call that runs, or of the last one: telling one that has ended to stop does nothing.
    ///
    /// Relaxed: it publishes nothing but itself. Whoever knows that a call runs was told so by that call, and being told is
    /// what orders the two.
    running: AtomicUsize,
    /// The call that was interrupted, and with it all that came before; they have ended.
    interrupted: AtomicUsize,
}

impl CallGate {
    pub(crate) fn enter(&self, call: usize) {
        self.running.store(call, Ordering::Relaxed);
    }

    /// Whether `call` was told to stop. What was done before it was told has then happened before this.
    pub(crate) fn is_interrupted(&self, call: usize) -> bool {
        self.interrupted.load(Ordering::Acquire) >= call
    }

    /// Tells `call` to stop. The highest number wins: who means an earlier call is too late, and must take nothing from who
    /// means the next.
    fn interrupt(&self, call: usize) {
        self.interrupted.fetch_max(call, Ordering::AcqRel);
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
/// let interrupt = instance.interrupt_handle_for_next_call();
/// std::thread::spawn(move || interrupt.interrupt());
/// let error = instance.call("spin", &[]).unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::Interrupted));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct InterruptHandle {
    gate: Arc<CallGate>,
    /// The call that it ends; `None`: whichever runs at that moment.
    call: Option<usize>,
}

impl InterruptHandle {
    pub(crate) fn new(gate: Arc<CallGate>, call: Option<usize>) -> InterruptHandle {
        InterruptHandle { gate, call }
    }

    /// For the call in which an instance is made.
    pub(crate) fn of_first(gate: &Arc<CallGate>) -> InterruptHandle {
        InterruptHandle::new(gate.clone(), Some(1))
    }

    /// Ends the call, now or as soon as it starts; does nothing when it has ended.
    ///
    /// A guest in a loop stops within a slice of fuel (less than a millisecond), a host function that waits at its next
    /// look at the clock (a millisecond).
    pub fn interrupt(&self) {
        let call = self
            .call
            .unwrap_or_else(|| self.gate.running.load(Ordering::Relaxed));
        self.gate.interrupt(call);
    }

    /// Ends the call that runs and every later one, the next [`reset`] included: for an instance that is given up while
    /// other threads may be about to call it.
    ///
    /// [`reset`]: crate::Instance::reset
    pub fn interrupt_all(&self) {
        self.gate.interrupt(usize::MAX);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_late_interrupt_hits_nobody() {
        let gate = Arc::new(CallGate::default());
        let first = InterruptHandle::new(gate.clone(), Some(1));
        gate.enter(1);
        first.interrupt();
        gate.enter(2);
        assert!(!gate.is_interrupted(2));
    }

    #[test]
    fn an_early_interrupt_waits_and_a_late_one_does_not_displace_it() {
        let gate = Arc::new(CallGate::default());
        InterruptHandle::new(gate.clone(), Some(2)).interrupt();
        InterruptHandle::new(gate.clone(), Some(1)).interrupt();
        assert!(gate.is_interrupted(2));
    }

    #[test]
    fn the_running_call_is_hit_and_only_that() {
        let gate = Arc::new(CallGate::default());
        let any = InterruptHandle::new(gate.clone(), None);
        any.interrupt();
        gate.enter(1);
        assert!(!gate.is_interrupted(1));
        any.interrupt();
        assert!(gate.is_interrupted(1));
    }

    #[test]
    fn an_instance_that_is_given_up_runs_no_call_any_more() {
        let gate = Arc::new(CallGate::default());
        gate.enter(1);
        InterruptHandle::new(gate.clone(), None).interrupt_all();
        assert!(gate.is_interrupted(1));
        InterruptHandle::new(gate.clone(), None).interrupt();
        gate.enter(2);
        assert!(gate.is_interrupted(2));
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use loom::thread;

    /// A call that runs until it is interrupted, as between two slices of fuel.
    fn spin(gate: &CallGate, call: usize) {
        while !gate.is_interrupted(call) {
            thread::yield_now();
        }
    }

    /// A call that ends by itself. Whether somebody told it to stop meanwhile.
    fn run(gate: &CallGate, call: usize) -> bool {
        gate.enter(call);
        gate.is_interrupted(call)
    }

    #[test]
    fn a_cancel_of_one_call_hits_that_or_nobody() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let first = InterruptHandle::new(gate.clone(), Some(1));
            let canceller = thread::spawn(move || first.interrupt());
            run(&gate, 1);
            assert!(!run(&gate, 2));
            canceller.join().unwrap();
            assert!(!run(&gate, 3));
        });
    }

    #[test]
    fn a_cancel_of_whatever_runs_hits_one_call_at_most_and_none_that_comes_later() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let any = InterruptHandle::new(gate.clone(), None);
            let canceller = thread::spawn(move || any.interrupt());
            let hits = [run(&gate, 1), run(&gate, 2)];
            assert!(hits != [true, true]);
            canceller.join().unwrap();
            assert!(!run(&gate, 3));
        });
    }

    /// The canceller learns from the call itself that it runs, as from a host function.
    #[test]
    fn a_cancel_of_the_running_call_is_never_lost() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let any = InterruptHandle::new(gate.clone(), None);
            run(&gate, 1);
            let runs = Arc::new(AtomicUsize::new(0));
            let told = runs.clone();
            let canceller = thread::spawn(move || {
                while told.load(Ordering::Acquire) == 0 {
                    thread::yield_now();
                }
                any.interrupt();
            });
            gate.enter(2);
            runs.store(1, Ordering::Release);
            spin(&gate, 2);
            canceller.join().unwrap();
            assert!(!run(&gate, 3));
        });
    }

    #[test]
    fn a_cancel_before_the_call_waits_for_it_and_no_late_one_displaces_it() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let (late, early) = (
                InterruptHandle::new(gate.clone(), Some(1)),
                InterruptHandle::new(gate.clone(), Some(2)),
            );
            run(&gate, 1);
            let cancellers = [late, early].map(|interrupt| thread::spawn(move || interrupt.interrupt()));
            gate.enter(2);
            spin(&gate, 2);
            for canceller in cancellers {
                canceller.join().unwrap();
            }
            assert!(!run(&gate, 3));
        });
    }

    #[test]
    fn who_was_stopped_sees_why() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let next = InterruptHandle::new(gate.clone(), Some(1));
            let why = Arc::new(AtomicUsize::new(0));
            let said = why.clone();
            let canceller = thread::spawn(move || {
                said.store(7, Ordering::Relaxed);
                next.interrupt();
            });
            gate.enter(1);
            spin(&gate, 1);
            assert_eq!(why.load(Ordering::Relaxed), 7);
            canceller.join().unwrap();
        });
    }

    /// Giving an instance up needs no lock around it and the calls: the call that begins meanwhile ends too.
    #[test]
    fn an_instance_that_is_given_up_ends_the_call_that_begins_as_well() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let (given_up, any) = (
                InterruptHandle::new(gate.clone(), None),
                InterruptHandle::new(gate.clone(), None),
            );
            let owner = thread::spawn(move || given_up.interrupt_all());
            let canceller = thread::spawn(move || any.interrupt());
            gate.enter(1);
            owner.join().unwrap();
            spin(&gate, 1);
            canceller.join().unwrap();
            assert!(run(&gate, 2));
        });
    }
}
