//! The error of starting a worker.

use dynload_diagnostics::printable;
use std::{error::Error, fmt, io, path::PathBuf, time::Duration};

/// The reason why [`Workers`](crate::Workers) could not be created.
#[non_exhaustive]
pub enum StartError {
    /// The path of the worker is relative. It is not searched for.
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// The system could not start the worker, or the threads that look after it.
    Spawn {
        /// The path of the worker.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The program does not say what a worker says. It may be another program.
    NotAWorker {
        /// The path of the program.
        path: PathBuf,
    },
    /// The worker is of another version.
    Version {
        /// The path of the worker.
        path: PathBuf,
        /// The version of the worker's protocol.
        found: u32,
        /// The version of this crate's.
        required: u32,
    },
    /// The worker has not reported its devices in time.
    Timeout {
        /// The path of the worker.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NotAbsolute { path } => write!(
                f,
                "the path of the worker, `{}`, is relative: pass an absolute one",
                printable(path.display()).path()
            ),
            StartError::Spawn { path, .. } => {
                write!(
                    f,
                    "cannot start the worker `{}`",
                    printable(path.display()).path()
                )
            }
            StartError::NotAWorker { path } => write!(
                f,
                "`{}` ended or did not answer as a worker does: pass the path of dynload-gpu-worker",
                printable(path.display()).path()
            ),
            StartError::Version {
                path,
                found,
                required,
            } => write!(
                f,
                "the worker `{}` speaks version {found} of the protocol, and version {required} is required: install the \
                 worker of this version of dynload",
                printable(path.display()).path()
            ),
            StartError::Timeout { path, waited } => write!(
                f,
                "the worker `{}` has not reported its devices within {} s: check the drivers of this machine",
                printable(path.display()).path(),
                waited.as_secs()
            ),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StartError::Spawn { source, .. } => Some(source),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(StartError);
