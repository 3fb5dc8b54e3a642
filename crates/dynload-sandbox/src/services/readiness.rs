//! Waiting until a descriptor of the host is ready, without missing the deadline, an interrupt or a revocation.

use super::{answer::Answer, wasi::Errno};
use crate::host::{Caller, Stream};
use dynload_caps::Capabilities;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::AsFd,
};
use std::{io, time::Duration};

/// How long a wait goes on between two looks at deadline, interrupt and capabilities.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// Waits at most `timeout` for one of the descriptors, and says what became ready.
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

/// Whether the descriptor is ready by the end of `timeout`. Errors and hang-ups make it ready as well.
pub(super) fn is_ready(fd: impl AsFd, flags: PollFlags, timeout: Duration) -> Result<bool, Errno> {
    Ok(wait(&mut [PollFd::new(&fd, flags)], timeout)? > 0)
}

/// Bytes that a pipe takes without waiting once it says that it takes any (`PIPE_BUF` in POSIX).
pub(crate) const PIPE_ROOM: usize = 512;

/// Whether the host's own stream takes [`PIPE_ROOM`] bytes by the end of `timeout`.
pub(super) fn is_console_ready(stream: Stream, timeout: Duration) -> Result<bool, Errno> {
    match stream {
        Stream::Out => is_ready(io::stdout(), PollFlags::OUT, timeout),
        Stream::Err => is_ready(io::stderr(), PollFlags::OUT, timeout),
    }
}

/// Whether nobody is left to read what is written.
pub(super) fn has_hung_up(fd: impl AsFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(&fd, PollFlags::OUT)];
    wait(&mut fds, Duration::ZERO)?;
    Ok(fds[0].revents().contains(PollFlags::ERR))
}

/// Tries `step` until it gives something, and lets `pause` wait a slice between two tries.
///
/// Ends with NOTCAPABLE as soon as one of `needed` is taken back, and with the call when its time is up.
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

/// Gives back fuel that is not burnt while a call waits, where others share it.
pub(super) fn lend(caller: &mut Caller<'_>) {
    let state = caller.state();
    if state.parent.is_some() || state.services.open().workers.is_shared() {
        caller.lend_fuel();
    }
}
