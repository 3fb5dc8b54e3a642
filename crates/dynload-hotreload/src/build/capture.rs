//! What a build writes, kept within bounds.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much is kept of the beginning and of the end, each, of what a person is to read.
const KEPT: usize = 128 * 1024;
/// How much is kept of what a program is to read: the messages of a large `cargo build`.
const KEPT_WHOLE: usize = 64 * 1024 * 1024;

#[derive(Default)]
struct Text {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: usize,
    ended: bool,
}

/// Reads a pipe to its end on a thread of its own, so that the build never waits for us.
pub(super) struct Capture {
    shared: Arc<(Mutex<Text>, Condvar)>,
}

impl Capture {
    pub(super) fn start(pipe: impl Read + Send + 'static, whole: bool) -> std::io::Result<Self> {
        let shared = Arc::<(Mutex<Text>, Condvar)>::default();
        let ours = Arc::clone(&shared);
        let kept = if whole { KEPT_WHOLE } else { KEPT };
        thread::Builder::new()
            .name("dynload build output".into())
            .spawn(move || ours.read_all(pipe, kept))?;
        Ok(Self { shared })
    }

    /// What was written until the pipe's end, or until `patience` is over: a child that outlives the build and
    /// keeps the pipe open is not waited for.
    pub(super) fn finish(self, patience: Duration) -> String {
        let (text, ended) = &*self.shared;
        let deadline = Instant::now() + patience;
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        while !text.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            text = ended
                .wait_timeout(text, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let mut whole = String::from_utf8_lossy(&text.head).into_owned();
        if text.dropped > 0 {
            whole.push_str(&format!("\n[{} bytes left out]\n", text.dropped));
        }
        whole.push_str(&String::from_utf8_lossy(&text.tail));
        whole
    }
}

trait ReadAll {
    fn read_all(&self, pipe: impl Read, kept: usize);
}

impl ReadAll for (Mutex<Text>, Condvar) {
    fn read_all(&self, mut pipe: impl Read, kept: usize) {
        let mut buffer = [0; 8192];
        loop {
            let read = match pipe.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => break,
                Ok(read) => &buffer[..read],
            };
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(read, kept);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
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
    fn keeps_both_ends() {
        let mut input = b"first line\n".to_vec();
        input.extend(std::iter::repeat_n(b'x', 5 * KEPT));
        input.extend(b"\nlast line");
        let text = Capture::start(std::io::Cursor::new(input), false)
            .unwrap()
            .finish(Duration::from_secs(10));
        assert!(text.starts_with("first line\n"));
        assert!(text.ends_with("\nlast line"));
        assert!(text.contains("bytes left out"));
        assert!(text.len() < 3 * KEPT + 100);
    }

    #[test]
    fn does_not_wait_for_a_pipe_that_stays_open() {
        let (reader, writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut &writer, b"so far").unwrap();
        let capture = Capture::start(reader, false).unwrap();
        // Until the reader thread has seen it, the text is empty: ask with room.
        assert_eq!(capture.finish(Duration::from_millis(500)), "so far");
        drop(writer);
    }
}
