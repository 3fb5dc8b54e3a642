//! The watching thread's view of one reloader.

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

/// How often files are checked even though the system reports changes: a change without an event (a write through a
/// mapping, a renamed directory further up, a bug in a file system) is found after this time.
const SWEEP: Duration = Duration::from_secs(1);
/// The maximum share of time for checking, as a divisor: for a sweep, and for polling.
const SWEEP_SHARE: u32 = 2000;
const POLL_SHARE: u32 = 20;
/// The maximum time by which this limit lengthens a pause beyond its interval.
const LONGEST: Duration = Duration::from_secs(10);

/// A reloader.
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
    /// The duration of the last check.
    pub(super) took: Duration,
}

impl Client {
    /// Returns whether it is polled only because notifications are unavailable.
    pub(super) fn fell_back(&self) -> bool {
        matches!(
            self.poll,
            Some((_, PollReason::Limit(_) | PollReason::Unavailable))
        )
    }

    /// Returns how long to wait after a check that took the time `took`.
    pub(super) fn pause(&mut self, took: Duration) -> Duration {
        // If the thread had to wait for a processor, the check itself was shorter: the shorter of two checks is
        // closer to the true cost.
        let cost = took.min(std::mem::replace(&mut self.took, took));
        let (interval, share) = match self.poll {
            // An interval of 0 would be a busy loop.
            Some((interval, _)) => (interval.max(Duration::from_millis(1)), POLL_SHARE),
            None => (SWEEP, SWEEP_SHARE),
        };
        interval.max(cost.saturating_mul(share).min(interval + LONGEST))
    }

    /// Stores the signatures of the files. Returns whether one of them is new or, when polling, is not conclusive.
    pub(super) fn note(&mut self, layout: &Layout) -> bool {
        let mut changed = false;
        let mut signatures = HashMap::with_capacity(layout.files.len());
        for file in &layout.files {
            let now = Signature::of(file);
            match self.signatures.get(file) {
                Some(before) => {
                    // With notifications, an event has reported the changes that the times do not show.
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
    fn one_delayed_check_does_not_lengthen_the_pause() {
        let targets = Targets {
            source: "/d/plugin.so".into(),
            extra: Vec::new(),
            imports: None,
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
        // Checks that always take long are made less often, but are still made.
        assert_eq!(client.pause(ms(3)), SWEEP);
        assert_eq!(client.pause(ms(3)), ms(6_000));
        client.pause(ms(500));
        assert_eq!(client.pause(ms(500)), SWEEP + LONGEST);
        client.poll = Some((ms(100), PollReason::Configured));
        assert_eq!(client.pause(ms(50)), ms(1_000));
        assert_eq!(client.pause(ms(1)), ms(100));
    }
}
