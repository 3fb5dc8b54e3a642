//! The state that a call shares with the workers that it started.

use crate::{
    call::interrupt::CallGate,
    metering::memory_meter::MemoryShare,
    sync::{AtomicBool, AtomicU32, Ordering},
};
use alloc::sync::Arc;
use core::{fmt, time::Duration};

/// The state that a worker inherits from the call that started it, beyond limits, scopes and capabilities.
#[derive(Clone)]
pub(crate) struct Share(Arc<Shared>);

struct Shared {
    /// When the outermost call started, by the monotonic clock: the deadline is relative to it.
    started: Duration,
    /// The call that started the workers: they stop when it is interrupted.
    gate: Arc<CallGate>,
    call: usize,
    /// Whether that call has ended.
    ended: AtomicBool,
    /// The number of workers of the outermost call and of its workers, together.
    workers: Arc<AtomicU32>,
    /// The memory of all of them.
    memory: MemoryShare,
    /// The state that the call shares itself, if it is a worker's.
    parent: Option<Share>,
    /// The call, as the outer call of those that a worker's host functions make.
    #[cfg(feature = "std")]
    enclosing: Option<Arc<crate::call::enclosing::Running>>,
    /// Host names that are being looked up for all of them.
    #[cfg(all(feature = "std", any(unix, windows)))]
    resolving: crate::services::LookupCount,
}

impl Share {
    pub(crate) fn new(
        started: Duration,
        gate: Arc<CallGate>,
        call: usize,
        memory: MemoryShare,
        parent: Option<Share>,
    ) -> Share {
        let workers = parent
            .as_ref()
            .map(|parent| parent.0.workers.clone())
            .unwrap_or_default();
        Share(Arc::new(Shared {
            started,
            gate,
            call,
            ended: AtomicBool::new(false),
            workers,
            memory,
            parent,
            #[cfg(feature = "std")]
            enclosing: None,
            #[cfg(all(feature = "std", any(unix, windows)))]
            resolving: Default::default(),
        }))
    }

    /// Sets the call that shares the state, which is the outer call of those that workers make, and the host names that are
    /// being looked up for it.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn of(
        mut self,
        enclosing: Option<Arc<crate::call::enclosing::Running>>,
        resolving: crate::services::LookupCount,
    ) -> Share {
        if let Some(shared) = Arc::get_mut(&mut self.0) {
            shared.enclosing = enclosing;
            shared.resolving = resolving;
        }
        self
    }

    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn resolving(&self) -> crate::services::LookupCount {
        self.0.resolving.clone()
    }

    /// Returns the call that shares the state.
    #[cfg(feature = "std")]
    pub(crate) fn enclosing(&self) -> Option<Arc<crate::call::enclosing::Running>> {
        self.0.enclosing.clone()
    }

    pub(crate) fn memory(&self) -> MemoryShare {
        self.0.memory.clone()
    }

    pub(crate) fn started(&self) -> Duration {
        self.0.started
    }

    /// Returns whether the workers have to stop.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::SeqCst)
            || self.0.gate.is_interrupted(self.0.call)
            || self.0.parent.as_ref().is_some_and(Share::has_ended)
    }

    /// Tells the workers to stop.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }

    /// Counts one more worker, if there are fewer than `max`. Returns whether there are.
    pub(crate) fn add_worker(&self, max: u32) -> bool {
        let more = |count: u32| (count < max).then_some(count + 1);
        self.0
            .workers
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    /// Counts one worker fewer.
    pub(crate) fn remove_worker(&self) {
        self.0.workers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod models {
    use super::*;
    use crate::call::interrupt::InterruptHandle;
    use loom::thread;

    #[test]
    fn a_worker_ends_with_the_call_that_started_it() {
        loom::model(|| {
            let gate = Arc::new(CallGate::default());
            gate.enter(1);
            let outer = Share::new(Duration::ZERO, gate.clone(), 1, MemoryShare::default(), None);
            let worker = thread::spawn(move || {
                // The workers of a worker end with it.
                let inner = Share::new(
                    Duration::ZERO,
                    Arc::default(),
                    1,
                    MemoryShare::default(),
                    Some(outer.clone()),
                );
                while !inner.has_ended() {
                    thread::yield_now();
                }
            });
            InterruptHandle::new(gate.clone(), None).interrupt();
            worker.join().unwrap();
        });
    }

    #[test]
    fn two_calls_together_never_have_more_workers_than_the_maximum() {
        loom::model(|| {
            let outer = Share::new(Duration::ZERO, Arc::default(), 1, MemoryShare::default(), None);
            let inner = Share::new(
                Duration::ZERO,
                Arc::default(),
                1,
                MemoryShare::default(),
                Some(outer.clone()),
            );
            assert!(outer.add_worker(2));
            let worker = thread::spawn(move || inner.add_worker(2));
            let second = outer.add_worker(2);
            assert!(second ^ worker.join().unwrap());
            outer.remove_worker();
            assert!(outer.add_worker(2) && !outer.add_worker(2));
        });
    }
}
