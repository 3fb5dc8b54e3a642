//! What happens to plugins.

mod queue;

pub(crate) use queue::Events;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use dynload_diagnostics::{listed, printable};
use dynload_discovery::semver::Version;
use dynload_discovery::{DependencyProblem, Duplicate, Problem, Reduction};

/// Something that happened to a plugin, or that was found while searching.
///
/// Its text is one line, with the cause. It is also logged, with the target `dynload_plugins` of the
/// [`log`](https://docs.rs/log) facade: at `warn` what failed, the rest at `info`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The plugin, if it is about one.
    pub plugin: Option<String>,
    /// What happened.
    pub kind: EventKind,
}

/// The kind of an [`Event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The plugin was loaded.
    #[non_exhaustive]
    Loaded {
        /// Its version; a plugin without a manifest has none.
        version: Option<Version>,
        /// What its manifest requests and the policy does not allow.
        reductions: Vec<Reduction>,
    },
    /// A changed version of the plugin runs instead of the one before.
    #[non_exhaustive]
    Reloaded {
        /// The version in its manifest.
        version: Option<Version>,
        /// What its manifest requests and the policy does not allow.
        reductions: Vec<Reduction>,
    },
    /// The plugin is no longer found, and was dropped.
    Removed,
    /// The plugin could not be loaded.
    #[non_exhaustive]
    Failed {
        /// The reason.
        reason: LoadFailure,
        /// Whether the version before it keeps running.
        keeps_running: bool,
    },
    /// The search found something wrong. It is reported again only after it was gone.
    Problem(Arc<Problem>),
    /// Two plugins have the same id, and one of them is not used. It is reported again only after it was gone.
    Duplicate(Arc<Duplicate>),
    /// Older events were discarded, because the host did not read them.
    Discarded(u64),
}

/// Why a plugin could not be loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LoadFailure {
    /// It needs another plugin.
    Dependency(DependencyProblem),
    /// It is native code, and the host loads none.
    NativeNotAllowed,
    /// It does not work on this platform or with this host.
    Incompatible(String),
    /// The policy, the settings, the file or the code: the error says which.
    Error(Arc<dyn Error + Send + Sync>),
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadFailure::Dependency(problem) => problem.fmt(f),
            LoadFailure::NativeNotAllowed => f.write_str("it is native code, which this host does not load"),
            LoadFailure::Incompatible(reason) => f.write_str(reason),
            LoadFailure::Error(error) => {
                write!(f, "{}", printable(error).message())?;
                let mut source = error.source();
                while let Some(error) = source {
                    write!(f, ": {}", printable(error).message())?;
                    source = error.source();
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(plugin) = &self.plugin {
            write!(f, "{}: ", printable(plugin))?;
        }
        let version =
            |f: &mut fmt::Formatter<'_>, version: &Option<Version>, verb: &str, reductions: &[Reduction]| {
                match version {
                    Some(version) => write!(f, "version {version} is {verb}")?,
                    None => write!(f, "it is {verb}")?,
                }
                if reductions.is_empty() {
                    return Ok(());
                }
                write!(f, "; {}", listed(reductions))
            };
        match &self.kind {
            EventKind::Loaded {
                version: number,
                reductions,
            } => version(f, number, "loaded", reductions),
            EventKind::Reloaded {
                version: number,
                reductions,
            } => version(f, number, "reloaded", reductions),
            EventKind::Removed => f.write_str("it is no longer found, and was dropped"),
            EventKind::Failed {
                reason,
                keeps_running: true,
            } => write!(
                f,
                "a new version is not loaded, the old one keeps running: {reason}"
            ),
            EventKind::Failed { reason, .. } => write!(f, "it is not loaded: {reason}"),
            EventKind::Problem(problem) => problem.fmt(f),
            EventKind::Duplicate(duplicate) => duplicate.fmt(f),
            EventKind::Discarded(count) => {
                write!(f, "{count} older events were discarded: read events more often")
            }
        }
    }
}
