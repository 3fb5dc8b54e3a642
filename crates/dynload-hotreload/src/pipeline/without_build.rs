//! Attempts without a build: the source is the artifact.

use std::sync::Arc;
use std::time::Instant;

use dynload_native::staging::{StageError, StagedFile};

use super::{Content, End, Halt, MOST_REPLACED, Pipeline, Tried, guarded};
use crate::error::ReloadError;
use crate::event::EventKind;
use crate::loader::Loader;
use crate::step::Step;
use crate::watch::Signature;

impl<L: Loader> Pipeline<L> {
    pub(super) fn take_as_is(&mut self, changed: Instant, initial: bool) -> Result<(), Halt> {
        let mut replaced = 0;
        loop {
            self.await_writers(changed, initial)?;
            let signature = Signature::of(self.source());
            if !initial && self.unsettled.is_none() && signature.is_some() && signature == self.looked_at {
                // A racy signature may hide a second write in the same clock tick.
                if !self.looked_at.is_some_and(|looked_at| looked_at.is_racy()) {
                    return Err(Halt::Quiet);
                }
            }
            let started = Instant::now();
            let file = match self.stage_source() {
                Ok(file) => file,
                Err(ReloadError::Staging {
                    source: StageError::Changing,
                    path,
                }) => {
                    if self.settle(changed, initial, None)? {
                        continue;
                    }
                    self.shared.bus.next_attempt();
                    let waited = self.shared.config.settle_timeout;
                    return Err((Step::Read, ReloadError::Unstable { path, waited }).into());
                }
                Err(ReloadError::Staging {
                    source: StageError::Read(error),
                    path,
                }) if error.kind() == std::io::ErrorKind::NotFound => {
                    // It was renamed or deleted: either it reappears, or the running version stays.
                    self.looked_at = None;
                    self.unsettled = None;
                    if !initial {
                        return Err(Halt::Quiet);
                    }
                    self.shared.bus.next_attempt();
                    return Err((Step::Read, ReloadError::Source { path, source: error }).into());
                }
                Err(error) => {
                    self.unsettled = None;
                    self.shared.bus.next_attempt();
                    return Err((Step::Read, error).into());
                }
            };
            let took = started.elapsed();
            // If the source was replaced meanwhile, the signature may not be that of the copy, and the same save would be tried
            // twice. If it was shortened, its writer is waited for.
            let is_replaced = self.shrank_meanwhile([(self.source(), file.size())])
                || signature != Signature::of(self.source());
            if is_replaced && replaced < MOST_REPLACED {
                replaced += 1;
                continue;
            }
            let hash = file.hash();
            let content = Content::Artifact {
                hash,
                size: file.size(),
            };
            if self.is_running(hash) {
                self.looked_at = signature;
                self.unsettled = None;
                self.unchanged(changed);
                self.tried = Some(Tried {
                    content,
                    end: End::Done,
                    signature,
                    ignored: Vec::new(),
                });
                return Err(Halt::Quiet);
            }
            if let Some(Tried {
                content: Content::Artifact { hash: tried, .. },
                signature: before,
                ..
            }) = &self.tried
            {
                // A failed artifact is tried again if it was saved again, but not because of another event.
                let saved_again = !before
                    .zip(signature)
                    .is_some_and(|(before, now)| before.is_same_save(&now));
                if *tried == hash && !saved_again && !initial {
                    self.looked_at = signature;
                    self.unsettled = None;
                    return Err(Halt::Quiet);
                }
            }
            let artifact = self.artifact(file, self.source().to_owned());
            let checked = guarded(Step::Load, || self.shared.loader.check(&artifact));
            if matches!(&checked, Err((_, ReloadError::Load(error))) if error.is_incomplete())
                && self.settle(changed, initial, signature)?
            {
                continue;
            }
            self.looked_at = signature;
            self.unsettled = None;
            self.tried = Some(Tried {
                content,
                end: End::Done,
                signature,
                ignored: Vec::new(),
            });
            self.shared.bus.next_attempt();
            self.emit(
                Some(changed),
                EventKind::Changed {
                    paths: vec![self.source().to_owned()],
                },
            );
            self.staged(changed, &artifact, took);
            checked?;
            return Ok(self.load(changed, &artifact)?);
        }
    }

    /// Handles a source that is identical to the running version. An event is emitted only if other content was
    /// tried in between.
    fn unchanged(&self, changed: Instant) {
        if self.shared.last_error().is_some() {
            self.shared.set_error(None);
            self.emit(
                Some(changed),
                EventKind::Unchanged {
                    version: self.shared.version(),
                },
            );
        }
    }

    fn stage_source(&mut self) -> Result<StagedFile, ReloadError> {
        let shared = Arc::clone(&self.shared);
        self.stage(&shared.targets.source)
    }
}
