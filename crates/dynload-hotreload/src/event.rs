//! What a reload tells about itself.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynload_diagnostics::printable;
use dynload_native::ContentHash;

use crate::error::ReloadError;
use crate::step::Step;
use crate::watch::WatchState;

/// One thing that happened in a [`Reloader`](crate::Reloader), and when.
///
/// Events of one attempt carry the same [`attempt`](Event::attempt), in the order *changed, building, built, staged,
/// loaded, swapped*; *retired* comes when the last guard of the old version is gone, which may be much later and may
/// never be. An attempt that goes wrong ends in *failed*, and one whose build was overtaken by a newer save in
/// *cancelled*.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The attempt this belongs to, counted from 1. Events outside an attempt repeat the number of the latest one.
    pub attempt: u64,
    /// When it happened, on the monotonic clock.
    pub at: Instant,
    /// How long after the first hint of the change it happened; for the steps of an attempt only.
    ///
    /// This includes the debounce.
    pub since_change: Option<Duration>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened, in an [`Event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The source has a content that was not tried before (or the first one since [`start`](crate::Reloader::start)).
    Changed {
        /// The files whose content is new.
        paths: Vec<PathBuf>,
    },
    /// A build was started.
    Building {
        /// The program and its arguments, for a person to read; it was not run through a shell.
        command: String,
    },
    /// The build ended well.
    Built {
        /// How long it ran.
        took: Duration,
        /// What it wrote to its standard output and error (warnings, say), cut in the middle when it is long.
        output: String,
    },
    /// The artifact lies, complete and checked by its hash, where nothing will write to it again.
    Staged {
        /// The copy.
        path: PathBuf,
        /// The hash of its content.
        hash: ContentHash,
        /// Its size in bytes.
        size: u64,
        /// How long reading, hashing and copying took.
        took: Duration,
    },
    /// The new code is loaded, beside the old.
    Loaded {
        /// How long that took.
        took: Duration,
    },
    /// New calls go to the new code.
    Swapped {
        /// The version that runs now.
        version: u64,
    },
    /// The last guard of an old version is gone, and its `Loaded` value was dropped.
    Retired {
        /// The version that is gone.
        version: u64,
        /// How long it was loaded.
        lived: Duration,
    },
    /// The build gave, byte for byte, what runs already: nothing to reload.
    Unchanged {
        /// The version that runs on.
        version: u64,
    },
    /// A newer change came while this one was being built. The build was killed with its children, and a new attempt
    /// follows.
    Cancelled,
    /// The attempt went wrong. The version that ran before still runs.
    Failed {
        /// The step that went wrong.
        step: Step,
        /// Why; the same value is kept for [`last_error`](crate::Reloader::last_error).
        error: Arc<ReloadError>,
    },
    /// How changes are noticed has changed: the watched directory went or came back, or polling took over.
    Watch {
        /// The state from now on.
        state: WatchState,
    },
}

impl fmt::Display for Event {
    /// One line for a log. The cause of a failure is not in it: see [`ReloadError::report`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            EventKind::Changed { paths } => match paths.as_slice() {
                [] => f.write_str("changed"),
                [only] => write!(f, "changed: {}", printable(only.display()).path()),
                [first, rest @ ..] => write!(
                    f,
                    "changed: {} and {} more",
                    printable(first.display()).path(),
                    rest.len()
                ),
            },
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
                write!(f, "the build gave what version {version} is already")
            }
            EventKind::Cancelled => f.write_str("cancelled: a newer change came during the build"),
            EventKind::Failed { step, error } => write!(f, "failed to {step}: {error}"),
            EventKind::Watch { state } => write!(f, "{state}"),
        }
    }
}
