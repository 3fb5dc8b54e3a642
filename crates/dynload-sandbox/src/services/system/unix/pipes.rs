//! The streams of a running program on Unix: nonblocking, and waited for together.

use crate::services::{readiness, wasi::Errno};
use dynload_process::Stream;
use rustix::{
    event::{PollFd, PollFlags},
    io::ioctl_fionbio,
    net::SendFlags,
};
use std::{
    io::{self, PipeReader, Read},
    os::unix::{net::UnixStream, process::ExitStatusExt},
    path::PathBuf,
    process::ExitStatus,
    time::Duration,
    vec::Vec,
};

/// Returns the working directory of programs.
pub(in crate::services) fn root() -> PathBuf {
    "/".into()
}

/// How long the output of a program that has ended may be on its way: it is there at once.
pub(in crate::services) const DRAIN: Duration = Duration::ZERO;

/// A program that does not read must not raise a signal in the host. Apple's systems have an option of the socket
/// instead, which [`Input::new`] sets.
const QUIET: SendFlags = {
    #[cfg(target_vendor = "apple")]
    {
        SendFlags::empty()
    }
    #[cfg(not(target_vendor = "apple"))]
    {
        SendFlags::NOSIGNAL
    }
};

/// The standard input of a program. Not a pipe: writing to a pipe without readers raises a signal that may kill the host.
pub(in crate::services) struct Input(UnixStream);

impl Input {
    pub(in crate::services) fn new() -> io::Result<(Input, Stream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        #[cfg(target_vendor = "apple")]
        rustix::net::sockopt::set_socket_nosigpipe(&ours, true)?;
        Ok((Input(ours), theirs.into()))
    }

    /// Writes as much as the program accepts.
    pub(in crate::services) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.0, bytes, QUIET)?)
    }
}

/// The standard output or error of a program.
pub(in crate::services) struct Output(PipeReader);

impl Output {
    pub(in crate::services) fn new() -> io::Result<(Output, Stream)> {
        let (ours, theirs) = io::pipe()?;
        ioctl_fionbio(&ours, true)?;
        Ok((Output(ours), theirs.into()))
    }

    /// Reads what the program has written, and 0 at the end.
    pub(in crate::services) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Waits at most `slice` until one of the streams is ready.
pub(in crate::services) fn wait(
    input: Option<&Input>,
    outputs: [Option<&Output>; 2],
    slice: Duration,
) -> Result<(), Errno> {
    if outputs.iter().all(Option::is_none) {
        std::thread::sleep(slice);
        return Ok(());
    }
    let mut fds = Vec::with_capacity(3);
    fds.extend(
        outputs
            .into_iter()
            .flatten()
            .map(|output| PollFd::new(&output.0, PollFlags::IN)),
    );
    fds.extend(input.map(|input| PollFd::new(&input.0, PollFlags::OUT)));
    readiness::wait(&mut fds, slice).map(drop)
}

/// Returns the status as in a shell: 128 plus the number of the signal that killed the program.
pub(in crate::services) fn status(status: ExitStatus) -> i32 {
    let signal = || 128 + status.signal().unwrap_or(0);
    status.code().unwrap_or_else(signal)
}
