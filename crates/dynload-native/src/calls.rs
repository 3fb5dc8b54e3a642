//! Calls that are in flight, and waiting for them to end.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::generation::Generation;
use crate::library::Library;
use crate::sync::{lock, wait_timeout};

/// The number of calls in flight in one generation of a module.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    active: AtomicUsize,
    waiters: AtomicUsize,
    lock: Mutex<()>,
    idle: Condvar,
}

impl Calls {
    fn enter(&self) {
        self.active.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        // Sequential consistency orders the two sides: either a waiter sees that this call has ended, or this call
        // sees the waiter. Only in the second case is the lock taken.
        if self.active.fetch_sub(1, Ordering::SeqCst) == 1 && self.waiters.load(Ordering::SeqCst) > 0 {
            let _guard = lock(&self.lock);
            self.idle.notify_all();
        }
    }

    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::SeqCst)
    }

    /// Waits until no call is in flight, at most until `deadline`. Returns the number that are left.
    pub(crate) fn wait_until_idle(&self, deadline: Instant) -> usize {
        let mut guard = lock(&self.lock);
        self.waiters.fetch_add(1, Ordering::SeqCst);
        loop {
            let active = self.active();
            let left = deadline.saturating_duration_since(Instant::now());
            if active == 0 || left == Duration::ZERO {
                self.waiters.fetch_sub(1, Ordering::SeqCst);
                return active;
            }
            guard = wait_timeout(&self.idle, guard, left);
        }
    }
}

/// A call into a module, in flight until the guard is dropped.
///
/// The guard dereferences to the library as it was when the call began: functions called through it run the code of
/// that version, even if the module is reloaded in the meantime. A replaced version is shut down and detached when its
/// last guard is dropped.
///
/// Only guards keep a version started. A clone of the library, or a [`Symbol`](crate::Symbol), that outlives the guard
/// keeps the image in memory, but can be called after the plugin's [`shutdown`](crate::descriptor::Shutdown).
pub struct CallGuard {
    // Dropped in this order: a thread that waits for the end of the call finds the generation released.
    generation: Arc<Generation>,
    _entered: Entered,
}

/// A call that is counted until this is dropped.
struct Entered(Arc<Calls>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl CallGuard {
    /// Must be called while the generation is known to be the current one: the thread that removes it waits for the
    /// calls that entered before.
    pub(crate) fn enter(generation: &Arc<Generation>) -> CallGuard {
        let calls = Arc::clone(generation.calls());
        calls.enter();
        CallGuard {
            generation: Arc::clone(generation),
            _entered: Entered(calls),
        }
    }

    /// Returns the generation that is called.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }
}

impl Deref for CallGuard {
    type Target = Library;

    fn deref(&self) -> &Library {
        self.generation().library()
    }
}

impl fmt::Debug for CallGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallGuard")
            .field("generation", &self.generation)
            .finish()
    }
}
