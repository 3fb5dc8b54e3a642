//! What went wrong, where, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dynload_caps::Capabilities;
use dynload_diagnostics::{listed, printable};

use crate::{InvalidId, ManifestErrorKind, Platform, PluginId};

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The plugin is listed, and something about it is not as it should be.
    Warning,
    /// Something that should be a plugin, or a directory of them, is not listed.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Something that a scan did not find in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// The line in that file, from 1, where there is one.
    pub line: Option<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub kind: ProblemKind,
}

impl Problem {
    pub(crate) fn new(path: &Path, severity: Severity, kind: ProblemKind) -> Problem {
        Problem {
            path: path.to_owned(),
            line: None,
            severity,
            kind,
        }
    }

    pub(crate) fn error(path: &Path, kind: ProblemKind) -> Problem {
        Problem::new(path, Severity::Error, kind)
    }

    pub(crate) fn io(path: &Path, error: io::Error) -> Problem {
        Problem::error(path, ProblemKind::Unreadable(Arc::new(error)))
    }
}

impl fmt::Display for Problem {
    /// `warning: path:line: what is wrong and what to do`, with the causes, on one line. What could change how a terminal
    /// shows it is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, printable(self.path.display()).path())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.kind)?;
        let mut source = self.kind.source();
        while let Some(error) = source {
            write!(f, ": {}", printable(error))?;
            source = error.source();
        }
        Ok(())
    }
}

/// What a [`Problem`] is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A file or directory cannot be read.
    Unreadable(Arc<io::Error>),
    /// A directory of the search path is a file.
    NotADirectory,
    /// A directory of `VAIS_PLUGIN_PATH` is relative, so it would depend on where the program was started.
    RelativeSearchDir,
    /// A directory without a `plugin.toml`.
    NoManifest,
    /// A `plugin.toml`, or the entry that it names, that is no regular file.
    NotAFile,
    /// A manifest that is larger than [`Manifest::MAX_BYTES`](crate::Manifest::MAX_BYTES).
    #[non_exhaustive]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The most that it may have.
        limit: u64,
    },
    /// A manifest that is not UTF-8.
    #[non_exhaustive]
    NotUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// Something wrong in a manifest.
    Manifest(ManifestErrorKind),
    /// A file that was written to while it was read, several times over.
    Changing,
    /// A lone file whose name gives no id.
    FileName(InvalidId),
    /// The entry that a manifest names is not there.
    #[non_exhaustive]
    EntryMissing {
        /// The entry.
        entry: String,
    },
    /// The entry that a manifest names leads out of the plugin's directory.
    #[non_exhaustive]
    EntryEscapes {
        /// The entry.
        entry: String,
    },
    /// Others than its owner and root can write to it.
    #[non_exhaustive]
    WritableByOthers {
        /// The permission bits.
        mode: u32,
    },
    /// The plugin does not work here.
    Incompatible(Incompatibility),
    /// Capabilities that are asked for with a scope that lists nothing: they open nothing.
    #[non_exhaustive]
    CapabilityWithoutScope {
        /// Those capabilities.
        capabilities: Capabilities,
    },
    /// A scope for capabilities that are not asked for.
    #[non_exhaustive]
    ScopeWithoutCapability {
        /// Those capabilities.
        capabilities: Capabilities,
    },
    /// The cache was thrown away.
    #[non_exhaustive]
    CacheDiscarded {
        /// Why.
        reason: &'static str,
    },
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ProblemKind as K;
        match self {
            K::Unreadable(_) => f.write_str("cannot be read"),
            K::NotADirectory => {
                f.write_str("is in the search path and no directory: name the directory it is in")
            }
            K::RelativeSearchDir => f.write_str(
                "is a relative path in VAIS_PLUGIN_PATH and was passed over: write an absolute one",
            ),
            K::NoManifest => {
                f.write_str("has no plugin.toml and was passed over: add one, or move it elsewhere")
            }
            K::NotAFile => f.write_str("is no regular file"),
            K::TooLarge { bytes, limit } => write!(f, "has {bytes} bytes: a manifest has at most {limit}"),
            K::NotUtf8 { at } => write!(f, "is not UTF-8 at byte {at}: save it as UTF-8"),
            K::Manifest(kind) => kind.fmt(f),
            K::Changing => f.write_str("was written to while it was read: scan again when that is done"),
            K::FileName(error) => {
                write!(
                    f,
                    "{error}; rename the file, or put it into a directory with a plugin.toml"
                )
            }
            K::EntryMissing { entry } => write!(
                f,
                "entry {:?} is not there: build it, or correct `plugin.entry`",
                printable(entry).path()
            ),
            K::EntryEscapes { entry } => write!(
                f,
                "entry {:?} leads out of the plugin's directory, or to an absolute path: put the file itself into the \
                 directory, or make the link a relative one",
                printable(entry).path()
            ),
            K::WritableByOthers { mode } => {
                write!(
                    f,
                    "others than its owner can write to it (mode {:03o}): run `chmod go-w` on it",
                    mode & 0o777
                )
            }
            K::Incompatible(incompatibility) => incompatibility.fmt(f),
            K::CapabilityWithoutScope { capabilities } => {
                write!(
                    f,
                    "asks for {capabilities} and lists nothing for it, so it gets nothing: list what it is for"
                )
            }
            K::ScopeWithoutCapability { capabilities } => {
                write!(
                    f,
                    "lists what {capabilities} is for and does not ask for it: add it to `capabilities.needs`"
                )
            }
            K::CacheDiscarded { reason } => write!(f, "the cache was thrown away: {reason}"),
        }
    }
}

impl Error for ProblemKind {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ProblemKind::Unreadable(error) => Some(&**error),
            ProblemKind::Manifest(kind) => kind.source(),
            _ => None,
        }
    }
}

/// Why a plugin does not work here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incompatibility {
    /// It has no entry for this platform.
    #[non_exhaustive]
    Platform {
        /// The plugin.
        id: PluginId,
        /// This platform.
        here: Platform,
        /// The platforms that it has entries for.
        offered: Vec<String>,
    },
    /// It works with other versions of the host.
    #[non_exhaustive]
    Host {
        /// The plugin.
        id: PluginId,
        /// The version of this host.
        here: semver::Version,
        /// The versions that it works with.
        wanted: semver::VersionReq,
    },
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Incompatibility::Platform { id, here, offered } => {
                write!(
                    f,
                    "plugin {id} has no entry for {here}, only for {}",
                    printable(listed(offered)).message()
                )
            }
            Incompatibility::Host { id, here, wanted } => {
                write!(
                    f,
                    "plugin {id} works with host versions {wanted}, and this is {here}"
                )
            }
        }
    }
}
