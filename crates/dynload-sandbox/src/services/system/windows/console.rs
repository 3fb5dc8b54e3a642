//! The host's own console on Windows. The system has no wait for everything that a console can be, so threads read and write
//! there: they may block, and calls do not.
//!
//! Input is read when a guest asks for it, up to [`INPUT`] bytes at a time. What one guest leaves is there for the next. The
//! host itself cannot read its input from then on.

use crate::{
    host::Stream,
    services::{readiness::Ready, wasi::Errno},
};
use std::{
    io::{self, IsTerminal, Read, Write, stderr, stdin, stdout},
    string::String,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
    vec,
    vec::Vec,
};

/// Bytes that are handed over at a time.
pub(crate) const ROOM: usize = 512;

/// Bytes of output that wait to be written before calls wait too, as in a pipe.
const OUTPUT: usize = 1 << 16;

/// Bytes of input that are read ahead.
const INPUT: usize = 4096;

/// What a thread and the calls exchange.
struct Exchange<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    is_started: bool,
    content: T,
}

impl<T> Exchange<T> {
    const fn new(content: T) -> Exchange<T> {
        Exchange {
            state: Mutex::new(State {
                is_started: false,
                content,
            }),
            changed: Condvar::new(),
        }
    }

    /// No panic leaves the state inconsistent.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at most `timeout` until the content is as asked for.
    fn wait_for(&self, timeout: Duration, is_so: impl Fn(&T) -> bool) -> bool {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        while !is_so(&state.content) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Starts the thread, once.
    fn start(&'static self, run: fn()) -> io::Result<()> {
        let mut state = self.lock();
        if !state.is_started {
            thread::Builder::new().name("dynload-console".into()).spawn(run)?;
            state.is_started = true;
        }
        Ok(())
    }
}

/// Output that is not written yet, and how the last write failed.
struct Output {
    pending: Vec<u8>,
    is_writing: bool,
    failed: Option<io::Error>,
}

impl Output {
    const fn new() -> Output {
        Output {
            pending: Vec::new(),
            is_writing: false,
            failed: None,
        }
    }

    fn has_room(&self) -> bool {
        self.pending.len() + ROOM <= OUTPUT
    }

    fn is_written(&self) -> bool {
        self.pending.is_empty() && !self.is_writing
    }
}

static OUT: Exchange<Output> = Exchange::new(Output::new());
static ERR: Exchange<Output> = Exchange::new(Output::new());

fn exchange(stream: Stream) -> &'static Exchange<Output> {
    match stream {
        Stream::Out => &OUT,
        Stream::Err => &ERR,
    }
}

/// Returns whether the stream accepts [`ROOM`] bytes within `timeout`.
pub(in crate::services) fn is_writable(stream: Stream, timeout: Duration) -> Result<bool, Errno> {
    Ok(exchange(stream).wait_for(timeout, Output::has_room))
}

/// Returns whether the stream accepts [`ROOM`] bytes now.
pub(crate) fn is_ready(stream: Stream) -> bool {
    exchange(stream).wait_for(Duration::ZERO, Output::has_room)
}

/// Returns whether everything that [`write`] accepted is written within `timeout`.
pub(crate) fn is_written(stream: Stream, timeout: Duration) -> bool {
    exchange(stream).wait_for(timeout, Output::is_written)
}

/// Returns the error of what [`write`] accepted, once.
pub(in crate::services) fn result(stream: Stream) -> io::Result<()> {
    exchange(stream).lock().content.failed.take().map_or(Ok(()), Err)
}

/// Hands bytes over to be written. An error is that of the bytes before.
pub(crate) fn write(stream: Stream, bytes: &[u8]) -> io::Result<usize> {
    let exchange = exchange(stream);
    exchange.start(match stream {
        Stream::Out => || write_all(Stream::Out),
        Stream::Err => || write_all(Stream::Err),
    })?;
    result(stream)?;
    let mut state = exchange.lock();
    state.content.pending.extend_from_slice(bytes);
    exchange.changed.notify_all();
    Ok(bytes.len())
}

/// Writes what is handed over, as long as the process exists.
fn write_all(stream: Stream) {
    let exchange = exchange(stream);
    // The start of a character whose rest was not written yet.
    let mut cut = Vec::new();
    let mut state = exchange.lock();
    loop {
        let bytes = core::mem::take(&mut state.content.pending);
        if bytes.is_empty() {
            state = exchange.wait(state);
            continue;
        }
        state.content.is_writing = true;
        drop(state);
        let written = match stream {
            Stream::Out => put(&mut stdout().lock(), stdout().is_terminal(), &mut cut, &bytes),
            Stream::Err => put(&mut stderr().lock(), stderr().is_terminal(), &mut cut, &bytes),
        };
        state = exchange.lock();
        state.content.is_writing = false;
        state.content.failed = written.err().or(state.content.failed.take());
        exchange.changed.notify_all();
    }
}

/// Writes bytes. A terminal takes text only, and would drop everything that follows a byte that is not part of it.
fn put(to: &mut impl Write, is_terminal: bool, cut: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    if !is_terminal {
        to.write_all(bytes)?;
        return to.flush();
    }
    cut.extend_from_slice(bytes);
    let whole = match core::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => cut.len(),
    };
    to.write_all(String::from_utf8_lossy(&cut[..whole]).as_bytes())?;
    cut.drain(..whole);
    to.flush()
}

/// Input, and whether there is or should be more.
enum Input {
    /// No guest asked for it.
    Unasked,
    Asked,
    /// Read, and not all consumed.
    Bytes {
        bytes: Vec<u8>,
        used: usize,
    },
    /// The end of the input, or an error.
    Ended(io::Result<()>),
}

static IN: Exchange<Input> = Exchange::new(Input::Unasked);

/// Returns whether there is input, or its end, within `timeout`.
pub(in crate::services) fn is_readable(timeout: Duration) -> Result<bool, Errno> {
    ask().map_err(|error| Errno::from(&error))?;
    Ok(IN.wait_for(timeout, |input| {
        matches!(input, Input::Bytes { .. } | Input::Ended(_))
    }))
}

fn ask() -> io::Result<()> {
    IN.start(read_all)?;
    let mut state = IN.lock();
    if matches!(state.content, Input::Unasked) {
        state.content = Input::Asked;
        IN.changed.notify_all();
    }
    Ok(())
}

/// Reads what there is.
pub(in crate::services) fn read(buffer: &mut [u8]) -> io::Result<usize> {
    let mut state = IN.lock();
    match core::mem::replace(&mut state.content, Input::Unasked) {
        Input::Bytes { bytes, used } => {
            let len = buffer.len().min(bytes.len() - used);
            buffer[..len].copy_from_slice(&bytes[used..used + len]);
            if used + len < bytes.len() {
                let used = used + len;
                state.content = Input::Bytes { bytes, used };
            }
            Ok(len)
        }
        Input::Ended(ended) => ended.map(|()| 0),
        // Another guest was faster.
        before => {
            state.content = before;
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}

/// Reads when a guest asks, as long as the process exists.
fn read_all() {
    let mut state = IN.lock();
    loop {
        if !matches!(state.content, Input::Asked) {
            state = IN.wait(state);
            continue;
        }
        drop(state);
        let mut bytes = vec![0; INPUT];
        let read = stdin().lock().read(&mut bytes);
        state = IN.lock();
        state.content = match read {
            Ok(0) => Input::Ended(Ok(())),
            Ok(len) => {
                bytes.truncate(len);
                Input::Bytes { bytes, used: 0 }
            }
            Err(error) => Input::Ended(Err(error)),
        };
        IN.changed.notify_all();
    }
}

/// The three streams, for `poll_oneoff`.
pub(in crate::services) struct Streams(());

impl Streams {
    pub(in crate::services) fn new() -> Streams {
        Streams(())
    }

    pub(in crate::services) fn input(&self) -> Ready<'_> {
        if !is_readable(Duration::ZERO).unwrap_or(true) {
            return Ready::Later;
        }
        match &IN.lock().content {
            Input::Bytes { bytes, used } => Ready::Now((bytes.len() - used) as u64),
            Input::Ended(_) => Ready::Now(0),
            Input::Unasked | Input::Asked => Ready::Later,
        }
    }

    pub(in crate::services) fn output(&self, stream: Stream) -> Ready<'_> {
        if is_ready(stream) {
            Ready::Now(1)
        } else {
            Ready::Later
        }
    }
}
