//! Files that have become much shorter: their writers may not have finished.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Content, Halt, Pipeline, SETTLE_STEP};
use crate::event::EventKind;
use crate::loader::Loader;
use crate::snapshot::Snapshot;
use crate::watch::{Signature, Targets};

/// A wait ends after this many shrink timeouts, although the files change: someone may write an empty file again and again.
const TIMEOUTS: u32 = 10;

/// Files that have become much shorter, and the time since which they have not changed.
pub(super) struct Shrunk {
    files: Vec<(PathBuf, Signature)>,
    pub(super) since: Instant,
    /// The time since which there are such files.
    first: Instant,
}

impl Shrunk {
    fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|(known, _)| known == path)
    }
}

impl<L: Loader> Pipeline<L> {
    /// Waits until no file looks as if its writer had not finished, or until such files have not changed for the shrink
    /// timeout; at most for [`TIMEOUTS`] of it. During the initial attempt, waits here. Later, puts the change back and
    /// returns [`Halt::Unfinished`].
    pub(super) fn await_writers(&mut self, changed: Instant, initial: bool) -> Result<(), Halt> {
        let limit = self.shared.config.shrink_timeout;
        if limit.is_zero() {
            return Ok(());
        }
        loop {
            let files = self.shrunk_files();
            if files.is_empty() {
                self.shrunk = None;
                return Ok(());
            }
            let before = self.shrunk.take();
            let is_known = |path: &Path| before.as_ref().is_some_and(|before| before.has(path));
            let new = files.iter().filter(|(path, _)| !is_known(path));
            for (path, signature) in new {
                let event = EventKind::Waiting {
                    path: path.clone(),
                    size: signature.size(),
                    limit,
                };
                self.emit(Some(changed), event);
            }
            // The initial attempt does not wait for a file that keeps changing, because a caller waits for its result.
            let since = match &before {
                Some(before) if initial || before.files == files => before.since,
                _ => Instant::now(),
            };
            let first = before.map_or(since, |before| before.first);
            let is_over = since.elapsed() >= limit || first.elapsed() >= limit.saturating_mul(TIMEOUTS);
            // A file that looks so after this wait is waited for as long.
            let first = if is_over { Instant::now() } else { first };
            self.shrunk = Some(Shrunk { files, since, first });
            if is_over {
                return Ok(());
            }
            if !initial {
                self.shared.inbox.retry(changed, SETTLE_STEP);
                return Err(Halt::Unfinished);
            }
            if self.shared.inbox.pause(SETTLE_STEP) {
                return Err(Halt::Unfinished);
            }
        }
    }

    /// Returns whether one of the files, whose size was `size` when it was read, was shortened after
    /// [`await_writers`](Self::await_writers) had looked at it. Then it is time to wait again.
    pub(super) fn shrank_meanwhile<'a>(&self, read: impl IntoIterator<Item = (&'a Path, u64)>) -> bool {
        if self.shared.config.shrink_timeout.is_zero() {
            return false;
        }
        read.into_iter().any(|(path, size)| {
            let is_source = path == self.shared.targets.source;
            let before = match self.tried.as_ref().map(|tried| &tried.content) {
                Some(Content::Artifact { size, .. }) => Some(*size),
                Some(Content::Sources(before)) => before.size(path),
                // At the start, only the source is waited for.
                None if !is_source => return false,
                None => None,
            };
            let is_believed = self.shrunk.as_ref().is_some_and(|shrunk| shrunk.has(path));
            is_shrunk(before, size, is_source) && !is_believed
        })
    }

    fn shrunk_files(&self) -> Vec<(PathBuf, Signature)> {
        let targets = &self.shared.targets;
        match self.tried.as_ref().map(|tried| &tried.content) {
            // Only the source is read.
            Some(Content::Artifact { size, .. }) => {
                shrunk(&targets.source, Some(*size), true).into_iter().collect()
            }
            Some(Content::Sources(before)) => shrunk_since(before, targets),
            None => shrunk(&targets.source, None, true).into_iter().collect(),
        }
    }
}

/// Returns the files that are empty and were not before, and the source if it is less than half as long as before.
pub(super) fn shrunk_since(before: &Snapshot, targets: &Targets) -> Vec<(PathBuf, Signature)> {
    let files = targets.files();
    let shrunk = files
        .iter()
        .filter_map(|path| shrunk(path, before.size(path), *path == targets.source));
    shrunk.collect()
}

fn shrunk(path: &Path, before: Option<u64>, is_source: bool) -> Option<(PathBuf, Signature)> {
    let signature = Signature::of_regular(path)?;
    is_shrunk(before, signature.size(), is_source).then(|| (path.to_owned(), signature))
}

fn is_shrunk(before: Option<u64>, now: u64, is_source: bool) -> bool {
    match before {
        None => now == 0,
        Some(before) => (now == 0 && before != 0) || (is_source && now.saturating_mul(2) < before),
    }
}
