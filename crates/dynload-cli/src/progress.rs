//! A line on the terminal for work that takes long.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Does `work`. If it takes longer than a second and standard error is a terminal, prints `what` there, once.
pub(crate) fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let _ = writeln!(io::stderr(), "dynload: {what} ...");
            }
        });
        // Dropped also if the work panics, so that the thread ends.
        let _done = done;
        work()
    })
}
