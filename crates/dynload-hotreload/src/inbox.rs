//! The inbox in which a reloader's worker waits for all its input, and the time that a change takes to settle.

use crate::sync::{lock, wait, wait_timeout};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The information in a notification about a file. It is never more than a reason to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A writer has opened the file and not closed it, or the file was removed and is expected to reappear.
    Writing,
    /// The writer has finished the file: it was renamed into place, or closed after writing.
    Complete,
    /// A property of the file changed that says nothing about a writer: its mode or its times.
    Touched,
    /// A check found that the file has changed, without a notification. Any notification is more precise.
    Noticed,
}

/// How long a writer that has not closed the file must be quiet before the file is looked at anyway.
///
/// Long enough for a linker between two writes, short enough for an editor that never closes its file. Systems that
/// do not report when a file is closed (all except Linux) have only this.
pub(crate) const WRITER_QUIET: Duration =
    Duration::from_millis(if cfg!(any(target_os = "linux", target_os = "android")) {
        200
    } else {
        30
    });

/// The maximum time by which further hints delay a change: a file that is written continuously is still looked at
/// now and then.
const PATIENCE: Duration = Duration::from_secs(2);

/// A change that was hinted at and has not been looked at yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// The time of the first hint: when the user's change began, as far as the reloader can tell.
    pub(crate) first: Instant,
    opened: Instant,
    last: Instant,
    not_before: Instant,
    writing: bool,
}

impl Pending {
    fn new(first: Instant, now: Instant, writing: bool) -> Self {
        Self {
            first,
            opened: now,
            last: now,
            not_before: now,
            writing,
        }
    }

    fn due(&self, debounce: Duration) -> Instant {
        // The trailing edge: every further hint restarts the wait.
        let quiet = self.last
            + if self.writing {
                debounce.max(WRITER_QUIET)
            } else {
                debounce
            };
        let patience = self.opened + PATIENCE.max(debounce * 10);
        quiet.min(patience).max(self.not_before)
    }
}

#[derive(Default)]
struct State {
    pending: Option<Pending>,
    stop: bool,
    wake: bool,
    /// The process that the worker waits for, and the latest process that has ended: the message about a killed
    /// process may arrive late.
    child: u64,
    child_ended: u64,
}

/// The reason why a wait ended.
#[derive(Debug)]
pub(crate) enum Wake {
    /// A change has settled.
    Due(Pending),
    /// Events are queued for callbacks.
    Callbacks,
    /// The worker must end.
    Stop,
}

/// One mutex and one condition variable for all input of a worker.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Records a hint. May be called from any thread, and blocks only for the short lock.
    pub(crate) fn hint(&self, hint: Hint) {
        let now = Instant::now();
        let mut state = self.lock();
        state.pending = Some(match state.pending {
            None => Pending::new(now, now, matches!(hint, Hint::Writing | Hint::Noticed)),
            Some(pending) => match hint {
                Hint::Writing => Pending {
                    last: now,
                    writing: true,
                    ..pending
                },
                Hint::Complete => Pending {
                    last: now,
                    writing: false,
                    ..pending
                },
                Hint::Touched => Pending { last: now, ..pending },
                Hint::Noticed => pending,
            },
        });
        drop(state);
        self.changed.notify_one();
    }

    /// Puts back a change that could not be read yet, to be looked at again after `quiet`.
    pub(crate) fn retry(&self, first: Instant, quiet: Duration) {
        let now = Instant::now();
        let mut state = self.lock();
        let mut pending = state.pending.unwrap_or_else(|| Pending::new(first, now, false));
        // A newer hint is about the same change, which began with its first hint.
        pending.first = pending.first.min(first);
        pending.not_before = now + quiet;
        state.pending = Some(pending);
    }

    /// Wakes the worker to run the queued callbacks.
    pub(crate) fn wake(&self) {
        self.lock().wake = true;
        self.changed.notify_one();
    }

    /// Tells the worker to end.
    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.changed.notify_one();
    }

    /// Waits for a while, or until the worker must end. Returns whether it must end.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if state.stop || left.is_zero() {
                return state.stop;
            }
            state = wait_timeout(&self.changed, state, left);
        }
    }

    /// Returns whether the worker was told to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.lock().stop
    }

    /// Prepares for a new run.
    pub(crate) fn reset(&self) {
        let mut state = self.lock();
        state.stop = false;
        state.pending = None;
    }

    #[cfg(test)]
    pub(crate) fn has_pending(&self) -> bool {
        self.lock().pending.is_some()
    }

    /// Waits for a settled change, for queued callbacks, or until the worker must end.
    pub(crate) fn next(&self, debounce: Duration) -> Wake {
        let mut state = self.lock();
        loop {
            if state.stop {
                return Wake::Stop;
            }
            if std::mem::take(&mut state.wake) {
                return Wake::Callbacks;
            }
            state = match state.pending {
                None => wait(&self.changed, state),
                Some(pending) => {
                    let left = pending.due(debounce).saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        state.pending = None;
                        return Wake::Due(pending);
                    }
                    wait_timeout(&self.changed, state, left)
                }
            };
        }
    }

    /// Tells the worker that a process that it waits for has ended.
    pub(crate) fn child_ended(&self, child: u64) {
        let mut state = self.lock();
        state.child_ended = state.child_ended.max(child);
        drop(state);
        self.changed.notify_one();
    }

    /// Prepares to wait for a process, and returns the number with which to report its end.
    pub(crate) fn expect_child(&self) -> u64 {
        let mut state = self.lock();
        state.child += 1;
        state.child
    }

    /// Waits, during a build, for the end of the build, a settled change, the deadline, or until the worker must
    /// end; and at most for `tick`, if the end of the process must be polled.
    pub(crate) fn during_build(
        &self,
        debounce: Duration,
        deadline: Option<Instant>,
        tick: Option<Duration>,
    ) -> BuildWake {
        let tick = tick.map(|tick| Instant::now() + tick);
        let mut state = self.lock();
        loop {
            if state.stop {
                return BuildWake::Stop;
            }
            if state.child_ended == state.child {
                return BuildWake::Ended;
            }
            if std::mem::take(&mut state.wake) {
                return BuildWake::Callbacks;
            }
            let now = Instant::now();
            let mut left = match deadline.map(|deadline| deadline.saturating_duration_since(now)) {
                Some(left) if left.is_zero() => return BuildWake::Deadline,
                left => left,
            };
            if let Some(tick) = tick.map(|tick| tick.saturating_duration_since(now)) {
                if tick.is_zero() {
                    return BuildWake::Tick;
                }
                left = Some(left.map_or(tick, |left| left.min(tick)));
            }
            if let Some(pending) = state.pending {
                let due = pending.due(debounce).saturating_duration_since(now);
                if due.is_zero() {
                    state.pending = None;
                    return BuildWake::Due(pending);
                }
                left = Some(left.map_or(due, |left| left.min(due)));
            }
            state = match left {
                None => wait(&self.changed, state),
                Some(left) => wait_timeout(&self.changed, state, left),
            };
        }
    }
}

/// The reason why a wait during a build ended.
#[derive(Debug)]
pub(crate) enum BuildWake {
    Ended,
    Tick,
    Callbacks,
    Due(Pending),
    Deadline,
    Stop,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pending(inbox: &Inbox) -> Pending {
        inbox.lock().pending.expect("a change is pending")
    }

    #[test]
    fn each_hint_restarts_the_wait_up_to_a_limit() {
        let start = Instant::now();
        let mut change = Pending::new(start, start, false);
        assert_eq!(change.due(100 * MS), start + 100 * MS);
        change.last = start + 70 * MS;
        assert_eq!(change.due(100 * MS), start + 170 * MS);
        change.writing = true;
        assert_eq!(change.due(Duration::ZERO), start + 70 * MS + WRITER_QUIET);
        change.last = start + 3600 * 1000 * MS;
        assert_eq!(change.due(100 * MS), start + PATIENCE);
        assert_eq!(change.due(1000 * MS), start + 10_000 * MS);
        change.not_before = start + 60_000 * MS;
        assert_eq!(change.due(100 * MS), start + 60_000 * MS);
    }

    #[test]
    fn a_hint_determines_whether_a_writer_is_active() {
        let inbox = Inbox::default();
        let is_writing = |hint| {
            inbox.hint(hint);
            pending(&inbox).writing
        };
        let sequence = [
            (Hint::Noticed, true),
            (Hint::Complete, false),
            (Hint::Touched, false),
            (Hint::Noticed, false),
            (Hint::Writing, true),
            (Hint::Touched, true),
            (Hint::Complete, false),
        ];
        for (hint, expected) in sequence {
            assert_eq!(is_writing(hint), expected, "{hint:?}");
        }
    }

    #[test]
    fn a_retry_keeps_the_age_of_the_change_and_waits() {
        let inbox = Inbox::default();
        let first = Instant::now();
        inbox.retry(first, 50 * MS);
        inbox.hint(Hint::Complete);
        assert_eq!(pending(&inbox).first, first);
        match inbox.next(Duration::ZERO) {
            Wake::Due(pending) => assert_eq!(pending.first, first),
            other => panic!("{other:?}"),
        }
        assert!(first.elapsed() >= 50 * MS);
    }

    #[test]
    fn the_end_of_an_older_process_does_not_end_the_wait_for_a_newer_one() {
        let inbox = Inbox::default();
        let old = inbox.expect_child();
        let new = inbox.expect_child();
        inbox.child_ended(old);
        let soon = || Some(Instant::now() + 5 * MS);
        assert!(matches!(
            inbox.during_build(Duration::ZERO, soon(), None),
            BuildWake::Deadline
        ));
        inbox.child_ended(new);
        inbox.child_ended(old);
        assert!(matches!(
            inbox.during_build(Duration::ZERO, soon(), None),
            BuildWake::Ended
        ));
        inbox.stop();
        assert!(matches!(
            inbox.during_build(Duration::ZERO, soon(), None),
            BuildWake::Stop
        ));
    }
}
