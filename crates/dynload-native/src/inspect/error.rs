//! Why a file cannot be loaded here.

use std::fmt;
use std::io;

use dynload_diagnostics::printable;

use super::Format;

/// A file cannot be loaded here, by what its headers say.
#[derive(Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file could not be read.
    Read(io::Error),
    /// This is not a regular file.
    NotAFile {
        /// What it is, as in "a directory".
        kind: &'static str,
    },
    /// The file has no bytes.
    Empty,
    /// The file, or a table in it, is larger than any library.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest that is allowed.
        limit: u64,
    },
    /// The file ends before what its headers name.
    Truncated {
        /// The size in bytes that it would have to have, at least.
        needs: u64,
        /// The size that it has.
        has: u64,
    },
    /// This is something else.
    NotALibrary {
        /// What it is, as in "a script".
        found: &'static str,
    },
    /// This is a library or program of another system.
    WrongFormat {
        /// Its format.
        found: Format,
        /// This platform's format.
        expected: Format,
    },
    /// The library was made for another architecture.
    WrongArchitecture {
        /// Its architecture.
        found: String,
        /// This machine's.
        expected: &'static str,
    },
    /// The library was made for another size of pointers.
    WrongWordSize {
        /// Its pointers, in bits.
        found: u32,
        /// This process's pointers, in bits.
        expected: u32,
    },
    /// The library was made for the other byte order.
    WrongByteOrder,
    /// A table or field in the file is damaged, in a way that would make the loader crash or refuse.
    Malformed {
        /// The part of the file, as the format's specification names it.
        part: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl HeaderError {
    #[cold]
    pub(super) fn malformed(part: &'static str, problem: impl Into<String>) -> HeaderError {
        HeaderError::Malformed {
            part,
            problem: problem.into(),
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Read(_) => f.write_str("cannot read the file"),
            HeaderError::NotAFile { kind } => write!(f, "this is {kind} and not a file"),
            HeaderError::Empty => f.write_str("the file is empty"),
            HeaderError::TooLarge { size, limit } => {
                write!(
                    f,
                    "{size} bytes are too large for a library: the limit is {limit}"
                )
            }
            HeaderError::Truncated { needs, has } => write!(
                f,
                "the file is truncated: its headers need at least {needs} bytes, and it has {has}; build or copy it anew"
            ),
            HeaderError::NotALibrary { found } => write!(f, "this is {found} and not a shared library"),
            HeaderError::WrongFormat { found, expected } => {
                write!(f, "this is a {found} file, and this platform loads {expected}")
            }
            HeaderError::WrongArchitecture { found, expected } => {
                let found = printable(found);
                write!(f, "the library is for {found}, and this process is {expected}")
            }
            HeaderError::WrongWordSize { found, expected } => {
                write!(
                    f,
                    "the library has {found}-bit pointers, and this process has {expected}-bit pointers"
                )
            }
            HeaderError::WrongByteOrder => {
                f.write_str("the library has the other byte order than this machine")
            }
            HeaderError::Malformed { part, problem } => {
                let problem = printable(problem).message();
                write!(f, "the file is damaged: {part}: {problem}")
            }
        }
    }
}

impl std::error::Error for HeaderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            HeaderError::Read(source) => Some(source),
            _ => None,
        }
    }
}
