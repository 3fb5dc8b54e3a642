//! One attempt: from a change that has settled to a new version, or to a reason why not.

mod as_is;
mod built;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynload_native::ContentHash;
use dynload_native::staging::{StagedFile, Staging};

use crate::artifact::Artifact;
use crate::build::Recipe;
use crate::error::ReloadError;
use crate::event::{EventKind, Stage};
use crate::loader::{LoadError, Loader};

use crate::snapshot::Snapshot;
use crate::version::Version;
use crate::watch::Signature;
use crate::worker::Shared;

/// How long a file that is not whole yet is left alone before it is looked at again.
const SETTLE_STEP: Duration = Duration::from_millis(20);

/// What the worker remembers between attempts.
pub(crate) struct Pipeline<L: Loader> {
    shared: Arc<Shared<L>>,
    staging: Option<Arc<Staging>>,
    /// What was looked at last, so that it need not be read again.
    looked_at: Option<Signature>,
    /// What was tried last, and whether it failed.
    tried: Option<Tried>,
    /// Since when a file is waited for that is not whole, and what it was then.
    unsettled: Option<(Instant, Option<Signature>)>,
}

struct Tried {
    content: Content,
    failed: bool,
    signature: Option<Signature>,
}

/// What identifies a change: the artifact itself where nothing is built, what the build reads otherwise.
enum Content {
    Artifact(ContentHash),
    Sources(Snapshot),
}

/// A failure and the step that it happened in.
type Failure = (Stage, ReloadError);

/// What to do after an attempt that made no version.
enum Halt {
    /// It failed.
    Failed(Failure),
    /// Nothing is new, or it will be tried again; nobody is told.
    Quiet,
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
            unsettled: None,
        }
    }

    /// Looks at the source and does what has to be done. `initial` is the look at the start: nobody saved anything, but
    /// whatever is wrong is said.
    pub(crate) fn attempt(&mut self, changed: Instant, initial: bool) {
        let outcome = match self.shared.recipe.clone() {
            Some(Recipe::AsIs) => self.take_as_is(changed, initial),
            Some(recipe) => self.build(&recipe, changed, initial),
            None => self.no_builder(changed, initial),
        };
        if let Err(Halt::Failed((stage, why))) = outcome {
            if let Some(tried) = &mut self.tried {
                tried.failed = true;
            }
            let why = Arc::new(why);
            self.shared.set_error(Some(Arc::clone(&why)));
            self.emit(Some(changed), EventKind::Failed { stage, why });
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
        // Said once; changing the file changes nothing about it.
        if initial {
            self.shared.bus.next_attempt();
            let path = self.source().to_owned();
            self.emit(
                Some(changed),
                EventKind::Changed {
                    paths: vec![path.clone()],
                },
            );
            return Err((Stage::Build, ReloadError::NoBuilder { path }).into());
        }
        Err(Halt::Quiet)
    }

    /// Puts the change back until the file is whole, unless it has been as it is for too long: one that still changes is
    /// being written. Without a `seen`, however it changes.
    fn settle(&mut self, changed: Instant, initial: bool, seen: Option<Signature>) -> bool {
        let (since, before) = *self.unsettled.get_or_insert_with(|| (Instant::now(), seen));
        if before != seen {
            self.unsettled = Some((Instant::now(), seen));
        }
        let again = before != seen || since.elapsed() < self.shared.config.settle_timeout;
        if again {
            if initial {
                // The one who starts waits for an answer, so wait here.
                std::thread::sleep(SETTLE_STEP);
            } else {
                self.shared.inbox.retry(changed, SETTLE_STEP);
            }
        } else {
            self.unsettled = None;
        }
        again
    }

    /// Loads what was staged, hands the state over, and swaps.
    fn load(&mut self, changed: Instant, artifact: &Artifact) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let started = Instant::now();
        let loaded = guarded(Stage::Load, || shared.loader.load(artifact))?;
        self.emit(
            Some(changed),
            EventKind::Loaded {
                took: started.elapsed(),
            },
        );
        if let Some(old) = shared.slot.guard() {
            guarded(Stage::Restore, || {
                let state = shared.loader.save(&old)?;
                state.map_or(Ok(()), |state| shared.loader.restore(&loaded, &state))
            })?;
        }
        let old = shared
            .slot
            .swap(Version::new(loaded, artifact, Arc::clone(&shared.bus)));
        shared.swapped(artifact.version);
        let event = EventKind::Swapped {
            version: artifact.version,
        };
        shared.bus.emit(Some(changed), event);
        // Before the callbacks, which take their time.
        shared.arrived(artifact.version);
        // After the event of the swap, so that it is retired after it.
        if catch_unwind(AssertUnwindSafe(|| drop(old))).is_err() {
            log::error!(target: crate::bus::LOG_TARGET, "{}: dropping the old version panicked", artifact.origin.display());
        }
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

    fn artifact(&self, file: StagedFile, origin: std::path::PathBuf) -> Artifact {
        Artifact::new(file, origin, self.source().to_owned(), self.shared.version() + 1)
    }

    fn is_running(&self, hash: ContentHash) -> bool {
        self.shared
            .slot
            .guard()
            .is_some_and(|running| running.hash() == hash)
    }

    fn staging(&mut self) -> Result<Arc<Staging>, ReloadError> {
        // Whoever cleans up temporary files may have cleaned up ours.
        let was_lost = match &self.staging {
            Some(staging) if staging.path().is_dir() => return Ok(Arc::clone(staging)),
            lost => lost.is_some(),
        };
        let staging = match &self.shared.config.output_dir {
            None if was_lost => Staging::in_directory(std::env::temp_dir()),
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(|source| ReloadError::OutputDir {
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

/// Calls the loader; a panic in it is a failure like any other.
fn guarded<T>(stage: Stage, call: impl FnOnce() -> Result<T, LoadError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if stage == Stage::Restore => Err((stage, ReloadError::Restore(error))),
        Ok(Err(error)) => Err((stage, ReloadError::Load(error))),
        Err(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            Err((stage, ReloadError::Panicked { stage, message }))
        }
    }
}
