//! Waiting until a descriptor of the host is ready, without missing the deadline, an interrupt or a revocation.

use super::{answer::Answer, wasi::Errno};
use crate::host::Caller;
use dynload_caps::Capabilities;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, BorrowedFd},
};
use std::{io, time::Duration};

/// How long a wait lasts between two checks of deadline, interrupt and capabilities.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// Waits at most `timeout` for one of the descriptors, and returns how many are ready.
pub(super) fn wait(fds: &mut [PollFd<'_>], timeout: Duration) -> Result<usize, Errno> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        // Fewer than 10^9.
        tv_nsec: timeout.subsec_nanos() as _,
    };
    match poll(fds, Some(&timeout)) {
        Ok(ready) => Ok(ready),
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(error) => Err(Errno::from(&io::Error::from(error))),
    }
}

/// Returns whether the descriptor is ready within `timeout`. Errors and hang-ups count as ready.
pub(super) fn is_ready(fd: impl AsFd, flags: PollFlags, timeout: Duration) -> Result<bool, Errno> {
    Ok(wait(&mut [PollFd::new(&fd, flags)], timeout)? > 0)
}

/// How to determine whether a descriptor is ready.
pub(super) enum Ready<'a> {
    /// It is ready; this many bytes can be read or written.
    Now(u64),
    /// It is not ready.
    #[cfg_attr(unix, expect(dead_code, reason = "the system can be asked about everything"))]
    Later,
    /// The operating system must be asked.
    Ask(BorrowedFd<'a>),
}

/// Calls `step` until it returns a value, and lets `pause` wait a slice between two calls.
///
/// Returns NOTCAPABLE as soon as one of `needed` is revoked, and ends the call when its time is up.
pub(super) fn retry<T>(
    caller: &mut Caller<'_>,
    needed: Capabilities,
    mut step: impl FnMut(&mut Caller<'_>) -> Answer<Option<T>>,
    mut pause: impl FnMut(&mut Caller<'_>, Duration) -> Answer,
) -> Answer<T> {
    loop {
        caller.check()?;
        super::require(caller, needed)?;
        if let Some(done) = step(caller)? {
            return Ok(done);
        }
        lend(caller);
        let slice = SLICE.min(caller.remaining());
        pause(caller, slice)?;
    }
}

/// Returns the unburnt fuel of the running slice while a call waits, if other calls share the fuel.
pub(super) fn lend(caller: &mut Caller<'_>) {
    let state = caller.state();
    if state.parent.is_some() || state.services.is_shared() {
        caller.return_fuel();
    }
}
