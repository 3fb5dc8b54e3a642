//! The state that a reloader, its worker and its callbacks share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;

use crate::builder::Recipe;
use crate::bus::EventBus;
use crate::config::Config;
use crate::error::{ReloadError, StartError};
use crate::inbox::Inbox;
use crate::loader::Loader;
use crate::owner::Owner;
use crate::sync::lock;
use crate::vais::Imports;
use crate::version::Slot;
use crate::watch::{Glob, Targets, WatchState};

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
    /// The process that started it.
    pub(crate) owner: Owner,
}

impl<L: Loader> Shared<L> {
    /// Prepares a reloader, as [`Reloader::new`](crate::Reloader::new) describes.
    pub(crate) fn new(mut config: Config, loader: L) -> Result<Self, StartError> {
        let refused = |path: &Path, source| StartError::Path {
            path: path.to_owned(),
            source,
        };
        let absolute = |path: &Path| std::path::absolute(path).map_err(|source| refused(path, source));
        config.source = absolute(&config.source)?;
        config.output_dir = config.output_dir.as_deref().map(absolute).transpose()?;
        let mut extra = Vec::new();
        for path in &config.extra {
            extra.push(Glob::new(path).map_err(|source| refused(path, source))?);
        }
        let recipe = Recipe::choose(&config, &config.source);
        if let (Some(Recipe::Cargo { .. }), Some(dir)) = (&recipe, config.source.parent()) {
            // Not Cargo.lock: the build writes it.
            extra.extend(["src", "build.rs"].map(|name| Glob::literal(dir.join(name))));
        }
        let mut imports = Imports::of(&config);
        if recipe == Some(Recipe::AsIs) {
            // Only the source affects the artifact.
            extra.clear();
            imports = None;
        }
        let targets = Targets {
            source: config.source.clone(),
            extra,
            imports,
            skip: config.output_dir.clone(),
        };
        let inbox = Arc::new(Inbox::default());
        let name = config
            .source
            .file_name()
            .unwrap_or(config.source.as_os_str())
            .to_string_lossy()
            .into_owned();
        let bus = Arc::new(EventBus::new(name, config.verbose, Arc::clone(&inbox)));
        Ok(Self {
            targets: Arc::new(targets),
            recipe,
            loader,
            slot: Slot::new(),
            bus,
            inbox,
            version: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            announced: AtomicU64::new(0),
            arrival: (Mutex::new(()), Condvar::new()),
            error: Mutex::new(None),
            watch: Arc::new(Mutex::new(WatchState::Stopped)),
            running: AtomicBool::new(false),
            worker: Mutex::new(None),
            owner: Owner::default(),
            config,
        })
    }

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
