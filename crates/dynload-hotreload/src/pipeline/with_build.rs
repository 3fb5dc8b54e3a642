//! Attempts with a build: the builder makes the artifact from the sources.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::shrunk::shrunk_since;
use super::{Content, End, Failure, Halt, MOST_REPLACED, Pipeline, SETTLE_STEP, Tried, guarded};
use crate::builder::{self, Job, Outcome, Recipe};
use crate::error::ReloadError;
use crate::event::EventKind;
use crate::inbox::Pending;
use crate::loader::Loader;
use crate::snapshot::{Snapshot, Unreadable};
use crate::step::Step;
use crate::watch::Signature;

/// The changes that were noticed during a build.
#[derive(Default)]
struct During {
    /// The time of the first hint.
    first: Option<Instant>,
    /// The files that have cancelled the build.
    cause: Vec<PathBuf>,
}

impl<L: Loader> Pipeline<L> {
    pub(super) fn build(&mut self, recipe: &Recipe, changed: Instant, initial: bool) -> Result<(), Halt> {
        let mut replaced = 0;
        let snapshot = loop {
            self.await_writers(changed, initial)?;
            match Snapshot::take(&self.shared.targets) {
                Ok(snapshot) if replaced < MOST_REPLACED && self.shrank_meanwhile(snapshot.sizes()) => {
                    replaced += 1
                }
                Ok(snapshot) => break snapshot,
                Err(Unreadable::Changing(path)) => {
                    if self.settle(changed, initial, None)? {
                        continue;
                    }
                    self.shared.bus.next_attempt();
                    let waited = self.shared.config.settle_timeout;
                    return Err((Step::Read, ReloadError::Unstable { path, waited }).into());
                }
                Err(Unreadable::Source(error)) => {
                    self.unsettled = None;
                    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
                    if is_missing && !initial {
                        return Err(Halt::Quiet);
                    }
                    self.shared.bus.next_attempt();
                    let path = self.source().to_owned();
                    return Err((Step::Read, ReloadError::Source { path, source: error }).into());
                }
            }
        };
        self.unsettled = None;
        let signature = Signature::of(self.source());
        let mut saved_again = self.tried.as_ref().map_or_else(Vec::new, Tried::saved_again);
        let before = match &self.tried {
            Some(Tried {
                content: Content::Sources(before),
                end,
                signature: at,
                ..
            }) => {
                // A failed build is tried again if the source was saved again: a missing file may exist now.
                let is_over = *end == End::Done || (*end == End::Failed && *at == signature);
                let is_over = is_over && saved_again.is_empty();
                if is_over && !initial && snapshot.changed_since(Some(before)).is_empty() {
                    return Err(Halt::Quiet);
                }
                Some(before)
            }
            _ => None,
        };
        let mut paths = snapshot.changed_since(before);
        saved_again.retain(|path| !paths.contains(path));
        paths.append(&mut saved_again);
        self.overtaking.changed_outside(&paths);
        if paths.is_empty() {
            paths.push(self.source().to_owned());
        }
        self.tried = Some(Tried {
            content: Content::Sources(snapshot.clone()),
            end: End::Done,
            signature,
            ignored: Vec::new(),
        });
        self.shared.bus.next_attempt();
        self.emit(Some(changed), EventKind::Changed { paths });

        let mut during = During::default();
        let outcome = self.run_builder(recipe, changed, &snapshot, &mut during);
        if !matches!(outcome, Ok(Outcome::Stopped)) {
            self.note_changes(changed, snapshot, signature, during, &outcome);
        }
        let built = match outcome? {
            Outcome::Built(built) => built,
            Outcome::Superseded => {
                self.emit(Some(changed), EventKind::Cancelled);
                return Err(Halt::Unfinished);
            }
            Outcome::Stopped => return Err(Halt::Unfinished),
        };
        self.emit(
            Some(changed),
            EventKind::Built {
                took: built.took,
                output: built.output.clone(),
            },
        );
        let started = Instant::now();
        let file = self
            .stage(&built.artifact)
            .map_err(|error| (Step::Stage, error))?;
        let took = started.elapsed();
        if let Some(version) = self.is_running(file.hash()).then(|| self.shared.version()) {
            self.shared.set_error(None);
            self.emit(Some(changed), EventKind::Unchanged { version });
            return Ok(());
        }
        let artifact = self.artifact(file, built.artifact.clone());
        drop(built);
        self.staged(changed, &artifact, took);
        guarded(Step::Load, || self.shared.loader.check(&artifact))?;
        Ok(self.load(changed, &artifact)?)
    }

    /// Runs the builder. `during` receives what changes meanwhile.
    fn run_builder(
        &mut self,
        recipe: &Recipe,
        changed: Instant,
        snapshot: &Snapshot,
        during: &mut During,
    ) -> Result<Outcome, Failure> {
        let staging = self.staging().map_err(|error| (Step::Build, error))?;
        let (shared, overtaking) = (&self.shared, &self.overtaking);
        let mut overtaken = |pending: Pending| {
            let is_written = shrunk_since(snapshot, &shared.targets).is_empty();
            match Snapshot::take(&shared.targets) {
                Ok(now) if is_written => {
                    let files = now.changed_since(Some(snapshot));
                    let cancels = overtaking.cancels(&files);
                    if !files.is_empty() {
                        during.first.get_or_insert(pending.first);
                    }
                    if cancels {
                        during.cause = files;
                    }
                    cancels
                }
                // A file is being written, or the source does not exist at the moment: look again before the build is
                // discarded.
                _ => {
                    shared.inbox.retry(pending.first, SETTLE_STEP);
                    false
                }
            }
        };
        let job = Job {
            source: &shared.targets.source,
            config: &shared.config,
            scratch: staging.path(),
            inbox: &shared.inbox,
            overtaken: &mut overtaken,
            deliver: &|| shared.bus.deliver(),
            starting: &mut |command| self.emit(Some(changed), EventKind::Building { command }),
        };
        builder::build(recipe, job).map_err(|error| (Step::Build, error))
    }

    /// Finds the files that have changed during a build. If the build writes them, their content is known from now on. For
    /// others, another attempt follows.
    fn note_changes(
        &mut self,
        changed: Instant,
        mut known: Snapshot,
        mut signature: Option<Signature>,
        during: During,
        outcome: &Result<Outcome, Failure>,
    ) {
        let (mut files, now) = match Snapshot::take(&self.shared.targets) {
            Ok(now) => (now.changed_since(Some(&known)), Some(now)),
            Err(Unreadable::Changing(path)) => (vec![path], None),
            Err(Unreadable::Source(_)) => (vec![self.source().to_owned()], None),
        };
        let source = self.source().to_owned();
        let at_end = Signature::of(&source);
        // After a failure, the source is tried again if it was saved again, even with the same content.
        if outcome.is_err() && at_end != signature && !files.contains(&source) {
            files.push(source.clone());
        }
        // A temporary file may have been removed meanwhile.
        files.extend(
            during
                .cause
                .into_iter()
                .filter(|file| !files.contains(file))
                .collect::<Vec<_>>(),
        );
        let is_cancelled = matches!(outcome, Ok(Outcome::Superseded));
        let written = if is_cancelled {
            self.overtaking.cancelled(&files)
        } else {
            self.overtaking.ended(&files)
        };
        if written.contains(&source) {
            signature = at_end;
        }
        if let Some(now) = now {
            known.adopt(&written, &now);
        }
        self.tried = Some(Tried {
            content: Content::Sources(known),
            end: if is_cancelled { End::Cancelled } else { End::Done },
            signature,
            ignored: written
                .iter()
                .map(|path| (path.clone(), Signature::of(path)))
                .collect(),
        });
        if written.len() < files.len() {
            let first = during.first.unwrap_or_else(Instant::now);
            self.shared.inbox.retry(first, Duration::ZERO);
        }
        if !written.is_empty() {
            self.emit(Some(changed), EventKind::WrittenByBuild { paths: written });
        }
    }
}
