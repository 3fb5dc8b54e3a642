//! The state that the parts of a reloader share, and its worker thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use crate::build::Recipe;
use crate::bus::EventBus;
use crate::config::Config;
use crate::error::ReloadError;
use crate::inbox::{Inbox, Wake};
use crate::loader::Loader;
use crate::pipeline::Pipeline;
use crate::version::Slot;
use crate::watch::{Targets, WatchState};

/// The state that the reloader, its worker and its callbacks share.
pub(crate) struct Shared<L: Loader> {
    pub(crate) config: Config,
    pub(crate) targets: Arc<Targets>,
    pub(crate) recipe: Option<Recipe>,
    pub(crate) loader: L,
    pub(crate) slot: Slot<L::Loaded>,
    pub(crate) bus: Arc<EventBus>,
    pub(crate) inbox: Arc<Inbox>,
    /// The running version; the newest version whose events have been emitted; and the version that `check` or
    /// `wait` last announced.
    pub(crate) version: AtomicU64,
    pub(crate) arrived: AtomicU64,
    pub(crate) announced: AtomicU64,
    /// For threads that wait for a version.
    pub(crate) arrival: (Mutex<()>, Condvar),
    pub(crate) error: Mutex<Option<Arc<ReloadError>>>,
    pub(crate) watch: Arc<Mutex<WatchState>>,
    pub(crate) running: AtomicBool,
    pub(crate) worker: Mutex<Option<ThreadId>>,
}

/// Locks the mutex, even after a panic: no panic leaves the state under these locks inconsistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<L: Loader> Shared<L> {
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn last_error(&self) -> Option<Arc<ReloadError>> {
        lock(&self.error).clone()
    }

    pub(crate) fn set_error(&self, error: Option<Arc<ReloadError>>) {
        *lock(&self.error) = error;
    }

    /// Records that a new version is running.
    pub(crate) fn swapped(&self, version: u64) {
        self.set_error(None);
        self.version.store(version, Ordering::Release);
    }

    /// Records that the events of a new version have been emitted, so that a thread that waits for the version
    /// finds them.
    pub(crate) fn arrived(&self, version: u64) {
        let arriving = lock(&self.arrival.0);
        self.arrived.store(version, Ordering::Release);
        drop(arriving);
        self.arrival.1.notify_all();
    }

    /// Announces a version that was not announced yet, to one caller only.
    pub(crate) fn announce(&self) -> Option<u64> {
        let version = self.arrived.load(Ordering::Acquire);
        (self.announced.fetch_max(version, Ordering::AcqRel) < version).then_some(version)
    }
}

/// Runs the worker. `done` receives a message when the first attempt has ended, and is dropped if that attempt was
/// stopped.
pub(crate) fn work<L: Loader>(shared: Arc<Shared<L>>, done: SyncSender<()>) {
    /// Records that the worker has ended, even if it panics.
    struct End<'a, L: Loader>(&'a Shared<L>);
    impl<L: Loader> Drop for End<'_, L> {
        fn drop(&mut self) {
            *lock(&self.0.worker) = None;
            let arriving = lock(&self.0.arrival.0);
            self.0.running.store(false, Ordering::Release);
            drop(arriving);
            self.0.arrival.1.notify_all();
        }
    }

    let _end = End(&shared);
    *lock(&shared.worker) = Some(thread::current().id());
    let first = shared.version() == 0;
    let mut pipeline = Pipeline::new(Arc::clone(&shared));
    shared.bus.deliver();
    let mut started = false;
    let mut attempt = |changed| {
        let over = pipeline.attempt(changed, !started);
        if over && !started {
            started = true;
            if first {
                // The version that `start` loaded is not announced.
                shared.announced.fetch_max(shared.version(), Ordering::AcqRel);
            }
            let _ = done.send(());
        }
    };
    attempt(Instant::now());
    loop {
        match shared.inbox.next(shared.config.debounce) {
            Wake::Stop => break,
            Wake::Callbacks => shared.bus.deliver(),
            Wake::Due(pending) => attempt(pending.first),
        }
    }
    shared.bus.deliver();
}
