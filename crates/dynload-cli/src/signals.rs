//! Signals that end the command.

use std::io;

/// Calls `work`, and returns its result and the signal that ended it, if one did.
///
/// SIGINT, SIGTERM or SIGHUP calls `stop` on another thread, which has to end `work`. A second signal ends the process
/// immediately.
#[cfg(unix)]
pub(crate) fn stopping<T>(stop: impl Fn() + Sync, work: impl FnOnce() -> T) -> io::Result<(T, Option<i32>)> {
    use std::sync::OnceLock;
    use std::thread;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let handle = signals.handle();
    let first = OnceLock::new();
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            for signal in signals.forever() {
                if first.set(signal).is_err() {
                    std::process::exit(128 + signal);
                }
                scope.spawn(&stop);
            }
        });
        let result = work();
        handle.close();
        result
    });
    Ok((result, first.get().copied()))
}

/// Calls `work`. This system ends the process on Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn stopping<T>(_stop: impl Fn() + Sync, work: impl FnOnce() -> T) -> io::Result<(T, Option<i32>)> {
    Ok((work(), None))
}
