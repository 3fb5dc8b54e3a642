//! One attempt: from a settled change to a new version, or to the reason for a failure.

mod overtaking;
mod shrunk;
mod with_build;
mod without_build;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynload_diagnostics::printable;
use dynload_native::ContentHash;
use dynload_native::staging::{StagedFile, Staging};

use crate::artifact::Artifact;
use crate::builder::Recipe;
use crate::error::ReloadError;
use crate::event::EventKind;
use crate::loader::{LoadError, Loader};
use crate::step::Step;

use self::overtaking::Overtaking;
use self::shrunk::Shrunk;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::version::{Guard, Version};
use crate::watch::Signature;

/// How long an incomplete file is left alone before it is looked at again.
const SETTLE_STEP: Duration = Duration::from_millis(20);

/// How often a file is read again because it was replaced or shortened meanwhile.
const MOST_REPLACED: u32 = 3;

/// The worker's state between attempts.
pub(crate) struct Pipeline<L: Loader> {
    shared: Arc<Shared<L>>,
    staging: Option<Arc<Staging>>,
    /// The signature of the source at the last look, so that an unchanged source need not be read again.
    looked_at: Option<Signature>,
    /// The content that was tried last.
    tried: Option<Tried>,
    /// Whether the reloader was told to stop before the latest attempt had its outcome.
    is_stopped: bool,
    overtaking: Overtaking,
    /// The files whose writers may not have finished.
    shrunk: Option<Shrunk>,
    /// The time since which the reloader waits for an incomplete file, and the file's signature at that time.
    unsettled: Option<(Instant, Option<Signature>)>,
}

struct Tried {
    content: Content,
    end: End,
    signature: Option<Signature>,
    /// The files whose changes during the build were no reason for another, as they were at its end.
    ignored: Vec<(PathBuf, Option<Signature>)>,
}

impl Tried {
    /// Returns the ignored files that were saved again, even with the same content: they are the user's.
    fn saved_again(&self) -> Vec<PathBuf> {
        let is_same = |path: &Path, before: Option<Signature>| match (before, Signature::of(path)) {
            (Some(before), Some(now)) => before.is_same_save(&now),
            (before, now) => before == now,
        };
        let ignored = self.ignored.iter();
        let again = ignored.filter(|(path, before)| !is_same(path, *before));
        again.map(|(path, _)| path.clone()).collect()
    }
}

/// How the latest attempt ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It made a version, or found that nothing is new.
    Done,
    Failed,
    /// Its build was cancelled.
    Cancelled,
}

/// The identity of a change: the hash of the artifact if it is not built, otherwise a snapshot of the files that
/// the build reads.
enum Content {
    Artifact { hash: ContentHash, size: u64 },
    Sources(Snapshot),
}

/// A failure and the step in which it occurred.
type Failure = (Step, ReloadError);

/// The result of an attempt that created no version.
enum Halt {
    /// The attempt failed.
    Failed(Failure),
    /// Nothing is new; no event is emitted.
    Quiet,
    /// The attempt has no outcome: it will be repeated, or the reloader stops.
    Unfinished,
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<L: Loader> Pipeline<L> {
    pub(crate) fn new(shared: Arc<Shared<L>>) -> Self {
        Self {
            shared,
            staging: None,
            looked_at: None,
            tried: None,
            is_stopped: false,
            overtaking: Overtaking::default(),
            shrunk: None,
            unsettled: None,
        }
    }

    /// Looks at the source and processes its change. `initial` is the attempt at the start: no change was saved,
    /// but every problem is reported. Returns whether the attempt ended before the reloader was told to stop, and need
    /// not be repeated.
    pub(crate) fn attempt(&mut self, changed: Instant, initial: bool) -> bool {
        let outcome = match self.shared.recipe.clone() {
            Some(Recipe::AsIs) => self.take_as_is(changed, initial),
            Some(recipe) => self.build(&recipe, changed, initial),
            None => self.no_builder(changed, initial),
        };
        match outcome {
            Ok(()) => !self.is_stopped,
            Err(Halt::Quiet) => true,
            Err(Halt::Unfinished) => false,
            Err(Halt::Failed((step, error))) => {
                if let Some(tried) = &mut self.tried {
                    tried.end = End::Failed;
                }
                // Code of the plugin may have run in this attempt.
                self.is_stopped = self.shared.inbox.is_stopping();
                let error = Arc::new(error);
                self.shared.set_error(Some(Arc::clone(&error)));
                self.emit(Some(changed), EventKind::Failed { step, error });
                !self.is_stopped
            }
        }
    }

    fn emit(&self, changed: Option<Instant>, kind: EventKind) {
        self.shared.bus.emit(changed, kind);
        self.shared.bus.deliver();
    }

    fn source(&self) -> &Path {
        &self.shared.targets.source
    }

    fn no_builder(&mut self, changed: Instant, initial: bool) -> Result<(), Halt> {
        // Reported only once, because a change of the file does not add a builder.
        if initial {
            self.shared.bus.next_attempt();
            let path = self.source().to_owned();
            self.emit(
                Some(changed),
                EventKind::Changed {
                    paths: vec![path.clone()],
                },
            );
            return Err((Step::Build, ReloadError::NoBuilder { path }).into());
        }
        Err(Halt::Quiet)
    }

    /// Handles a file that is incomplete, or that changed while it was read. During the initial attempt, waits
    /// briefly and returns `true` if the file must be read again. Later, puts the change back and returns
    /// `Halt::Unfinished`. Returns `false` if the settle timeout has passed.
    ///
    /// A file that keeps changing is being written, and the reloader waits as long as that takes, except during the
    /// initial attempt, because a caller is waiting for the result. If `seen` is `None`, changes of the file are
    /// not taken into account.
    fn settle(&mut self, changed: Instant, initial: bool, seen: Option<Signature>) -> Result<bool, Halt> {
        let since = self
            .shrunk
            .as_ref()
            .map_or_else(Instant::now, |shrunk| shrunk.since);
        let (since, before) = *self.unsettled.get_or_insert((since, seen));
        let is_written = before != seen && !initial;
        if is_written {
            self.unsettled = Some((Instant::now(), seen));
        }
        if !is_written && since.elapsed() >= self.shared.config.settle_timeout {
            self.unsettled = None;
            return Ok(false);
        }
        if !initial {
            self.shared.inbox.retry(changed, SETTLE_STEP);
            return Err(Halt::Unfinished);
        }
        if self.shared.inbox.pause(SETTLE_STEP) {
            return Err(Halt::Unfinished);
        }
        Ok(true)
    }

    /// Loads a staged artifact, transfers the state, and swaps the versions.
    fn load(&mut self, changed: Instant, artifact: &Artifact) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let started = Instant::now();
        let loaded = guarded(Step::Load, || shared.loader.load(artifact))?;
        self.emit(
            Some(changed),
            EventKind::Loaded {
                took: started.elapsed(),
            },
        );
        if let Some(old) = shared.slot.guard() {
            let restored = guarded(Step::Restore, || {
                let state = shared.loader.save(&old)?;
                state.map_or(Ok(()), |state| shared.loader.restore(&loaded, &state))
            });
            if let Err(failure) = restored {
                drop_guarded(loaded, "a refused version", artifact);
                return Err(failure);
            }
        }
        let old = shared
            .slot
            .swap(Version::new(loaded, artifact, Arc::clone(&shared.bus)));
        self.is_stopped = shared.inbox.is_stopping();
        shared.swapped(artifact.version);
        let event = EventKind::Swapped {
            version: artifact.version,
        };
        shared.bus.emit(Some(changed), event);
        // After the event of the swap, so that the *retired* event follows it. Before the announcement: who has been told of
        // the new version may rely on the end of the old one.
        drop_guarded(old, "the old version", artifact);
        // Before the callbacks, which may take a long time.
        shared.arrived(artifact.version);
        shared.bus.deliver();
        Ok(())
    }

    fn staged(&self, changed: Instant, artifact: &Artifact, took: Duration) {
        let Artifact { path, hash, size, .. } = artifact;
        self.emit(
            Some(changed),
            EventKind::Staged {
                path: path.clone(),
                hash: *hash,
                size: *size,
                took,
            },
        );
    }

    fn artifact(&self, file: StagedFile, origin: PathBuf) -> Artifact {
        Artifact::new(file, origin, self.source().to_owned(), self.shared.version() + 1)
    }

    fn is_running(&self, hash: ContentHash) -> bool {
        self.shared
            .slot
            .guard()
            .is_some_and(|running| Guard::hash(&running) == hash)
    }

    fn staging(&mut self) -> Result<Arc<Staging>, ReloadError> {
        // A cleaner of temporary files may have removed the directory.
        if let Some(staging) = self.staging.as_ref().filter(|staging| staging.is_intact()) {
            return Ok(Arc::clone(staging));
        }
        let staging = match &self.shared.config.output_dir {
            Some(dir) => {
                create_unshared(dir).map_err(|source| ReloadError::OutputDir {
                    path: dir.clone(),
                    source,
                })?;
                Staging::in_directory(dir)
            }
            None => Staging::shared(),
        };
        let staging = staging.map_err(|source| ReloadError::Staging {
            path: self.source().to_owned(),
            source,
        })?;
        self.staging = Some(Arc::clone(&staging));
        Ok(staging)
    }

    fn stage(&mut self, path: &Path) -> Result<StagedFile, ReloadError> {
        self.staging()?
            .stage(path)
            .map_err(|source| ReloadError::Staging {
                path: path.to_owned(),
                source,
            })
    }
}

/// Creates a directory, and those above it, in which only this user can replace files, whatever the file mode mask is.
fn create_unshared(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.recursive(true).create(dir)
}

/// Drops a version, which may run user code.
fn drop_guarded<T>(version: T, which: &str, artifact: &Artifact) {
    if catch_unwind(AssertUnwindSafe(|| drop(version))).is_err() {
        log::error!(target: crate::bus::LOG_TARGET, "{}: dropping {which} panicked", printable(artifact.origin.display()).path());
    }
}

/// Calls the loader; a panic in it is a failure like any other.
fn guarded<T>(step: Step, call: impl FnOnce() -> Result<T, LoadError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if step == Step::Restore => Err((step, ReloadError::Restore(error))),
        Ok(Err(error)) => Err((step, ReloadError::Load(error))),
        Err(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            Err((step, ReloadError::Panicked { step, message }))
        }
    }
}
