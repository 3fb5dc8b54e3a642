//! The events that the host has not read.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Event, EventKind};
use crate::plugins::unpoisoned;

/// The events that are kept for a host that does not read them.
const MAX_EVENTS: usize = 10_000;

/// The target of log records.
const LOG_TARGET: &str = "dynload_plugins";

fn level(kind: &EventKind) -> log::Level {
    match kind {
        EventKind::Failed { .. } | EventKind::Problem(_) => log::Level::Warn,
        _ => log::Level::Info,
    }
}

/// Events that the host has not read.
#[derive(Default)]
pub(crate) struct Events {
    queue: Mutex<(VecDeque<Event>, u64)>,
    arrived: Condvar,
}

impl Events {
    pub(crate) fn push(&self, plugin: Option<&str>, kind: EventKind) {
        let mut queue = unpoisoned(self.queue.lock());
        if queue.0.len() >= MAX_EVENTS {
            queue.0.pop_front();
            queue.1 += 1;
        }
        let event = Event {
            plugin: plugin.map(str::to_owned),
            kind,
        };
        queue.0.push_back(event.clone());
        drop(queue);
        // Without the lock: a logger is code of the host.
        log::log!(target: LOG_TARGET, level(&event.kind), "{event}");
        self.arrived.notify_all();
    }

    /// Returns the next event, and waits for it for at most `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Event> {
        let end = Instant::now().checked_add(timeout);
        let mut queue = unpoisoned(self.queue.lock());
        loop {
            let discarded = std::mem::take(&mut queue.1);
            if discarded > 0 {
                let kind = EventKind::Discarded(discarded);
                return Some(Event { plugin: None, kind });
            }
            if let Some(event) = queue.0.pop_front() {
                return Some(event);
            }
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            let waited = self.arrived.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects log records.
    struct Collector(Mutex<Vec<String>>);

    impl log::Log for Collector {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.target() == LOG_TARGET
        }

        fn log(&self, record: &log::Record<'_>) {
            let line = format!("{} {}", record.level(), record.args());
            unpoisoned(self.0.lock()).push(line);
        }

        fn flush(&self) {}
    }

    #[test]
    fn events_are_logged_with_the_name_of_the_plugin() {
        static COLLECTOR: Collector = Collector(Mutex::new(Vec::new()));
        log::set_logger(&COLLECTOR).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        let events = Events::default();
        let reason = crate::event::LoadFailure::NativeNotAllowed;
        events.push(Some("logged"), EventKind::Removed);
        events.push(
            Some("logged"),
            EventKind::Failed {
                reason,
                keeps_running: false,
            },
        );
        let mut lines = unpoisoned(COLLECTOR.0.lock()).clone();
        // The other tests log too.
        lines.retain(|line| line.contains(" logged: "));
        assert_eq!(
            lines,
            [
                "INFO logged: it is no longer found, and was dropped",
                "WARN logged: it is not loaded: it is native code, which this host does not load",
            ]
        );
    }

    #[test]
    fn events_that_no_one_reads_are_counted() {
        let events = Events::default();
        assert!(events.next(Duration::ZERO).is_none());
        for number in 0..MAX_EVENTS + 3 {
            events.push(Some(&number.to_string()), EventKind::Removed);
        }
        let first = events.next(Duration::ZERO).unwrap();
        assert!(matches!(first.kind, EventKind::Discarded(3)), "{first}");
        let rest: Vec<_> = std::iter::from_fn(|| events.next(Duration::ZERO)).collect();
        assert_eq!((rest.len(), rest[0].plugin.as_deref()), (MAX_EVENTS, Some("3")));
    }
}
