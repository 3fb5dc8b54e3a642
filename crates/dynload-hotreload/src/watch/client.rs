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
/// The share of time that may go into looking, at most: one part in this many, for a sweep and for polling.
const SWEEP_SHARE: u32 = 2000;
const POLL_SHARE: u32 = 20;
/// How much longer than its interval a pause becomes for the sake of that share, at most.
const LONGEST: Duration = Duration::from_secs(10);

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
    /// How long the last look took.
    pub(super) took: Duration,
}

impl Client {
    /// Whether it is polled only because events could not be had.
    pub(super) fn fell_back(&self) -> bool {
        matches!(
            self.poll,
            Some((_, PollReason::Limit(_) | PollReason::Unavailable))
        )
    }

    /// How long to wait after a look that took so long.
    pub(super) fn pause(&mut self, took: Duration) -> Duration {
        // A thread that had to wait for a processor did not look for so long: the shorter of two looks is nearer to what
        // one costs.
        let cost = took.min(std::mem::replace(&mut self.took, took));
        let (interval, share) = match self.poll {
            // An interval of 0 would be a busy loop.
            Some((interval, _)) => (interval.max(Duration::from_millis(1)), POLL_SHARE),
            None => (SWEEP, SWEEP_SHARE),
        };
        interval.max(cost.saturating_mul(share).min(interval + LONGEST))
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
            (None, Some((interval, reason))) => WatchState::Polling { interval, reason },
            (None, None) => WatchState::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_that_was_held_up_puts_nothing_off() {
        let targets = Targets {
            source: "/d/plugin.so".into(),
            extra: Vec::new(),
            skip: None,
        };
        let mut client = Client {
            id: 1,
            targets: Arc::new(targets),
            inbox: Arc::default(),
            mode: WatchMode::Auto,
            tell: Box::new(|_| ()),
            armed: BTreeSet::new(),
            poll: None,
            signatures: HashMap::new(),
            state: WatchState::Stopped,
            next_sweep: Instant::now(),
            took: Duration::MAX,
        };
        let ms = Duration::from_millis;
        assert_eq!(client.pause(ms(0)), SWEEP);
        assert_eq!(client.pause(ms(30)), SWEEP);
        assert_eq!(client.pause(ms(0)), SWEEP);
        // What takes long each time is done less often, and is done.
        assert_eq!(client.pause(ms(3)), SWEEP);
        assert_eq!(client.pause(ms(3)), ms(6_000));
        client.pause(ms(500));
        assert_eq!(client.pause(ms(500)), SWEEP + LONGEST);
        client.poll = Some((ms(100), PollReason::Asked));
        assert_eq!(client.pause(ms(50)), ms(1_000));
        assert_eq!(client.pause(ms(1)), ms(100));
    }
}
