//! The reloader itself: what a host holds.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::builder::Recipe;
use crate::bus::EventBus;
use crate::config::Config;
use crate::error::{ReloadError, StartError};
use crate::event::{Event, EventKind};
use crate::inbox::Inbox;
use crate::loader::Loader;
use crate::shared::{Shared, lock};
use crate::version::{Guard, Slot};
use crate::watch::{self, Glob, Registration, Targets, WatchState};
use crate::worker::work;

/// Keeps a plugin up to date with its source.
///
/// Between [`start`](Reloader::start) and [`stop`](Reloader::stop) it watches the source and brings each saved change to
/// life on a thread of its own, whether anybody asks or not. What runs stays until the next version has been built,
/// checked, loaded and given the state; calls that go on stay on the version that they started on, by their [`Guard`].
///
/// All functions may be called from any thread. Dropping the reloader stops it; guards live on.
///
/// ```
/// use std::time::Duration;
/// use dynload_hotreload::{Artifact, Builder, Config, LoadError, Loader, Reloader};
///
/// struct Text;
///
/// impl Loader for Text {
///     type Loaded = String;
///
///     fn load(&self, artifact: &Artifact) -> Result<String, LoadError> {
///         std::fs::read_to_string(&artifact.path).map_err(|error| LoadError::new("not text").with_source(error))
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let source = directory.path().join("greeting.txt");
/// std::fs::write(&source, "hello")?;
/// let config = Config::new(&source).with_builder(Builder::None).with_debounce(Duration::from_millis(10));
/// let reloader = Reloader::new(config, Text)?;
/// reloader.start()?;
/// assert_eq!(reloader.version(), 1);
///
/// std::fs::write(&source, "good morning")?;
/// assert_eq!(reloader.wait(Duration::from_secs(10)), Some(2));
/// assert_eq!(*reloader.current().unwrap(), "good morning");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reloader<L: Loader> {
    shared: Arc<Shared<L>>,
    run: Mutex<Option<Run>>,
}

/// What there is only while it runs.
struct Run {
    worker: JoinHandle<()>,
    _registration: Registration,
}

impl<L: Loader> Reloader<L> {
    /// A reloader that does nothing yet.
    ///
    /// # Errors
    /// - [`StartError::Path`] when a path of the configuration cannot be made absolute.
    pub fn new(mut config: Config, loader: L) -> Result<Self, StartError> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| StartError::Path {
                path: path.to_owned(),
                source,
            })
        };
        config.source = absolute(&config.source)?;
        config.output_dir = config.output_dir.as_deref().map(absolute).transpose()?;
        let mut extra = Vec::new();
        for path in &config.extra {
            extra.push(Glob::new(&absolute(path)?));
        }
        let recipe = Recipe::choose(&config, &config.source);
        if let (Some(Recipe::Cargo { .. }), Some(dir)) = (&recipe, config.source.parent()) {
            // Not Cargo.lock: the build writes it.
            extra.extend(["src", "build.rs"].map(|name| Glob::new(&dir.join(name))));
        }
        if recipe == Some(Recipe::AsIs) {
            // Nothing but the source goes into the artifact.
            extra.clear();
        }
        let targets = Targets {
            source: config.source.clone(),
            extra,
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
        let shared = Shared {
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
            config,
        };
        Ok(Self {
            shared: Arc::new(shared),
            run: Mutex::new(None),
        })
    }

    /// Watches the source, and builds and loads it as it is now. Does nothing when it is started already.
    ///
    /// It returns when that first attempt is over, with version 1 if it succeeded. If it failed, or there is no source
    /// yet, the version is 0, [`last_error`](Reloader::last_error) says why, and the next change is tried. A change while
    /// it builds begins it anew. After a [`stop`](Reloader::stop) it goes on from the version that runs.
    ///
    /// # Errors
    /// - [`StartError::Stopped`] when `stop` came before that first attempt was over, also from this very callback.
    /// - [`StartError::Watch`] when the source cannot be watched in the way the configuration asks for.
    /// - [`StartError::Thread`] when the system gives no thread.
    pub fn start(&self) -> Result<(), StartError> {
        if self.is_worker() {
            // It cannot wait for itself; and it is started, unless it is about to end.
            let stopping = self.shared.inbox.is_stopping();
            return if stopping {
                Err(StartError::Stopped)
            } else {
                Ok(())
            };
        }
        let mut run = lock(&self.run);
        if self.shared.running.load(Ordering::Acquire) {
            return Ok(());
        }
        // A worker that a callback stopped is over or about to be.
        if let Some(old) = run.take() {
            let _ = old.worker.join();
        }
        self.shared.inbox.reset();
        let registration = watch::register(
            Arc::clone(&self.shared.targets),
            self.shared.config.mode,
            Arc::clone(&self.shared.inbox),
            self.tell_of_watching(),
        )?;
        *lock(&self.shared.watch) = registration.state.clone();
        if registration.state != WatchState::Active {
            self.shared.bus.emit(
                None,
                EventKind::Watch {
                    state: registration.state.clone(),
                },
            );
        }
        let (done, first) = sync_channel(1);
        let shared = Arc::clone(&self.shared);
        self.shared.running.store(true, Ordering::Release);
        let worker = thread::Builder::new()
            .name("dynload reload".into())
            .spawn(move || work(shared, done));
        match worker {
            Ok(worker) => {
                *run = Some(Run {
                    worker,
                    _registration: registration,
                });
                // Who was stopped before it came to it lets go of the channel.
                first.recv().map_err(|_| StartError::Stopped)
            }
            Err(error) => {
                self.shared.running.store(false, Ordering::Release);
                Err(StartError::Thread(error))
            }
        }
    }

    fn tell_of_watching(&self) -> Box<dyn Fn(WatchState) + Send> {
        let watch = Arc::clone(&self.shared.watch);
        let bus = Arc::clone(&self.shared.bus);
        Box::new(move |state| {
            *lock(&watch) = state.clone();
            bus.emit(None, EventKind::Watch { state });
        })
    }

    /// Stops watching; a build that runs is killed with its children. The version that runs stays loaded and can be called.
    ///
    /// It returns when the reloader's thread has ended. Called from one of its callbacks, it returns at once and the
    /// thread ends after the callback.
    pub fn stop(&self) {
        self.shared.inbox.stop();
        if self.is_worker() {
            return;
        }
        let mut run = lock(&self.run);
        // A start that held the lock until now may have begun after the stop above.
        self.shared.inbox.stop();
        if let Some(run) = run.take() {
            let _ = run.worker.join();
        }
        *lock(&self.shared.watch) = WatchState::Stopped;
    }

    /// Whether this is called from one of the reloader's callbacks, or from the loader.
    fn is_worker(&self) -> bool {
        *lock(&self.shared.worker) == Some(thread::current().id())
    }

    /// Whether it is started.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::Acquire)
    }

    /// Whether a version runs that neither this function nor [`wait`](Reloader::wait) has announced yet. Never blocks.
    ///
    /// True once per new version, after its events are out; several that came since the last call count as one, the newest. The version that the
    /// first [`start`](Reloader::start) loads is not announced.
    pub fn check(&self) -> bool {
        self.shared.announce().is_some()
    }

    /// Waits until there is a version to announce, and announces it, as [`check`](Reloader::check) does. `None` when there
    /// was none in time, or the reloader is not running.
    pub fn wait(&self, timeout: Duration) -> Option<u64> {
        let deadline = Instant::now().checked_add(timeout);
        let mut arriving = lock(&self.shared.arrival.0);
        loop {
            if let Some(version) = self.shared.announce() {
                return Some(version);
            }
            if !self.is_running() {
                return None;
            }
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => timeout,
            };
            if left.is_zero() {
                return None;
            }
            let wait = self.shared.arrival.1.wait_timeout(arriving, left);
            arriving = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The version that runs: 0 before anything was loaded, then 1, and one more for each reload that worked.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.version()
    }

    /// A guard on the version that runs; `None` while nothing was loaded. Waits for nothing but a short lock.
    #[must_use]
    pub fn current(&self) -> Option<Guard<L::Loaded>> {
        self.shared.slot.guard()
    }

    /// Why the latest attempt failed; `None` when it did not.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<ReloadError>> {
        self.shared.last_error()
    }

    /// How the source is watched at the moment.
    #[must_use]
    pub fn watch_state(&self) -> WatchState {
        lock(&self.shared.watch).clone()
    }

    /// A channel that gets every event from now on, from whichever thread it comes.
    ///
    /// Subscribe before [`start`](Reloader::start) to see the first attempt too. Events pile up while nobody receives
    /// them; drop the receiver to end it.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Event> {
        self.shared.bus.subscribe()
    }

    /// Calls `callback` with every event from now on, on the reloader's own thread: it holds up reloads while it runs, and
    /// is not called while the reloader is stopped (events that come then are delivered after the next start). One that
    /// panics is not called again.
    pub fn on_event(&self, callback: impl FnMut(&Event) + Send + 'static) {
        self.shared.bus.on_event(Box::new(callback));
    }

    /// The source; an absolute path.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.shared.targets.source
    }

    /// The files whose content decides about a reload, the source first, as they are now.
    #[must_use]
    pub fn watched_files(&self) -> Vec<PathBuf> {
        self.shared.targets.files()
    }

    /// The loader.
    #[must_use]
    pub fn loader(&self) -> &L {
        &self.shared.loader
    }
}

impl<L: Loader> Drop for Reloader<L> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<L: Loader> std::fmt::Debug for Reloader<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader")
            .field("source", &self.source())
            .field("version", &self.version())
            .field("running", &self.is_running())
            .field("watch", &self.watch_state())
            .finish_non_exhaustive()
    }
}

// A reloader is shared between threads by design; this line keeps it so.
const _: fn() = || {
    fn shareable<T: Send + Sync>() {}
    let _ = shareable::<Reloader<crate::NativeLoader>>;
};
