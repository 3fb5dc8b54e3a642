//! The host's own console on Unix: descriptors 0 to 2, which are read and written when they are ready.

use crate::{
    host::Stream,
    services::{
        readiness::{Ready, is_ready as poll},
        signals::with_signals_blocked,
        wasi::Errno,
    },
};
use rustix::{event::PollFlags, fd::AsFd, io::Errno as Os};
use std::{
    io::{self, Stderr, Stdin, Stdout, Write, stderr, stdin, stdout},
    time::Duration,
};

/// Bytes that a pipe accepts without blocking once it is writable (the minimum of `PIPE_BUF` in POSIX).
pub(crate) const ROOM: usize = 512;

/// Returns whether the stream accepts [`ROOM`] bytes within `timeout`.
pub(in crate::services) fn is_writable(stream: Stream, timeout: Duration) -> Result<bool, Errno> {
    match stream {
        Stream::Out => poll(stdout(), PollFlags::OUT, timeout),
        Stream::Err => poll(stderr(), PollFlags::OUT, timeout),
    }
}

/// Returns whether the stream accepts [`ROOM`] bytes now. A failing write does not block either.
pub(crate) fn is_ready(stream: Stream) -> bool {
    is_writable(stream, Duration::ZERO).unwrap_or(true)
}

/// Returns true: what [`write`] accepted is written.
pub(crate) fn is_written(_stream: Stream, _timeout: Duration) -> bool {
    true
}

/// Returns the error of what [`write`] accepted: there is none.
pub(in crate::services) fn result(_stream: Stream) -> io::Result<()> {
    Ok(())
}

/// Returns whether there is input, or its end, within `timeout`.
pub(in crate::services) fn is_readable(timeout: Duration) -> Result<bool, Errno> {
    poll(stdin(), PollFlags::IN, timeout)
}

/// Reads what there is.
pub(in crate::services) fn read(bytes: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(stdin(), bytes)?)
}

/// Writes to the stream. A closed stream is an error of the write, and must not end the host.
pub(crate) fn write(stream: Stream, bytes: &[u8]) -> io::Result<usize> {
    with_signals_blocked(|| match stream {
        Stream::Out => {
            let mut out = stdout().lock();
            out.flush()?;
            write_whole(&out, bytes)
        }
        Stream::Err => write_whole(stderr().lock(), bytes),
    })
}

/// Bypasses the buffer of the standard library, which keeps unwritten bytes and retries them later, when signals are
/// no longer blocked.
fn write_whole(stream: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::write(&stream, &bytes[done..]) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(Os::INTR) => {}
            // The next write reports the error.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

/// The three streams, for `poll_oneoff`.
pub(in crate::services) struct Streams {
    input: Stdin,
    output: Stdout,
    errors: Stderr,
}

impl Streams {
    pub(in crate::services) fn new() -> Streams {
        Streams {
            input: stdin(),
            output: stdout(),
            errors: stderr(),
        }
    }

    pub(in crate::services) fn input(&self) -> Ready<'_> {
        Ready::Ask(self.input.as_fd())
    }

    pub(in crate::services) fn output(&self, stream: Stream) -> Ready<'_> {
        Ready::Ask(match stream {
            Stream::Out => self.output.as_fd(),
            Stream::Err => self.errors.as_fd(),
        })
    }
}
