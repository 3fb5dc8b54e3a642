//! Noticing that a file may have changed.
//!
//! Nothing here says that a file *has* changed: an event is a reason to look, and the worker looks and compares
//! content. So a doubled event costs a look and a lost one a second, because every file is also looked at now and then
//! (`client::SWEEP`).

mod backend;
mod client;
mod glob;
mod hub;
mod probe;
mod resolve;
mod routes;
mod signature;
mod targets;

use dynload_diagnostics::printable;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use glob::Glob;
pub(crate) use hub::{Registration, register};
pub(crate) use signature::Signature;
pub(crate) use targets::Targets;

/// How a reloader's files are watched at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchState {
    /// The reloader is not started.
    Stopped,
    /// The system tells of changes.
    Active,
    /// The files are looked at regularly.
    Polling {
        /// How often.
        interval: Duration,
        /// Why the system's events are not enough.
        reason: PollReason,
    },
    /// A directory on the way to the source is gone. The version that runs stays, and the directory is waited for.
    Lost {
        /// The directory.
        missing: PathBuf,
    },
}

/// Why files are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollReason {
    /// The configuration says so.
    Asked,
    /// The file system is one that others write to from elsewhere: NFS, SMB, 9P, FUSE, a share of a virtual machine.
    RemoteFileSystem,
    /// A file was made in the directory and no event told of it.
    NoEvents,
    /// The system gives no more watches.
    Limit(WatchLimit),
    /// The system's events cannot be had for another reason, which is logged.
    Unavailable,
}

/// A limit of inotify that can be exhausted (inotify(7), "/proc interfaces").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchLimit {
    /// `fs.inotify.max_user_watches`: watched directories of all the user's processes.
    Watches,
    /// `fs.inotify.max_user_instances`: watching processes of the user.
    Instances,
}

impl WatchLimit {
    /// The name of the setting, as `sysctl` knows it.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Watches => "fs.inotify.max_user_watches",
            Self::Instances => "fs.inotify.max_user_instances",
        }
    }

    /// Its value on this system, if it can be read.
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
            Self::Active => f.write_str("watching by the system's events"),
            Self::Polling { interval, reason } => write!(f, "polling every {interval:?}: {reason}"),
            Self::Lost { missing } => {
                write!(
                    f,
                    "the directory `{}` is gone: waiting for it",
                    printable(missing.display()).path()
                )
            }
        }
    }
}

impl fmt::Display for PollReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("as configured"),
            Self::RemoteFileSystem => f.write_str("others can write to this file system unnoticed"),
            Self::NoEvents => f.write_str("this file system gives no events"),
            Self::Limit(limit) => write!(f, "{} is exhausted", limit.setting()),
            Self::Unavailable => f.write_str("the system's events cannot be had"),
        }
    }
}

/// Why a source cannot be watched.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchError {
    /// The system's limit is exhausted; its own error reads "No space left on device" or "Too many open files".
    Limit {
        /// Which one.
        limit: WatchLimit,
        /// Its value, if it can be read.
        value: Option<u64>,
    },
    /// The system refuses for another reason.
    Backend {
        /// What was to be watched, if it is about one directory.
        path: Option<PathBuf>,
        /// What the watcher said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Only the system's events were asked for, and they do not tell of changes in this directory.
    NoEvents {
        /// The directory.
        path: PathBuf,
        /// How that is known.
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
                    " is exhausted: raise it with `sysctl {}=N`, or watch by polling",
                    limit.setting()
                )
            }
            Self::Backend { path: Some(path), .. } => {
                write!(
                    f,
                    "the directory `{}` cannot be watched",
                    printable(path.display()).path()
                )
            }
            Self::Backend { path: None, .. } => f.write_str("the system's file events cannot be had"),
            Self::NoEvents { path, reason } => {
                write!(
                    f,
                    "file events do not cover `{}` ({reason}): watch by polling",
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
