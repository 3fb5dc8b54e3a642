//! The state that a reloader, its worker and its callbacks share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;

use crate::builder::Recipe;
use crate::bus::EventBus;
use crate::config::Config;
use crate::error::ReloadError;
use crate::inbox::Inbox;
use crate::loader::Loader;
use crate::sync::lock;
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
