//! The streams of a running program on Windows. Its pipes cannot be waited for, so threads read and write them: they may block,
//! and calls do not. They end with the pipes.

use crate::services::wasi::Errno;
use dynload_process::Stream;
use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel},
    thread,
    time::Duration,
    vec,
    vec::Vec,
};

/// Returns the working directory of programs: the root of the drive of the system.
pub(in crate::services) fn root() -> PathBuf {
    let drive = std::env::var_os("SystemDrive").unwrap_or_else(|| "C:".into());
    Path::new(&drive).join(r"\")
}

/// How long the output of a program that has ended may be on its way. A process that escaped may hold the pipes longer.
pub(in crate::services) const DRAIN: Duration = Duration::from_secs(2);

/// Bytes that are on their way at most, twice: with the thread, and handed over.
const CHUNK: usize = 1 << 14;

/// The standard input of a program.
pub(in crate::services) struct Input(SyncSender<Vec<u8>>);

impl Input {
    pub(in crate::services) fn new() -> io::Result<(Input, Stream)> {
        let (theirs, mut ours) = io::pipe()?;
        let (sender, receiver) = sync_channel::<Vec<u8>>(1);
        spawn(move || {
            // The program accepts no more input when this fails, and its end is seen as such.
            while let Ok(bytes) = receiver.recv()
                && ours.write_all(&bytes).is_ok()
            {}
        })?;
        Ok((Input(sender), theirs.into()))
    }

    /// Writes as much as the program accepts.
    pub(in crate::services) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(CHUNK);
        self.0
            .try_send(bytes[..len].to_vec())
            .map_err(|error| match error {
                TrySendError::Full(_) => io::ErrorKind::WouldBlock,
                TrySendError::Disconnected(_) => io::ErrorKind::BrokenPipe,
            })?;
        Ok(len)
    }
}

/// The standard output or error of a program.
pub(in crate::services) struct Output {
    receiver: Receiver<Vec<u8>>,
    /// Received, and not read yet.
    rest: Vec<u8>,
}

impl Output {
    pub(in crate::services) fn new() -> io::Result<(Output, Stream)> {
        let (mut ours, theirs) = io::pipe()?;
        let (sender, receiver) = sync_channel(1);
        spawn(move || {
            let mut bytes = vec![0; CHUNK];
            while let Ok(len @ 1..) = ours.read(&mut bytes)
                && sender.send(bytes[..len].to_vec()).is_ok()
            {}
        })?;
        let rest = Vec::new();
        Ok((Output { receiver, rest }, theirs.into()))
    }

    /// Reads what the program has written, and 0 at the end.
    pub(in crate::services) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = match self.receiver.try_recv() {
                Ok(bytes) => bytes,
                Err(TryRecvError::Empty) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(TryRecvError::Disconnected) => return Ok(0),
            };
        }
        let len = buffer.len().min(self.rest.len());
        buffer[..len].copy_from_slice(&self.rest[..len]);
        self.rest.drain(..len);
        Ok(len)
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name("dynload-process".into())
        .spawn(run)
        .map(drop)
}

/// Waits a slice.
pub(in crate::services) fn wait(
    _input: Option<&Input>,
    _outputs: [Option<&Output>; 2],
    slice: Duration,
) -> Result<(), Errno> {
    thread::sleep(slice);
    Ok(())
}

/// Returns the status.
pub(in crate::services) fn status(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}
