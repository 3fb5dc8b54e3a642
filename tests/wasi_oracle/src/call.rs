//! One call, as data.

use std::fmt;

/// A call of one function of WASI preview 1.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The name of the function.
    pub function: &'static str,
    /// Its arguments. One argument can stand for two parameters, such as a pointer and a length.
    pub args: Vec<Arg>,
}

/// An argument.
#[derive(Clone, PartialEq, Eq)]
pub enum Arg {
    /// A descriptor, by its number in the sequence. The two implementations assign different numbers, so each receives its own.
    Fd(u32),
    /// An i32.
    I32(u32),
    /// An i64.
    I64(u64),
    /// A path or another text: a pointer and a length.
    Path(Vec<u8>),
    /// A list of buffers to write from: a pointer and a count.
    Write(Vec<Vec<u8>>),
    /// A list of buffers of these lengths to read into: a pointer and a count.
    Read(Vec<u32>),
    /// A buffer of this length that receives bytes: a pointer and a length.
    Buffer(u32),
    /// A buffer of this length, as a pointer alone.
    Area(u32),
    /// A pointer to a result.
    Out(Out),
    /// The subscriptions and events of `poll_oneoff`, all to clocks: two pointers and a count.
    Clocks(Vec<Clock>),
    /// The same with one subscription to a descriptor.
    Ready {
        /// The descriptor, by its number in the sequence.
        fd: u32,
        /// Whether to write to it.
        write: bool,
    },
}

/// The type of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// `fd`: a new descriptor.
    Fd,
    /// `size`, or another u32.
    U32,
    /// `filesize`, or another u64.
    U64,
    /// `timestamp`, which is not compared.
    Time,
    /// `fdstat`.
    Fdstat,
    /// `filestat`.
    Filestat,
    /// `prestat`.
    Prestat,
    /// A pointer outside of the memory.
    OutOfBounds,
    /// A pointer that is not aligned.
    Misaligned,
}

/// A subscription to a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The number of the clock.
    pub id: u32,
    /// The timeout, in nanoseconds.
    pub timeout: u64,
    /// `subclockflags`.
    pub flags: u16,
}

impl Call {
    /// Creates a call.
    #[must_use]
    pub fn new(function: &'static str, args: impl Into<Vec<Arg>>) -> Call {
        let args = args.into();
        Call { function, args }
    }

    /// Returns the numbers of the descriptors that the call receives.
    pub fn fds(&self) -> impl Iterator<Item = u32> {
        self.args.iter().filter_map(|arg| match arg {
            Arg::Fd(fd) | Arg::Ready { fd, .. } => Some(*fd),
            _ => None,
        })
    }

    /// Returns the paths that the call receives.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.args.iter().filter_map(|arg| match arg {
            Arg::Path(path) => Some(path.as_slice()),
            _ => None,
        })
    }

    /// Returns the n-th argument, which must be a number.
    ///
    /// # Panics
    ///
    /// If it is not a number.
    #[must_use]
    pub fn number(&self, n: usize) -> u64 {
        match self.args[n] {
            Arg::I32(number) => number.into(),
            Arg::I64(number) => number,
            _ => panic!("argument {n} of {self:?} is not a number"),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple(self.function);
        for arg in &self.args {
            tuple.field(arg);
        }
        tuple.finish()
    }
}

impl fmt::Debug for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arg::Fd(fd) => write!(f, "fd {fd}"),
            Arg::I32(number) => write!(f, "{number}"),
            Arg::I64(number) if *number > u64::from(u32::MAX) => write!(f, "{:#x}", number),
            Arg::I64(number) => write!(f, "{number}"),
            Arg::Path(path) if path.len() > 100 => write!(f, "a path of {} bytes", path.len()),
            Arg::Path(path) => write!(f, "\"{}\"", path.escape_ascii()),
            Arg::Write(buffers) => {
                let texts: Vec<_> = buffers
                    .iter()
                    .map(|bytes| bytes.escape_ascii().to_string())
                    .collect();
                write!(f, "write {texts:?}")
            }
            Arg::Read(lengths) => write!(f, "read {lengths:?}"),
            Arg::Buffer(len) => write!(f, "buffer of {len}"),
            Arg::Area(_) => f.write_str("buffer"),
            Arg::Out(Out::OutOfBounds) => f.write_str("out of bounds"),
            Arg::Out(out) => write!(f, "out {out:?}"),
            Arg::Clocks(clocks) => write!(f, "{clocks:?}"),
            Arg::Ready { fd, write: true } => write!(f, "fd {fd} to write"),
            Arg::Ready { fd, write: false } => write!(f, "fd {fd} to read"),
        }
    }
}
