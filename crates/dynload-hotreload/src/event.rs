//! The events of a reload.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynload_diagnostics::{printable, with_causes};
use dynload_native::ContentHash;

use crate::error::ReloadError;
use crate::step::Step;
use crate::watch::WatchState;

/// An event in a [`Reloader`](crate::Reloader), with its time.
///
/// Events of one attempt have the same [`attempt`](Event::attempt) number, and occur in the order *changed,
/// building, built, staged, loaded, swapped*. *Retired* occurs when the last guard of the old version is dropped,
/// which may be much later or never. A failed attempt ends with *failed*, and an attempt whose build was superseded
/// by a newer save ends with *cancelled*. *Written by build* follows the end of the build. *Waiting* precedes the attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The number of the attempt, counted from 1. Events outside an attempt repeat the number of the latest one.
    pub attempt: u64,
    /// The time of the event, on the monotonic clock.
    pub at: Instant,
    /// The time since the first hint of the change; only for the steps of an attempt.
    ///
    /// It includes the debounce time.
    pub since_change: Option<Duration>,
    /// The kind of the event.
    pub kind: EventKind,
}

/// The kind of an [`Event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The source has content that was not tried before (or it is the first attempt since
    /// [`start`](crate::Reloader::start)).
    #[non_exhaustive]
    Changed {
        /// The files with new content.
        paths: Vec<PathBuf>,
    },
    /// A watched file is empty, or the source is less than half as long as before, so its writer may not have finished. The
    /// reloader waits until the file changes, or until it has not changed for the
    /// [shrink timeout](crate::Config::with_shrink_timeout).
    #[non_exhaustive]
    Waiting {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The shrink timeout.
        limit: Duration,
    },
    /// A build was started.
    #[non_exhaustive]
    Building {
        /// The program and its arguments, in human-readable form; no shell was involved.
        command: String,
    },
    /// The build succeeded.
    #[non_exhaustive]
    Built {
        /// The duration of the build.
        took: Duration,
        /// The contents of its standard output and error (for example, warnings), shortened in the middle if it is
        /// long.
        output: String,
    },
    /// The artifact has been copied and verified by its hash; the copy will never be modified.
    #[non_exhaustive]
    Staged {
        /// The path of the copy.
        path: PathBuf,
        /// The hash of the content.
        hash: ContentHash,
        /// The size in bytes.
        size: u64,
        /// The duration of reading, hashing and copying.
        took: Duration,
    },
    /// The new code is loaded, beside the old code.
    #[non_exhaustive]
    Loaded {
        /// The duration of loading.
        took: Duration,
    },
    /// New calls use the new code.
    #[non_exhaustive]
    Swapped {
        /// The version that is running now.
        version: u64,
    },
    /// The last guard of an old version was dropped, and then its `Loaded` value.
    #[non_exhaustive]
    Retired {
        /// The retired version.
        version: u64,
        /// How long the version was loaded.
        lived: Duration,
    },
    /// The build output is byte for byte identical to the running version, so there is nothing to reload.
    #[non_exhaustive]
    Unchanged {
        /// The version that keeps running.
        version: u64,
    },
    /// A newer change arrived during the build. The build was killed with its children, and a new attempt follows.
    ///
    /// The same file cancels only one build in a row, and at most three builds in a row are cancelled: so a build ends even
    /// if it changes its own inputs.
    Cancelled,
    /// These files changed during the build, as they did during the builds before it. They are taken to be written by the
    /// build, so their new content is not a reason for another one.
    ///
    /// A file is judged so when it has changed during three builds in a row, and from then on until it changes while no build
    /// is running. (If the files are different ones each time, all of them are judged so in the eighth build.) Someone who
    /// saves a file during each of three builds in a row sees this event too, and has to save again (the same
    /// content is enough).
    #[non_exhaustive]
    WrittenByBuild {
        /// The files.
        paths: Vec<PathBuf>,
    },
    /// The attempt failed. The previous version keeps running.
    #[non_exhaustive]
    Failed {
        /// The step that failed.
        step: Step,
        /// The reason; [`last_error`](crate::Reloader::last_error) returns the same value.
        error: Arc<ReloadError>,
    },
    /// The state of watching has changed: for example, the watched directory was removed or created again, or
    /// polling replaced notifications.
    #[non_exhaustive]
    Watch {
        /// The new state.
        state: WatchState,
    },
}

impl fmt::Display for Event {
    /// Formats the event as one line for a log, with the causes of a failure. The output of a compiler is not part of it:
    /// for that, see [`ReloadError::report`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            EventKind::Changed { paths } if paths.is_empty() => f.write_str("changed"),
            EventKind::Changed { paths } => write!(f, "changed: {}", Paths(paths)),
            EventKind::Waiting { path, size, limit } => write!(
                f,
                "waiting up to {limit:?} for the writer of {}, which has only {size} bytes now",
                printable(path.display()).path()
            ),
            EventKind::Building { command } => write!(f, "building: {}", printable(command).path()),
            EventKind::Built { took, .. } => write!(f, "built in {took:.1?}"),
            EventKind::Staged { path, size, took, .. } => {
                write!(
                    f,
                    "staged {size} bytes as {} in {took:.1?}",
                    printable(path.display()).path()
                )
            }
            EventKind::Loaded { took } => write!(f, "loaded in {took:.1?}"),
            EventKind::Swapped { version } => match self.since_change {
                Some(since) => write!(f, "version {version} runs, {since:.1?} after the change"),
                None => write!(f, "version {version} runs"),
            },
            EventKind::Retired { version, lived } => write!(f, "version {version} retired after {lived:.1?}"),
            EventKind::Unchanged { version } => {
                write!(f, "the build output is identical to version {version}")
            }
            EventKind::Cancelled => f.write_str("cancelled: a newer change arrived during the build"),
            EventKind::WrittenByBuild { paths } => write!(
                f,
                "written by the build, so not a reason for another: {} (save again if this is yours)",
                Paths(paths)
            ),
            EventKind::Failed { step, error } => write!(f, "failed to {step}: {}", with_causes(&**error)),
            EventKind::Watch { state } => write!(f, "{state}"),
        }
    }
}

/// The first path and the number of the others.
struct Paths<'a>(&'a [PathBuf]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(());
        };
        printable(first.display()).path().fmt(f)?;
        match rest.len() {
            0 => Ok(()),
            others => write!(f, " and {others} more"),
        }
    }
}
