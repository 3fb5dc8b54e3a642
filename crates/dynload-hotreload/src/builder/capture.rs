//! The output of a build, limited in size.

#[cfg(not(unix))]
use std::io::Read;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::sync::{lock, wait_timeout};

/// How many bytes of output for people are kept: this many of the beginning and this many of the end.
const KEPT: usize = 128 * 1024;
/// How many bytes of output for programs are kept: enough for the messages of a large `cargo build`.
const KEPT_WHOLE: usize = 64 * 1024 * 1024;

#[derive(Default)]
struct Text {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: usize,
    ended: bool,
}

/// Reads a pipe to its end on a separate thread, so that the build never waits for this process.
///
/// The thread and the pipe end with the capture, even if another process keeps the pipe open (where a read cannot
/// be interrupted, as on Windows, they end when that process closes it).
pub(super) struct Capture {
    shared: Arc<(Mutex<Text>, Condvar)>,
    /// Receives a byte to tell the thread to read only what is already in the pipe. Closing it would not be enough: another
    /// thread of the host may have forked a process, which has a copy.
    stop: PipeWriter,
    /// Kept open: writing to a pipe without a reader would raise a signal in the host.
    _stopped: Arc<PipeReader>,
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It cannot fail: the pipe is empty and has a reader.
        let _ = self.stop.write(&[0]);
    }
}

impl Capture {
    pub(super) fn start(pipe: PipeReader, whole: bool) -> io::Result<Self> {
        let shared = Arc::<(Mutex<Text>, Condvar)>::default();
        let ours = Arc::clone(&shared);
        let kept = if whole { KEPT_WHOLE } else { KEPT };
        let (stopped, stop) = io::pipe()?;
        let stopped = Arc::new(stopped);
        let source = Source {
            pipe,
            stopped: Arc::clone(&stopped),
        };
        thread::Builder::new()
            .name("dynload build output".into())
            .spawn(move || ours.read_all(source, kept))?;
        Ok(Self {
            shared,
            stop,
            _stopped: stopped,
        })
    }

    /// Returns the output until now. Call it when the build has ended. If a child outlives the build and keeps the
    /// pipe open, this does not wait for the child, or at most for `patience`.
    pub(super) fn finish(self, patience: Duration) -> String {
        let shared = Arc::clone(&self.shared);
        drop(self);
        let (text, ended) = &*shared;
        let deadline = Instant::now() + patience;
        let mut text = lock(text);
        while !text.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            text = wait_timeout(ended, text, left);
        }
        let mut whole = String::from_utf8_lossy(&text.head).into_owned();
        if text.dropped > 0 {
            whole.push_str(&format!("\n[{} bytes left out]\n", text.dropped));
        }
        whole.push_str(&String::from_utf8_lossy(&text.tail));
        whole
    }
}

/// A pipe that is read until it ends or until the capture stops.
struct Source {
    pipe: PipeReader,
    #[cfg_attr(not(unix), allow(dead_code, reason = "a read cannot be interrupted"))]
    stopped: Arc<PipeReader>,
}

impl Source {
    /// Passes the bytes to `push`, piece by piece.
    #[cfg(unix)]
    fn read_all(&mut self, mut push: impl FnMut(&[u8])) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut buffer = [0; 8192];
        loop {
            let mut fds = [&self.pipe, &*self.stopped].map(|pipe| PollFd::new(pipe, PollFlags::IN));
            rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
            let is_stopped = !fds[1].revents().is_empty();
            // After the stop, read only the current contents of the pipe: a process may write to it forever.
            let mut left = if is_stopped {
                usize::try_from(rustix::io::ioctl_fionread(&self.pipe)?).unwrap_or(usize::MAX)
            } else {
                buffer.len()
            };
            while left > 0 {
                let room = left.min(buffer.len());
                let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.pipe, &mut buffer[..room]))?;
                if read == 0 {
                    return Ok(());
                }
                push(&buffer[..read]);
                left = if is_stopped { left - read } else { 0 };
            }
            if is_stopped {
                return Ok(());
            }
        }
    }

    /// Passes the bytes to `push`, piece by piece.
    #[cfg(not(unix))]
    fn read_all(&mut self, mut push: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; 8192];
        loop {
            match self.pipe.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Ok(()),
                read => push(&buffer[..read?]),
            }
        }
    }
}

trait ReadAll {
    fn read_all(&self, source: Source, kept: usize);
}

impl ReadAll for (Mutex<Text>, Condvar) {
    fn read_all(&self, mut source: Source, kept: usize) {
        let text = || lock(&self.0);
        // After a read error, the output so far is used.
        let _ = source.read_all(|read| text().push(read, kept));
        drop(source);
        text().ended = true;
        self.1.notify_all();
    }
}

impl Text {
    fn push(&mut self, bytes: &[u8], kept: usize) {
        let to_head = bytes.len().min(kept - self.head.len());
        self.head.extend_from_slice(&bytes[..to_head]);
        self.tail.extend_from_slice(&bytes[to_head..]);
        // Cut rarely, so that each byte is moved once on average.
        if self.tail.len() > 2 * kept {
            let cut = self.tail.len() - kept;
            self.tail.drain(..cut);
            self.dropped += cut;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_keeps_its_beginning_and_end() {
        let mut input = b"first line\n".to_vec();
        input.extend(std::iter::repeat_n(b'x', 5 * KEPT));
        input.extend(b"\nlast line");
        let (reader, mut writer) = io::pipe().unwrap();
        let capture = Capture::start(reader, false).unwrap();
        writer.write_all(&input).unwrap();
        drop(writer);
        let text = capture.finish(Duration::from_secs(10));
        assert!(text.starts_with("first line\n"));
        assert!(text.ends_with("\nlast line"));
        assert!(text.contains("bytes left out"));
        assert!(text.len() < 3 * KEPT + 100);
    }

    /// A regression test: a server that a compiler started cost a thread, two descriptors and half a second per
    /// build.
    #[cfg(unix)]
    #[test]
    fn a_pipe_that_stays_open_costs_nothing() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"so far").unwrap();
        let capture = Capture::start(reader, false).unwrap();
        let started = Instant::now();
        assert_eq!(capture.finish(Duration::from_secs(600)), "so far");
        assert!(started.elapsed() < Duration::from_secs(60));
        // The other end is closed.
        let error = writer.write_all(b"later").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_writer_is_not_read_for_ever() {
        let (reader, mut writer) = io::pipe().unwrap();
        let capture = Capture::start(reader, false).unwrap();
        let writing = thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
        assert!(capture.finish(Duration::from_secs(600)).len() < 10 * KEPT);
        writing.join().unwrap();
    }
}
