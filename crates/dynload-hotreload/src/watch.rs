//! Notices that a file may have changed.
//!
//! Nothing here proves that a file *has* changed: an event is a reason to look, and the worker looks and compares
//! content. So a duplicate event costs one look, and a lost event costs a second, because every file is also
//! checked periodically (`client::SWEEP`).

mod client;
mod glob;
mod hub;
mod probe;
mod resolve;
mod routes;
mod signature;
mod targets;
mod watcher;

use dynload_diagnostics::printable;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use glob::Glob;
pub(crate) use hub::{Registration, register};
pub(crate) use signature::Signature;
pub(crate) use targets::Targets;

/// How a reloader's files are currently watched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchState {
    /// The reloader is not started.
    Stopped,
    /// The system reports changes.
    Active,
    /// The files are checked periodically.
    Polling {
        /// The interval.
        interval: Duration,
        /// The reason why notifications are not sufficient.
        reason: PollReason,
    },
    /// A directory in the path of the source is missing. The running version stays, and the reloader waits for the
    /// directory.
    Lost {
        /// The missing directory.
        missing: PathBuf,
    },
}

/// The reason why files are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollReason {
    /// The configuration requests it.
    Configured,
    /// Other machines write to this file system: NFS, SMB, 9P, FUSE, a share of a virtual machine.
    RemoteFileSystem,
    /// A file was created in the directory, but no event reported it.
    NoEvents,
    /// The system's limit on watches is exhausted.
    Limit(WatchLimit),
    /// File-change notifications are unavailable for another reason, which is logged.
    Unavailable,
}

/// A limit of inotify that can be exhausted (inotify(7), "/proc interfaces").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchLimit {
    /// `fs.inotify.max_user_watches`: the number of directories watched by all processes of the user.
    Watches,
    /// `fs.inotify.max_user_instances`: the number of inotify instances of the user.
    Instances,
}

impl WatchLimit {
    /// Returns the name of the `sysctl` setting.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Watches => "fs.inotify.max_user_watches",
            Self::Instances => "fs.inotify.max_user_instances",
        }
    }

    /// Returns its value on this system, if it can be read.
    #[must_use]
    pub fn value(self) -> Option<u64> {
        let path = format!("/proc/sys/{}", self.setting().replace('.', "/"));
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    }
}

impl fmt::Display for WatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("not watching"),
            Self::Active => f.write_str("watching with file-change notifications"),
            Self::Polling { interval, reason } => write!(f, "polling every {interval:?}: {reason}"),
            Self::Lost { missing } => {
                write!(
                    f,
                    "the directory `{}` is missing: waiting for it",
                    printable(missing.display()).path()
                )
            }
        }
    }
}

impl fmt::Display for PollReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("as configured"),
            Self::RemoteFileSystem => {
                f.write_str("changes by other machines are not reported on this file system")
            }
            Self::NoEvents => f.write_str("this file system sends no notifications"),
            Self::Limit(limit) => write!(f, "{} is exhausted", limit.setting()),
            Self::Unavailable => f.write_str("file-change notifications are unavailable"),
        }
    }
}

/// The reason why a source cannot be watched.
#[non_exhaustive]
pub enum WatchError {
    /// The system's limit is exhausted; the system's own error is "No space left on device" or "Too many open
    /// files".
    Limit {
        /// The limit.
        limit: WatchLimit,
        /// Its value, if it can be read.
        value: Option<u64>,
    },
    /// The system refuses for another reason.
    Backend {
        /// The directory, if the error is about one directory.
        path: Option<PathBuf>,
        /// The watcher's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Only file-change notifications were requested, and they do not cover this directory.
    NoEvents {
        /// The directory.
        path: PathBuf,
        /// The reason.
        reason: PollReason,
    },
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit, value } => {
                write!(f, "the limit {}", limit.setting())?;
                if let Some(value) = value {
                    write!(f, " ({value})")?;
                }
                write!(
                    f,
                    " is exhausted: raise it with `sysctl {}=N`, or use polling",
                    limit.setting()
                )
            }
            Self::Backend { path: Some(path), .. } => {
                write!(
                    f,
                    "cannot watch the directory `{}`",
                    printable(path.display()).path()
                )
            }
            Self::Backend { path: None, .. } => f.write_str("file-change notifications are unavailable"),
            Self::NoEvents { path, reason } => {
                write!(
                    f,
                    "file-change notifications do not cover `{}` ({reason}): use polling",
                    printable(path.display()).path()
                )
            }
        }
    }
}

impl Error for WatchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Backend { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(WatchError);
