//! The errors of staging.

use std::fmt;
use std::io;
use std::path::PathBuf;

use dynload_diagnostics::printable;

use super::MAX_STAGED_BYTES;

/// A file could not be staged.
#[non_exhaustive]
pub enum StageError {
    /// The directory for the copies could not be created.
    Directory {
        /// The directory in which it was to be created.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another user could replace the copies, and so run code in this process.
    Exposed {
        /// The directory in which another user can replace files: the one for the copies, or one above it.
        path: PathBuf,
        /// Why, as in "every user can write to it (mode 777)".
        reason: String,
    },
    /// The path of the directory contains a token that the platform's loader replaces (ld.so(8)), so nothing can be
    /// loaded from there.
    Token {
        /// The directory.
        path: PathBuf,
        /// The token, as in "$ORIGIN".
        token: &'static str,
    },
    /// The file could not be read.
    Read(io::Error),
    /// The path is not a regular file.
    NotAFile {
        /// What it is, as in "a directory".
        kind: &'static str,
    },
    /// The file is larger than [`MAX_STAGED_BYTES`].
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The file was being written to while it was copied.
    Changing,
    /// The copy could not be written.
    Write {
        /// The path at which it was to be written.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageError::Directory { path, .. } => write!(
                f,
                "cannot create a private directory in `{}`: set TMPDIR to a writable directory",
                printable(path.display()).path()
            ),
            StageError::Exposed { path, reason } => write!(
                f,
                "cannot use `{}` for files that this process runs: {}; use a directory in which only you and root can replace files (for copies: TMPDIR)",
                printable(path.display()).path(),
                printable(reason)
            ),
            StageError::Token { path, token } => write!(
                f,
                "cannot load libraries from `{}`: the loader replaces `{token}` in it; set TMPDIR to a directory without it",
                printable(path.display()).path()
            ),
            StageError::Read(_) => f.write_str("cannot read the file"),
            StageError::NotAFile { kind } => write!(f, "this is {kind}, not a regular file"),
            StageError::TooLarge { size } => {
                write!(
                    f,
                    "the file has {size} bytes; at most {MAX_STAGED_BYTES} are copied"
                )
            }
            StageError::Changing => f.write_str("the file was written to while it was copied: try again"),
            StageError::Write { path, .. } => write!(
                f,
                "cannot write the copy in `{}`",
                printable(path.display()).path()
            ),
        }
    }
}

impl std::error::Error for StageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StageError::Directory { source, .. }
            | StageError::Write { source, .. }
            | StageError::Read(source) => Some(source),
            StageError::Exposed { .. }
            | StageError::Token { .. }
            | StageError::NotAFile { .. }
            | StageError::TooLarge { .. }
            | StageError::Changing => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(StageError);
