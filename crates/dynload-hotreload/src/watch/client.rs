//! One reloader, as the thread that watches for it sees it.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::routes::ClientId;
use super::signature::Signature;
use super::targets::{Layout, Targets};
use super::{PollReason, WatchState};
use crate::config::WatchMode;
use crate::inbox::Inbox;

/// How often files are looked at although the system tells of changes: what changes without an event (a write through
/// a mapping, a renamed directory further up, a bug in a file system) is found after this long.
const SWEEP: Duration = Duration::from_secs(1);
/// One reloader.
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) targets: Arc<Targets>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) mode: WatchMode,
    pub(super) tell: Box<dyn Fn(WatchState) + Send>,
    /// The directories that are watched for it.
    pub(super) armed: BTreeSet<PathBuf>,
    pub(super) poll: Option<(Duration, PollReason)>,
    pub(super) signatures: HashMap<PathBuf, Option<Signature>>,
    pub(super) state: WatchState,
    pub(super) next_sweep: Instant,
}

impl Client {
    /// Whether it is polled only because events could not be had.
    pub(super) fn fell_back(&self) -> bool {
        matches!(
            self.poll,
            Some((_, PollReason::Limit(_) | PollReason::Unavailable))
        )
    }

    pub(super) fn interval(&self) -> Duration {
        // An interval of 0 would be a busy loop.
        self.poll
            .map_or(SWEEP, |(interval, _)| interval.max(Duration::from_millis(1)))
    }

    /// Keeps the signatures of the files and says whether one of them is new, or says too little.
    pub(super) fn note(&mut self, layout: &Layout) -> bool {
        let mut changed = false;
        let mut signatures = HashMap::with_capacity(layout.files.len());
        for file in &layout.files {
            let now = Signature::of(file);
            match self.signatures.get(file) {
                Some(before) => {
                    // Where there are events, they told of what the times do not show.
                    let racy = self.poll.is_some() && before.is_some_and(|before| before.is_racy());
                    changed |= *before != now || racy;
                }
                None => changed = true,
            }
            signatures.insert(file.clone(), now);
        }
        changed |= signatures.len() != self.signatures.len();
        self.signatures = signatures;
        changed
    }

    pub(super) fn state_for(&self, layout: &Layout) -> WatchState {
        match (&layout.missing_dir, self.poll) {
            (Some(missing), _) => WatchState::Lost {
                missing: missing.clone(),
            },
            (None, Some((interval, why))) => WatchState::Polling { interval, why },
            (None, None) => WatchState::Active,
        }
    }
}
