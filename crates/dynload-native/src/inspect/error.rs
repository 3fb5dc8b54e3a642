//! The reasons why a file cannot be loaded here.

use std::fmt;
use std::io;

use dynload_diagnostics::printable;

use super::Format;

/// A file cannot be loaded here, according to its headers.
#[non_exhaustive]
pub enum HeaderError {
    /// The file could not be read.
    Read(io::Error),
    /// The path is not a regular file.
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
        /// The largest size in bytes that is allowed.
        limit: u64,
    },
    /// The file ends before a part that its headers name.
    Truncated {
        /// The size in bytes that it must have, at least.
        needs: u64,
        /// The size in bytes that it has.
        has: u64,
    },
    /// The file is not a library.
    NotALibrary {
        /// What it is, as in "a script".
        found: &'static str,
    },
    /// The file is a library or program of another system.
    WrongFormat {
        /// Its format.
        found: Format,
        /// This platform's format.
        expected: Format,
    },
    /// The library was built for another architecture.
    WrongArchitecture {
        /// Its architecture.
        found: String,
        /// This process's architecture.
        expected: &'static str,
    },
    /// The library was built for another pointer size.
    WrongWordSize {
        /// The size of its pointers, in bits.
        found: u32,
        /// The size of this process's pointers, in bits.
        expected: u32,
    },
    /// The library was built for the other byte order.
    WrongByteOrder,
    /// A table or field in the file is damaged, in a way that would make the loader crash or refuse the file.
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
            HeaderError::NotAFile { kind } => write!(f, "this is {kind}, not a regular file"),
            HeaderError::Empty => f.write_str("the file is empty"),
            HeaderError::TooLarge { size, limit } => {
                write!(
                    f,
                    "the file or a table in it has {size} bytes; the limit is {limit}"
                )
            }
            HeaderError::Truncated { needs, has } => write!(
                f,
                "the file is truncated: its headers require at least {needs} bytes, but it has {has}; build or copy it again"
            ),
            HeaderError::NotALibrary { found } => write!(f, "this is {found}, not a shared library"),
            HeaderError::WrongFormat { found, expected } => {
                write!(
                    f,
                    "the file format is {found}, but this platform loads {expected}"
                )
            }
            HeaderError::WrongArchitecture { found, expected } => {
                let found = printable(found);
                write!(f, "the library is for {found}, but this process is {expected}")
            }
            HeaderError::WrongWordSize { found, expected } => {
                write!(
                    f,
                    "the library has {found}-bit pointers, but this process has {expected}-bit pointers"
                )
            }
            HeaderError::WrongByteOrder => {
                f.write_str("the byte order of the library is not that of this machine")
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

dynload_diagnostics::debug_with_causes!(HeaderError);
