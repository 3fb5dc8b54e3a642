//! The thread that searches again and again.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::plugins::{Shared, unpoisoned};

/// The share of time for searching, as a divisor.
const SHARE: u32 = 20;
/// The shortest pause between two searches.
const SHORTEST: Duration = Duration::from_millis(10);

/// A thread that refreshes until it is dropped.
pub(crate) struct Watcher {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(crate) fn start(shared: Arc<Shared>, interval: Duration) -> Watcher {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut pause = interval.max(SHORTEST);
            while !wait(&stopped, pause) {
                let start = Instant::now();
                shared.refresh();
                pause = interval.max(SHORTEST).max(start.elapsed().saturating_mul(SHARE));
            }
        });
        Watcher {
            stop,
            thread: Some(thread),
        }
    }
}

/// Waits, and returns whether the thread has to stop.
fn wait((stop, told): &(Mutex<bool>, Condvar), pause: Duration) -> bool {
    let stop = unpoisoned(stop.lock());
    let waited = told.wait_timeout_while(stop, pause, |stop| !*stop);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

impl Drop for Watcher {
    fn drop(&mut self) {
        *unpoisoned(self.stop.0.lock()) = true;
        self.stop.1.notify_all();
        // The thread itself drops it if the last host function that it runs drops the plugins.
        if let Some(thread) = self
            .thread
            .take()
            .filter(|thread| thread.thread().id() != thread::current().id())
        {
            let _ = thread.join();
        }
    }
}
