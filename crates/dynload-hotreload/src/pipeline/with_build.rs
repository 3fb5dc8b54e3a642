//! Attempts with a build: the builder makes the artifact from the sources.

use std::time::{Duration, Instant};

use super::{Content, Failure, Halt, Pipeline, SETTLE_STEP, Tried, guarded};
use crate::builder::{self, Job, Outcome, Recipe};
use crate::error::ReloadError;
use crate::event::EventKind;
use crate::inbox::Pending;
use crate::loader::Loader;
use crate::snapshot::{Snapshot, Unreadable};
use crate::step::Step;
use crate::watch::Signature;

impl<L: Loader> Pipeline<L> {
    pub(super) fn build(&mut self, recipe: &Recipe, changed: Instant, initial: bool) -> Result<(), Halt> {
        let snapshot = loop {
            match Snapshot::take(&self.shared.targets) {
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
        let before = match &self.tried {
            Some(Tried {
                content: Content::Sources(before),
                failed,
                signature: at,
            }) => {
                // A failed build is tried again if the source was saved again: a missing file may exist now.
                let saved_again = *failed && *at != signature;
                if *before == snapshot && !initial && !saved_again {
                    return Err(Halt::Quiet);
                }
                Some(before)
            }
            _ => None,
        };
        let mut paths = snapshot.changed_since(before);
        if paths.is_empty() {
            paths.push(self.source().to_owned());
        }
        self.tried = Some(Tried {
            content: Content::Sources(snapshot.clone()),
            failed: false,
            signature,
        });
        self.shared.bus.next_attempt();
        self.emit(Some(changed), EventKind::Changed { paths });

        let built = match self.run_builder(recipe, changed, &snapshot)? {
            Outcome::Built(built) => built,
            Outcome::Superseded => {
                self.tried = None;
                self.emit(Some(changed), EventKind::Cancelled);
                return Err(Halt::Unfinished);
            }
            Outcome::Stopped => {
                self.tried = None;
                return Err(Halt::Unfinished);
            }
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

    fn run_builder(
        &mut self,
        recipe: &Recipe,
        changed: Instant,
        snapshot: &Snapshot,
    ) -> Result<Outcome, Failure> {
        let staging = self.staging().map_err(|error| (Step::Build, error))?;
        let shared = &self.shared;
        let mut overtaken = |pending: Pending| match Snapshot::take(&shared.targets) {
            Ok(now) if now == *snapshot => false,
            Ok(_) => {
                shared.inbox.retry(pending.first, Duration::ZERO);
                true
            }
            // The file is being written, or does not exist at the moment: look again before the build is discarded.
            Err(_) => {
                shared.inbox.retry(pending.first, SETTLE_STEP);
                false
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
}
