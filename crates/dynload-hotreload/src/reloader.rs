//! The reloader: the main type of this crate.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dynload_process::occupy_standard_streams;

use crate::config::Config;
use crate::error::{ReloadError, StartError};
use crate::event::{Event, EventKind};
use crate::loader::Loader;
use crate::shared::Shared;
use crate::sync::{lock, wait_timeout};
use crate::version::Guard;
use crate::watch::{self, Registration, WatchState};
use crate::worker::work;

/// Keeps a plugin up to date with its source.
///
/// Between [`start`](Reloader::start) and [`stop`](Reloader::stop) it watches the source, and builds and loads each
/// saved change on its own thread, without being polled. The running version stays until the next version has been
/// built, checked, loaded and given the state; calls in progress stay on the version on which they started, through
/// their [`Guard`].
///
/// All functions may be called from any thread. Dropping the reloader stops it; guards stay valid.
///
/// # Examples
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

/// What a call of [`Reloader::stop`] has achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The reloader has stopped.
    Complete,
    /// The reloader's own thread called, and ends when it has done what it is doing.
    Requested,
    /// Nothing: another process started the reloader, and this one was forked from it.
    OtherProcess,
}

/// The state that exists only while the reloader runs.
struct Run {
    worker: JoinHandle<()>,
    _registration: Registration,
}

impl<L: Loader> Reloader<L> {
    /// Creates a reloader that is not started.
    ///
    /// # Errors
    ///
    /// - [`StartError::Path`] when a path of the configuration cannot be made absolute.
    pub fn new(config: Config, loader: L) -> Result<Self, StartError> {
        Ok(Self {
            shared: Arc::new(Shared::new(config, loader)?),
            run: Mutex::new(None),
        })
    }

    /// Starts the reloader: watches the source, and builds and loads its current content. Does nothing if it is
    /// already started. If a callback or the code that is loaded has stopped it, this waits until that has taken effect.
    ///
    /// It returns when that first attempt has ended, with version 1 if it succeeded. If it failed, or the source does
    /// not exist yet, the result is `Ok` too: then the version is 0, [`last_error`](Reloader::last_error) returns the
    /// reason, and the next change starts another attempt. A change during the build restarts it, but the same file does so
    /// only once. After a [`stop`](Reloader::stop), the reloader continues from the running version.
    ///
    /// # Errors
    ///
    /// - [`StartError::Stopped`] when `stop` was called before that first attempt ended: by another thread, by the code
    ///   that is loaded (then its version stays loaded), or in the callback that calls `start`.
    /// - [`StartError::OtherProcess`] when the reloader was started by the process from which this one was forked.
    /// - [`StartError::Watch`] when the source cannot be watched by the configured method.
    /// - [`StartError::Thread`] when the system cannot create a thread.
    pub fn start(&self) -> Result<(), StartError> {
        if let Some(process) = self.shared.owner.other_process() {
            return Err(StartError::OtherProcess { process });
        }
        if self.is_worker() {
            // The worker cannot wait for itself; and the reloader is started, unless it is about to stop.
            let stopping = self.shared.inbox.is_stopping();
            return if stopping {
                Err(StartError::Stopped)
            } else {
                Ok(())
            };
        }
        let mut run = lock(&self.run);
        if self.shared.running.load(Ordering::Acquire) && !self.shared.inbox.is_stopping() {
            return Ok(());
        }
        // A worker that was stopped, by a callback or by the code that it loads, has ended or is about to end.
        if let Some(old) = run.take() {
            let _ = old.worker.join();
        }
        self.shared.inbox.reset();
        // The descriptors of the watcher, of builds and of copies must not become standard streams. If this fails, so does
        // opening them.
        let _ = occupy_standard_streams();
        self.shared.owner.claim();
        let registration = watch::register(
            Arc::clone(&self.shared.targets),
            self.shared.config.mode,
            Arc::clone(&self.shared.inbox),
            self.report_watching(),
        )
        .inspect_err(|_| self.shared.owner.release())?;
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
                // A worker that is stopped before its first attempt ends drops the channel.
                first.recv().map_err(|_| StartError::Stopped)
            }
            Err(error) => {
                self.shared.running.store(false, Ordering::Release);
                self.shared.owner.release();
                Err(StartError::Thread(error))
            }
        }
    }

    fn report_watching(&self) -> Box<dyn Fn(WatchState) + Send> {
        let watch = Arc::clone(&self.shared.watch);
        let bus = Arc::clone(&self.shared.bus);
        Box::new(move |state| {
            *lock(&watch) = state.clone();
            bus.emit(None, EventKind::Watch { state });
        })
    }

    /// Stops watching; a running build is killed with its children. The running version stays loaded and can be
    /// called.
    ///
    /// It returns when the reloader's thread has ended. Called in one of the reloader's callbacks, or by the code that
    /// is loaded, it returns immediately, and the thread ends afterwards.
    ///
    /// In the child of a `fork`, it does nothing if the parent started the reloader.
    pub fn stop(&self) -> Stop {
        if self.shared.owner.other_process().is_some() {
            return Stop::OtherProcess;
        }
        self.shared.inbox.stop();
        if self.is_worker() {
            return Stop::Requested;
        }
        let mut run = lock(&self.run);
        // A `start` that held the lock until now may have begun after the stop above.
        self.shared.inbox.stop();
        if let Some(run) = run.take() {
            let _ = run.worker.join();
        }
        *lock(&self.shared.watch) = WatchState::Stopped;
        self.shared.owner.release();
        Stop::Complete
    }

    /// Returns whether this is called from one of the reloader's callbacks, or from the loader.
    fn is_worker(&self) -> bool {
        *lock(&self.shared.worker) == Some(thread::current().id())
    }

    /// Returns whether the reloader is started, and this process is the one that started it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::Acquire) && self.shared.owner.other_process().is_none()
    }

    /// Returns `true` once after each reload; a [`wait`](Reloader::wait) that returns the version counts as the same
    /// announcement. Never blocks.
    ///
    /// A reload is announced after its events have been emitted, and after the old version was dropped if no guard keeps it;
    /// several reloads since the last announcement count as one. The version that the first [`start`](Reloader::start) loads
    /// is not announced.
    pub fn check(&self) -> bool {
        self.shared.announce().is_some()
    }

    /// Waits until there is a version to announce, and announces it, as [`check`](Reloader::check) does. Returns
    /// `None` if there is none within the timeout, or if the reloader is not running.
    pub fn wait(&self, timeout: Duration) -> Option<u64> {
        if !self.is_running() {
            return self.shared.announce();
        }
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
            arriving = wait_timeout(&self.shared.arrival.1, arriving, left);
        }
    }

    /// Returns the running version: 0 before a version was loaded, then 1, incremented by each successful reload.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.version()
    }

    /// Returns a guard for the running version; `None` before a version was loaded. Waits only for a short lock.
    #[must_use]
    pub fn current(&self) -> Option<Guard<L::Loaded>> {
        self.shared.slot.guard()
    }

    /// Returns the reason why the latest attempt failed; `None` if it did not fail.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<ReloadError>> {
        self.shared.last_error()
    }

    /// Returns how the source is currently watched.
    #[must_use]
    pub fn watch_state(&self) -> WatchState {
        lock(&self.shared.watch).clone()
    }

    /// Returns a channel that receives every event from now on, whichever thread emits it.
    ///
    /// Subscribe before [`start`](Reloader::start) to receive the events of the first attempt too. Events
    /// accumulate until they are received; drop the receiver to unsubscribe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use dynload_hotreload::{Builder, Config, EventKind, Reloader};
    ///
    /// # use dynload_hotreload::{Artifact, LoadError, Loader};
    /// # struct Text;
    /// # impl Loader for Text {
    /// #     type Loaded = String;
    /// #     fn load(&self, artifact: &Artifact) -> Result<String, LoadError> {
    /// #         std::fs::read_to_string(&artifact.path).map_err(|error| LoadError::new("not text").with_source(error))
    /// #     }
    /// # }
    /// # let directory = tempfile::tempdir()?;
    /// # let source = directory.path().join("greeting.txt");
    /// # std::fs::write(&source, "hello")?;
    /// // A loader of text files, as in the example of `Reloader`.
    /// let reloader = Reloader::new(Config::new(&source).with_builder(Builder::None), Text)?;
    /// let events = reloader.subscribe();
    /// reloader.start()?;
    /// loop {
    ///     match events.recv_timeout(Duration::from_secs(10))?.kind {
    ///         EventKind::Swapped { version, .. } => {
    ///             assert_eq!(version, 1);
    ///             break;
    ///         }
    ///         EventKind::Failed { step, error, .. } => panic!("failed to {step}: {}", error.report()),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Event> {
        self.shared.bus.subscribe()
    }

    /// Calls `callback` with every event from now on, on the reloader's own thread. The callback delays reloads
    /// while it runs, and is not called while the reloader is stopped (events that occur then are delivered after
    /// the next start). A callback that panics is not called again.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_hotreload::{Builder, Config, EventKind, Reloader};
    ///
    /// # use dynload_hotreload::{Artifact, LoadError, Loader};
    /// # struct Text;
    /// # impl Loader for Text {
    /// #     type Loaded = String;
    /// #     fn load(&self, artifact: &Artifact) -> Result<String, LoadError> {
    /// #         std::fs::read_to_string(&artifact.path).map_err(|error| LoadError::new("not text").with_source(error))
    /// #     }
    /// # }
    /// # let directory = tempfile::tempdir()?;
    /// # let source = directory.path().join("greeting.txt");
    /// # std::fs::write(&source, "hello")?;
    /// // A loader of text files, as in the example of `Reloader`.
    /// let reloader = Reloader::new(Config::new(&source).with_builder(Builder::None), Text)?;
    /// reloader.on_event(|event| match &event.kind {
    ///     EventKind::Failed { step, error, .. } => eprintln!("failed to {step}: {}", error.report()),
    ///     _ => println!("{event}"),
    /// });
    /// reloader.start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_event(&self, callback: impl FnMut(&Event) + Send + 'static) {
        self.shared.bus.on_event(Box::new(callback));
    }

    /// Returns the source; an absolute path.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.shared.targets.source
    }

    /// Returns the files whose content determines whether to reload, the source first, as of now.
    #[must_use]
    pub fn watched_files(&self) -> Vec<PathBuf> {
        self.shared.targets.files()
    }

    /// Returns the process id of the process that runs the reloader, if it is another one from which this one was forked.
    /// Such a reloader notices nothing here, and cannot be started or stopped; the version that was loaded before the
    /// `fork` can still be called.
    #[must_use]
    pub fn other_process(&self) -> Option<u32> {
        self.shared.owner.other_process()
    }

    /// Returns the loader.
    #[must_use]
    pub fn loader(&self) -> &L {
        &self.shared.loader
    }
}

impl<L: Loader> Drop for Reloader<L> {
    fn drop(&mut self) {
        if self.stop() == Stop::OtherProcess {
            // The threads that it refers to do not exist in this process.
            let run = self.run.get_mut().unwrap_or_else(PoisonError::into_inner);
            mem::forget(run.take());
        }
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

// A reloader is shared between threads by design; this asserts that it can be.
const _: fn() = || {
    fn shareable<T: Send + Sync>() {}
    let _ = shareable::<Reloader<crate::NativeLoader>>;
};
