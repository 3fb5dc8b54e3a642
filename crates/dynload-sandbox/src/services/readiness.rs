//! Waiting until a descriptor of the host is ready, without missing the deadline, an interrupt or a revocation.

use super::{answer::Answer, wasi::Errno};
use crate::host::{Caller, Stream};
use dynload_caps::Capabilities;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::AsFd,
};
use std::{io, time::Duration};

/// How long a wait lasts between two checks of deadline, interrupt and capabilities.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// Waits at most `timeout` for one of the descriptors, and returns how many are ready.
pub(super) fn wait(fds: &mut [PollFd<'_>], timeout: Duration) -> Result<usize, Errno> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
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

/// Bytes that a pipe accepts without blocking once it is writable (the minimum of `PIPE_BUF` in POSIX).
pub(crate) const PIPE_ROOM: usize = 512;

/// Returns whether the host's own stream accepts [`PIPE_ROOM`] bytes within `timeout`.
pub(super) fn is_console_ready(stream: Stream, timeout: Duration) -> Result<bool, Errno> {
    match stream {
        Stream::Out => is_ready(io::stdout(), PollFlags::OUT, timeout),
        Stream::Err => is_ready(io::stderr(), PollFlags::OUT, timeout),
    }
}

/// Returns whether the descriptor has no readers left.
pub(super) fn has_hung_up(fd: impl AsFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    wait(&mut fds, Duration::ZERO)?;
    Ok(fds[0].revents().contains(PollFlags::ERR))
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
