//! The destination of a guest's output and the source of its input.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

/// A stream of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output: file descriptor 1, `vais.print`, `vais.println`.
    Out,
    /// Standard error: file descriptor 2, `vais.log`.
    Err,
}

/// Bytes that a worker may write before it is joined.
#[cfg(feature = "std")]
const WORKER_LIMIT: u64 = 1 << 20;

/// Why a sink accepts no output. WASI reports it to the guest as the errno in parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputError {
    /// The reader has closed its end (`pipe`).
    BrokenPipe,
    /// There is no space left (`nospc`).
    NoSpace,
    /// Any other failure (`io`).
    Failed,
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OutputError::BrokenPipe => "the reader of the console has closed its end",
            OutputError::NoSpace => "there is no space left for the console's output",
            OutputError::Failed => "the console's output could not be written",
        })
    }
}

impl core::error::Error for OutputError {}

dynload_diagnostics::debug_with_causes!(OutputError);

#[cfg(feature = "std")]
impl From<std::io::Error> for OutputError {
    fn from(error: std::io::Error) -> OutputError {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => OutputError::BrokenPipe,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => OutputError::NoSpace,
            _ => OutputError::Failed,
        }
    }
}

/// Receives a guest's output, one write per call.
pub type OutputFn = dyn Fn(Stream, &[u8]) -> Result<(), OutputError> + Send + Sync;

/// The destination of a guest's output.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum ConsoleOutput {
    /// A buffer, for [`Instance::take_output`](crate::Instance::take_output).
    #[default]
    Buffer,
    /// The host's own standard output and standard error.
    #[cfg(feature = "std")]
    Inherit,
    /// A function that receives one write per call.
    Callback(Arc<OutputFn>),
    /// Nowhere: the output is discarded.
    Discard,
}

impl ConsoleOutput {
    /// Passes the output to `write`, one write per call. An error is reported to the guest, where the import has an errno.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Console, ConsoleOutput};
    ///
    /// let console = Console::new(ConsoleOutput::callback(|stream, bytes| {
    ///     println!("{stream:?}: {}", String::from_utf8_lossy(bytes));
    ///     Ok(())
    /// }));
    /// # drop(console);
    /// ```
    pub fn callback(
        write: impl Fn(Stream, &[u8]) -> Result<(), OutputError> + Send + Sync + 'static,
    ) -> ConsoleOutput {
        ConsoleOutput::Callback(Arc::new(write))
    }
}

impl fmt::Debug for ConsoleOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConsoleOutput::Buffer => "Buffer",
            #[cfg(feature = "std")]
            ConsoleOutput::Inherit => "Inherit",
            ConsoleOutput::Callback(_) => "Callback",
            ConsoleOutput::Discard => "Discard",
        })
    }
}

/// The console of a sandbox's instances. Each instance has its own buffers, and the limit applies to each.
#[derive(Debug, Clone)]
pub struct Console {
    output: ConsoleOutput,
    input: Arc<[u8]>,
    #[cfg(feature = "std")]
    inherit_input: bool,
    limit: u64,
}

impl Console {
    /// Bytes that an instance may write in total unless [`with_limit`](Console::with_limit) sets another limit: 1 MiB.
    pub const DEFAULT_LIMIT: u64 = 1 << 20;

    /// Returns a console with this output, no input and the default limit.
    #[must_use]
    pub fn new(output: ConsoleOutput) -> Console {
        Console {
            output,
            input: Arc::new([]),
            #[cfg(feature = "std")]
            inherit_input: false,
            limit: Console::DEFAULT_LIMIT,
        }
    }

    /// Returns the console of a worker: its output is buffered until it is passed on, and it has no input.
    #[cfg(feature = "std")]
    pub(crate) fn of_worker(&self) -> Console {
        Console::new(ConsoleOutput::Buffer).with_limit(self.limit.min(WORKER_LIMIT))
    }

    /// Sets `bytes` as standard input.
    #[must_use]
    pub fn with_input(mut self, bytes: impl Into<Arc<[u8]>>) -> Console {
        self.input = bytes.into();
        self
    }

    /// Sets the host's own standard input as standard input. On Windows, the host cannot read it any more once a guest has.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn with_inherited_input(mut self) -> Console {
        self.inherit_input = true;
        self
    }

    /// Sets the limit on the bytes that one instance may write in total, to both streams, from its creation or last
    /// reset.
    ///
    /// Bytes beyond the limit are not written. A write of WASI that reaches it is short, and later ones fail with the
    /// errno `nospc`; `vais.print`, `println` and `log` cannot report it, so the rest is dropped. The call continues.
    ///
    /// The count never decreases, not even when the host [takes](crate::Instance::take_output) the output of a buffer.
    /// So a plugin that is called many times with [`ConsoleOutput::Buffer`] needs a larger limit than the default, or a
    /// [reset](crate::Instance::reset), which restarts the count. The limit is what bounds the memory of the buffer:
    /// with a large one, take the output after each call.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Console {
        self.limit = bytes;
        self
    }

    /// Returns whether input is the host's own stream, so that reads may block.
    #[cfg(feature = "std")]
    pub(crate) fn inherits_input(&self) -> bool {
        self.inherit_input
    }

    /// Returns whether output is the host's own stream, so that writes may block.
    #[cfg(feature = "std")]
    pub(crate) fn inherits_output(&self) -> bool {
        matches!(self.output, ConsoleOutput::Inherit)
    }

    /// Returns whether a write may block.
    pub(crate) fn may_block(&self) -> bool {
        !matches!(
            self.output,
            ConsoleOutput::Buffer | ConsoleOutput::Callback(_) | ConsoleOutput::Discard
        )
    }

    /// Returns whether input comes from a terminal.
    #[cfg(feature = "std")]
    pub(crate) fn is_input_terminal(&self) -> bool {
        self.inherits_input() && std::io::IsTerminal::is_terminal(&std::io::stdin())
    }

    /// Returns whether output is a terminal.
    #[cfg(feature = "std")]
    pub(crate) fn is_terminal(&self, stream: Stream) -> bool {
        self.inherits_output()
            && match stream {
                Stream::Out => std::io::IsTerminal::is_terminal(&std::io::stdout()),
                Stream::Err => std::io::IsTerminal::is_terminal(&std::io::stderr()),
            }
    }
}

impl Default for Console {
    fn default() -> Console {
        Console::new(ConsoleOutput::default())
    }
}

/// What one instance wrote to its console, and read from it.
#[derive(Debug, Default)]
pub(crate) struct ConsoleState {
    written: u64,
    buffers: [Vec<u8>; 2],
    /// The panic payload of the callback.
    #[cfg(feature = "std")]
    pub(crate) panic: Option<crate::call::state::Panic>,
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "only WASI reads"))]
    read: usize,
}

impl ConsoleState {
    /// Takes the buffered output.
    pub(crate) fn take(&mut self, stream: Stream) -> Vec<u8> {
        core::mem::take(&mut self.buffers[stream as usize])
    }

    /// Returns how many bytes of standard input are unread.
    #[cfg(feature = "std")]
    pub(crate) fn unread(&self, console: &Console) -> usize {
        console.input.len() - self.read
    }
}

/// The console of one instance.
pub(crate) struct OpenConsole<'a> {
    pub(crate) console: &'a Console,
    pub(crate) state: &'a mut ConsoleState,
}

impl OpenConsole<'_> {
    /// Writes as much of `bytes` as the limit and the sink accept, and returns how much that was.
    ///
    /// # Errors
    ///
    /// The error of the sink, if it accepted none of them.
    pub(crate) fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<usize, OutputError> {
        let room = usize::try_from(self.console.limit - self.state.written).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return Ok(0);
        }
        let accepted = self.output(stream, bytes)?;
        self.state.written += accepted as u64;
        Ok(accepted)
    }

    fn output(&mut self, stream: Stream, bytes: &[u8]) -> Result<usize, OutputError> {
        match &self.console.output {
            ConsoleOutput::Buffer => self.state.buffers[stream as usize].extend_from_slice(bytes),
            #[cfg(feature = "std")]
            ConsoleOutput::Callback(callback) => {
                let called = std::panic::AssertUnwindSafe(|| callback(stream, bytes));
                // A panic must not unwind through the interpreter, which would end the process.
                match std::panic::catch_unwind(called) {
                    Ok(written) => written?,
                    Err(panic) => self.state.panic = Some(std::boxed::Box::new(panic.into())),
                }
            }
            #[cfg(not(feature = "std"))]
            ConsoleOutput::Callback(callback) => callback(stream, bytes)?,
            ConsoleOutput::Discard => {}
            #[cfg(feature = "std")]
            ConsoleOutput::Inherit => return inherit(stream, bytes),
        }
        Ok(bytes.len())
    }

    /// Reads standard input.
    #[cfg(feature = "std")]
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.console.input[self.state.read..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.state.read += n;
        n
    }

    /// Returns whether the limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.state.written >= self.console.limit
    }
}

/// Writes to the host's own stream.
#[cfg(all(feature = "std", any(unix, windows)))]
fn inherit(stream: Stream, bytes: &[u8]) -> Result<usize, OutputError> {
    Ok(crate::services::system::console::write(stream, bytes)?)
}

#[cfg(all(feature = "std", not(any(unix, windows))))]
fn inherit(stream: Stream, bytes: &[u8]) -> Result<usize, OutputError> {
    use std::io::Write;
    match stream {
        Stream::Out => std::io::stdout()
            .write_all(bytes)
            .and_then(|()| std::io::stdout().flush())?,
        Stream::Err => std::io::stderr().write_all(bytes)?,
    }
    Ok(bytes.len())
}
