//! Ends a call from another thread.

use crate::sync::{AtomicUsize, Ordering};
use alloc::sync::Arc;

/// The running call of an instance, and the last call that was told to stop. Calls are numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct CallGate {
    /// The number of the running call, or of the last one: to tell a call that has ended to stop does nothing.
    ///
    /// Relaxed: it publishes nothing but itself. A thread that knows that a call runs was notified by that call, and the
    /// notification orders the two.
    running: AtomicUsize,
    /// The call that was interrupted, and with it all earlier ones, which have ended.
    interrupted: AtomicUsize,
}

impl CallGate {
    /// Creates the gate of an instance while this call of it runs, or after it.
    #[cfg(feature = "std")]
    fn running(call: usize) -> Arc<CallGate> {
        let gate = CallGate::default();
        gate.enter(call);
        Arc::new(gate)
    }

    pub(crate) fn enter(&self, call: usize) {
        self.running.store(call, Ordering::Relaxed);
    }

    /// Returns whether `call` was told to stop. If so, everything that the other thread did before that happens before this
    /// returns.
    pub(crate) fn is_interrupted(&self, call: usize) -> bool {
        self.interrupted.load(Ordering::Acquire) >= call
    }

    /// Tells `call` to stop. The highest number wins: an interrupt of an earlier call is too late, and must not undo one of the
    /// next call.
    fn interrupt(&self, call: usize) {
        self.interrupted.fetch_max(call, Ordering::AcqRel);
    }
}

/// The gate of an instance, created when it is first shared: most instances are never interrupted.
///
/// Without `std`, it is created with the instance: the core library has no cell that threads can share.
#[derive(Debug, Clone, Default)]
pub(crate) struct LazyGate {
    #[cfg(feature = "std")]
    gate: std::sync::OnceLock<Arc<CallGate>>,
    #[cfg(not(feature = "std"))]
    gate: Arc<CallGate>,
}

impl LazyGate {
    #[inline]
    fn get(&self) -> Option<&CallGate> {
        #[cfg(feature = "std")]
        return self.gate.get().map(|gate| &**gate);
        #[cfg(not(feature = "std"))]
        Some(&self.gate)
    }

    /// Returns the gate, to share it. `call` is the number of the running call, or of the last one.
    #[cfg_attr(not(feature = "std"), expect(unused_variables))]
    pub(crate) fn share(&self, call: usize) -> Arc<CallGate> {
        #[cfg(feature = "std")]
        return self.gate.get_or_init(|| CallGate::running(call)).clone();
        #[cfg(not(feature = "std"))]
        self.gate.clone()
    }

    #[inline]
    pub(crate) fn enter(&self, call: usize) {
        if let Some(gate) = self.get() {
            gate.enter(call);
        }
    }

    #[inline]
    pub(crate) fn is_interrupted(&self, call: usize) -> bool {
        self.get().is_some_and(|gate| gate.is_interrupted(call))
    }
}

/// Ends calls of an instance, from any thread.
///
/// Where the handle comes from determines which call [`interrupt`](InterruptHandle::interrupt) ends:
///
/// - [`Instance::interrupt_handle_for_next_call`]: the next call, and no other. The handle belongs to that call: used
///   earlier, it ends the call as soon as it starts; used too late, it does nothing.
/// - [`Sandbox::instantiate_interruptible`]: likewise the call that creates the instance, and no other.
/// - [`Instance::interrupt_handle`]: at most one call, the one that runs when the handle is used. If none runs, it does
///   nothing. The handle can be used any number of times.
///
/// A call is an instantiation, a [`reset`], or a call from the host, including the calls that its host functions make
/// back into the guest, and its workers. One that fails with [`NoSuchExport`] or [`SignatureMismatch`] counts as the
/// next call; one that is refused because the instance is [`Poisoned`] does not. An interrupted call poisons the
/// instance, even if it had not started. Handles stay valid when the instance is reset.
///
/// [`interrupt_all`](InterruptHandle::interrupt_all) ends the running call and all later ones, whichever handle it is
/// called on. Nothing undoes it.
///
/// [`Instance::interrupt_handle`]: crate::Instance::interrupt_handle
/// [`Instance::interrupt_handle_for_next_call`]: crate::Instance::interrupt_handle_for_next_call
/// [`Sandbox::instantiate_interruptible`]: crate::Sandbox::instantiate_interruptible
/// [`reset`]: crate::Instance::reset
/// [`NoSuchExport`]: crate::ErrorKind::NoSuchExport
/// [`SignatureMismatch`]: crate::ErrorKind::SignatureMismatch
/// [`Poisoned`]: crate::ErrorKind::Poisoned
///
/// # Examples
///
/// ```
/// use dynload_sandbox::{Engine, ErrorKind, Limits, Module, Sandbox};
///
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
    /// The call that it ends, or `None` for the call that runs when it is used.
    call: Option<usize>,
}

impl InterruptHandle {
    pub(crate) fn new(gate: Arc<CallGate>, call: Option<usize>) -> InterruptHandle {
        InterruptHandle { gate, call }
    }

    /// Creates a handle for the call in which an instance is created.
    pub(crate) fn of_first(gate: &LazyGate) -> InterruptHandle {
        InterruptHandle::new(gate.share(0), Some(1))
    }

    /// Ends the call of this handle, now or as soon as it starts; does nothing if it has ended.
    ///
    /// For a handle of [`Instance::interrupt_handle`](crate::Instance::interrupt_handle), the call is the running one;
    /// it does nothing if no call runs.
    ///
    /// A guest in a loop stops within a slice of fuel (less than a millisecond); a host function that
    /// [waits](crate::Caller::wait) stops when it checks the clock next (within about a millisecond). One operator, or
    /// a host function that does not check, runs to its end first. A call that ends before its next check is not
    /// interrupted.
    pub fn interrupt(&self) {
        let call = self
            .call
            .unwrap_or_else(|| self.gate.running.load(Ordering::Relaxed));
        self.gate.interrupt(call);
    }

    /// Ends the running call and every later one, for an instance that is abandoned while other threads may be about to
    /// call it.
    ///
    /// Nothing undoes this: every later call and every [`reset`](crate::Instance::reset) fails with
    /// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted), or with
    /// [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned). Other instances of the sandbox are not affected.
    pub fn interrupt_all(&self) {
        self.gate.interrupt(usize::MAX);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_late_interrupt_does_nothing() {
        let gate = Arc::new(CallGate::default());
        let first = InterruptHandle::new(gate.clone(), Some(1));
        gate.enter(1);
        first.interrupt();
        gate.enter(2);
        assert!(!gate.is_interrupted(2));
    }

    #[test]
    fn an_early_interrupt_stays_pending_and_a_late_one_does_not_displace_it() {
        let gate = Arc::new(CallGate::default());
        InterruptHandle::new(gate.clone(), Some(2)).interrupt();
        InterruptHandle::new(gate.clone(), Some(1)).interrupt();
        assert!(gate.is_interrupted(2));
    }

    #[test]
    fn only_the_running_call_is_interrupted() {
        let gate = Arc::new(CallGate::default());
        let any = InterruptHandle::new(gate.clone(), None);
        any.interrupt();
        gate.enter(1);
        assert!(!gate.is_interrupted(1));
        any.interrupt();
        assert!(gate.is_interrupted(1));
    }

    #[test]
    fn a_gate_that_is_shared_during_a_call_ends_that_call_only() {
        let gate = LazyGate::default();
        gate.enter(2);
        let any = InterruptHandle::new(gate.share(2), None);
        assert!(!gate.is_interrupted(2));
        any.interrupt();
        assert!(gate.is_interrupted(2));
        gate.enter(3);
        assert!(!gate.is_interrupted(3));
    }

    #[test]
    fn an_abandoned_instance_runs_no_more_calls() {
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

    /// Runs a call until it is interrupted, as between two slices of fuel.
    fn spin(gate: &CallGate, call: usize) {
        while !gate.is_interrupted(call) {
            thread::yield_now();
        }
    }

    /// Runs a call that ends without an interrupt. Returns whether it was told to stop meanwhile.
    fn run(gate: &CallGate, call: usize) -> bool {
        gate.enter(call);
        gate.is_interrupted(call)
    }

    #[test]
    fn an_interrupt_of_one_call_ends_that_call_or_none() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let first = InterruptHandle::new(gate.clone(), Some(1));
            let interrupter = thread::spawn(move || first.interrupt());
            run(&gate, 1);
            assert!(!run(&gate, 2));
            interrupter.join().unwrap();
            assert!(!run(&gate, 3));
        });
    }

    #[test]
    fn an_interrupt_of_the_running_call_ends_at_most_one_call_and_no_later_one() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let any = InterruptHandle::new(gate.clone(), None);
            let interrupter = thread::spawn(move || any.interrupt());
            let ended = [run(&gate, 1), run(&gate, 2)];
            assert!(ended != [true, true]);
            interrupter.join().unwrap();
            assert!(!run(&gate, 3));
        });
    }

    /// The interrupting thread learns from the call itself that it runs, as from a host function.
    #[test]
    fn an_interrupt_of_the_running_call_is_never_lost() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let any = InterruptHandle::new(gate.clone(), None);
            run(&gate, 1);
            let runs = Arc::new(AtomicUsize::new(0));
            let seen = runs.clone();
            let interrupter = thread::spawn(move || {
                while seen.load(Ordering::Acquire) == 0 {
                    thread::yield_now();
                }
                any.interrupt();
            });
            gate.enter(2);
            runs.store(1, Ordering::Release);
            spin(&gate, 2);
            interrupter.join().unwrap();
            assert!(!run(&gate, 3));
        });
    }

    #[test]
    fn an_interrupt_before_the_call_stays_pending_and_a_late_one_does_not_displace_it() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let (late, early) = (
                InterruptHandle::new(gate.clone(), Some(1)),
                InterruptHandle::new(gate.clone(), Some(2)),
            );
            run(&gate, 1);
            let interrupters = [late, early].map(|interrupt| thread::spawn(move || interrupt.interrupt()));
            gate.enter(2);
            spin(&gate, 2);
            for interrupter in interrupters {
                interrupter.join().unwrap();
            }
            assert!(!run(&gate, 3));
        });
    }

    #[test]
    fn an_interrupt_publishes_earlier_writes() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let next = InterruptHandle::new(gate.clone(), Some(1));
            let why = Arc::new(AtomicUsize::new(0));
            let reason = why.clone();
            let interrupter = thread::spawn(move || {
                reason.store(7, Ordering::Relaxed);
                next.interrupt();
            });
            gate.enter(1);
            spin(&gate, 1);
            assert_eq!(why.load(Ordering::Relaxed), 7);
            interrupter.join().unwrap();
        });
    }

    /// Abandoning an instance needs no lock around it and the calls: a call that starts meanwhile ends, too.
    #[test]
    fn abandoning_an_instance_also_ends_a_call_that_starts_meanwhile() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            let (abandoned, any) = (
                InterruptHandle::new(gate.clone(), None),
                InterruptHandle::new(gate.clone(), None),
            );
            let owner = thread::spawn(move || abandoned.interrupt_all());
            let interrupter = thread::spawn(move || any.interrupt());
            gate.enter(1);
            owner.join().unwrap();
            spin(&gate, 1);
            interrupter.join().unwrap();
            assert!(run(&gate, 2));
        });
    }
}
