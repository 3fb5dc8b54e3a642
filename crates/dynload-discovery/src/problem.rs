//! Problems: what is wrong, where, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dynload_caps::Capabilities;
use dynload_diagnostics::{listed, printable};

use crate::{Format, InvalidId, ManifestErrorKind, Platform, PluginId};

/// The severity of a [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Information that may be useful.
    Note,
    /// The plugin is listed, but something about it is wrong.
    Warning,
    /// A plugin, or a directory of plugins, is not listed.
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

/// Something that a scan found to be wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// The line in that file, from 1, if the problem has one.
    pub line: Option<u32>,
    /// The severity.
    pub severity: Severity,
    /// What is wrong.
    pub kind: ProblemKind,
    /// The plugin that it is about, if it is about one: the id in its manifest, or the name of its directory if no id can be
    /// read there; of a lone file, its name.
    pub plugin: Option<PluginId>,
}

impl Problem {
    pub(crate) fn new(path: &Path, severity: Severity, kind: ProblemKind) -> Problem {
        Problem {
            path: path.to_owned(),
            line: None,
            severity,
            kind,
            plugin: None,
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
    /// Writes `warning: path:line: what is wrong and what to do`, with the causes, on one line. Characters that could
    /// control a terminal are escaped.
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

/// The kind of a [`Problem`].
#[derive(Clone)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A file or directory cannot be read.
    Unreadable(Arc<io::Error>),
    /// A directory of the search path is a file.
    NotADirectory,
    /// A directory of `VAIS_PLUGIN_PATH` is relative, so it would depend on the directory in which the program started.
    RelativeSearchDir,
    /// A directory has no `plugin.toml`.
    NoManifest,
    /// A `plugin.toml`, the entry that it specifies, or a lone plugin, is not a regular file.
    NotAFile,
    /// A lone file does not start like the code that its name says it is.
    #[non_exhaustive]
    NotOfFormat {
        /// The format of its name.
        format: Format,
    },
    /// A manifest is larger than [`Manifest::MAX_BYTES`](crate::Manifest::MAX_BYTES).
    #[non_exhaustive]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A manifest is not UTF-8.
    #[non_exhaustive]
    NotUtf8 {
        /// The position of the first invalid byte.
        at: usize,
    },
    /// A manifest has an error.
    Manifest(ManifestErrorKind),
    /// A file was modified during each of several attempts to read it.
    Changing,
    /// The name of a lone file is not a valid id.
    FileName(InvalidId),
    /// The entry that a manifest specifies does not exist.
    #[non_exhaustive]
    EntryMissing {
        /// The entry.
        entry: String,
    },
    /// The entry that a manifest specifies leads out of the plugin's directory.
    #[non_exhaustive]
    EntryEscapes {
        /// The entry.
        entry: String,
    },
    /// Users other than the owner and root can write to the file or directory.
    #[non_exhaustive]
    WritableByOthers {
        /// The permission bits.
        mode: u32,
    },
    /// The plugin does not work with this platform or this version of the host.
    Incompatible(Incompatibility),
    /// Capabilities are requested with an empty scope: they open nothing.
    #[non_exhaustive]
    CapabilityWithoutScope {
        /// Those capabilities.
        capabilities: Capabilities,
    },
    /// A scope is listed for capabilities that are not requested.
    #[non_exhaustive]
    ScopeWithoutCapability {
        /// Those capabilities.
        capabilities: Capabilities,
    },
    /// The cache was discarded.
    #[non_exhaustive]
    CacheDiscarded {
        /// The reason.
        reason: &'static str,
    },
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ProblemKind as K;
        match self {
            K::Unreadable(_) => f.write_str("cannot be read"),
            K::NotADirectory => f.write_str(
                "is in the search path but is not a directory: specify the directory that contains it",
            ),
            K::RelativeSearchDir => {
                f.write_str("is a relative path in VAIS_PLUGIN_PATH and was skipped: use an absolute path")
            }
            K::NoManifest => {
                f.write_str("has no plugin.toml and was skipped: add one, or move the directory elsewhere")
            }
            K::NotAFile => f.write_str("is not a regular file"),
            K::NotOfFormat { format } => write!(
                f,
                "has the name of a {format} plugin but not its contents: build it again, or rename it"
            ),
            K::TooLarge { bytes, limit } => {
                write!(f, "has {bytes} bytes, over the limit of {limit} for a manifest")
            }
            K::NotUtf8 { at } => write!(f, "has invalid UTF-8 at byte {at}: save it as UTF-8"),
            K::Manifest(kind) => kind.fmt(f),
            K::Changing => {
                f.write_str("was modified while it was read: scan again when the writer has finished")
            }
            K::FileName(error) => {
                write!(
                    f,
                    "{error}; rename the file, or move it into a directory with a plugin.toml"
                )
            }
            K::EntryMissing { entry } => write!(
                f,
                "entry {:?} does not exist: build it, or correct `plugin.entry`",
                printable(entry).path()
            ),
            K::EntryEscapes { entry } => write!(
                f,
                "entry {:?} leads out of the plugin's directory, or to an absolute path: put the file itself into the \
                 directory, or make the symbolic link relative",
                printable(entry).path()
            ),
            K::WritableByOthers { mode } => {
                write!(
                    f,
                    "users other than its owner can write to it (mode {:03o}): run `chmod go-w` on it",
                    mode & 0o777
                )
            }
            K::Incompatible(incompatibility) => incompatibility.fmt(f),
            K::CapabilityWithoutScope { capabilities } => {
                write!(
                    f,
                    "requests {capabilities} with an empty scope, which opens nothing: list what it needs to reach"
                )
            }
            K::ScopeWithoutCapability { capabilities } => {
                write!(
                    f,
                    "has a scope for {capabilities} but does not request it: add it to `capabilities.needs`"
                )
            }
            K::CacheDiscarded { reason } => write!(f, "the cache was discarded: {reason}"),
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

dynload_diagnostics::debug_with_causes!(ProblemKind);

/// Why a plugin does not work with this platform or this version of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incompatibility {
    /// It has no entry for this platform.
    #[non_exhaustive]
    Platform {
        /// The plugin.
        id: PluginId,
        /// This platform.
        platform: Platform,
        /// The platforms that it has entries for.
        available: Vec<String>,
    },
    /// It requires other versions of the host.
    #[non_exhaustive]
    Host {
        /// The plugin.
        id: PluginId,
        /// The version of this host.
        host: semver::Version,
        /// The versions that it requires.
        required: semver::VersionReq,
    },
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Incompatibility::Platform {
                id,
                platform,
                available,
            } => {
                write!(
                    f,
                    "plugin {id} has no entry for {platform}, only for {}",
                    printable(listed(available)).message()
                )
            }
            Incompatibility::Host { id, host, required } => {
                write!(
                    f,
                    "plugin {id} requires host version {required}, but this host is {host}"
                )
            }
        }
    }
}
