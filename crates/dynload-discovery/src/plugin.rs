//! A plugin that was found.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use dynload_diagnostics::printable;
use semver::Version;

use crate::cache::Fingerprint;
use crate::manifest::{Format, Manifest};
use crate::scan::open_file;
use crate::{Incompatibility, PluginId, Source};

/// A plugin that was found: its id, its location and its manifest.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub(crate) id: PluginId,
    pub(crate) format: Format,
    /// The real path of the directory that contains the plugin.
    pub(crate) dir: PathBuf,
    /// The path under the name in the search path, if that is not `dir`.
    pub(crate) found_at: Option<PathBuf>,
    pub(crate) version: Option<Version>,
    pub(crate) manifest: Option<Box<Manifest>>,
    pub(crate) entry: Option<Entry>,
    pub(crate) source: Source,
    pub(crate) rank: usize,
    pub(crate) incompatible: Vec<Incompatibility>,
}

/// The file to load.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Relative to the plugin's directory.
    pub(crate) path: PathBuf,
    pub(crate) file: Fingerprint,
}

impl Plugin {
    /// Returns the id: that of the manifest, or for a lone file its name without `lib` and extension.
    #[must_use]
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// Returns the version; a lone file has none.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns the display name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.manifest()
            .map_or(self.id.as_str(), |manifest| &manifest.name)
    }

    /// Returns the kind of code that it is.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns the manifest; a lone file has none.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_deref()
    }

    /// Returns the directory that contains it, with symbolic links resolved.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of the directory or lone file under the name by which it was found.
    #[must_use]
    pub fn found_at(&self) -> &Path {
        self.found_at.as_deref().unwrap_or(&self.dir)
    }

    /// Returns the path of the file to load on this platform; `None` when the plugin has none.
    ///
    /// The scan checked that it is a regular file inside [`dir`](Plugin::dir). Whoever can write to that directory can
    /// replace the file afterwards: to load exactly the file that was found, use [`read_entry`](Plugin::read_entry).
    #[must_use]
    pub fn entry_path(&self) -> Option<PathBuf> {
        self.entry.as_ref().map(|entry| self.dir.join(&entry.path))
    }

    /// Returns the kind of directory that it was found in.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns the position of that directory in the search path, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Returns whether it works with this platform and this version of the host.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.incompatible.is_empty()
    }

    /// Returns why it does not work with this platform or this version of the host.
    #[must_use]
    pub fn incompatibilities(&self) -> &[Incompatibility] {
        &self.incompatible
    }

    /// Returns the contents of the file to load, at most `max_bytes`, provided that it is still the file that the scan
    /// found and is not modified while it is read.
    ///
    /// # Errors
    ///
    /// - [`EntryError::None`]: the plugin has no file for this platform.
    /// - [`EntryError::Changed`]: the file, its size or its times differ from those found by the scan.
    /// - [`EntryError::TooLarge`]: the file has more than `max_bytes`.
    /// - [`EntryError::Io`]: the file cannot be read, no longer exists, or is now outside the directory.
    pub fn read_entry(&self, max_bytes: u64) -> Result<Vec<u8>, EntryError> {
        let entry = self
            .entry
            .as_ref()
            .ok_or_else(|| EntryError::None { id: self.id.clone() })?;
        let path = || self.dir.join(&entry.path);
        let io = |source| EntryError::Io { path: path(), source };
        let mut file = self.open(entry).map_err(io)?;
        self.still_the_same(entry, &file)?;
        if entry.file.size > max_bytes {
            return Err(EntryError::TooLarge {
                path: path(),
                bytes: entry.file.size,
                limit: max_bytes,
            });
        }
        let mut bytes = Vec::new();
        (&mut file)
            .take(entry.file.size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.len() as u64 != entry.file.size {
            return Err(EntryError::Changed { path: path() });
        }
        // If it was written to while it was read, the bytes may be a mix of two versions.
        self.still_the_same(entry, &file)?;
        Ok(bytes)
    }

    fn open(&self, entry: &Entry) -> io::Result<File> {
        let dir = Dir::open_ambient_dir(&self.dir, ambient_authority())?;
        open_file(&dir, &entry.path)
    }

    fn still_the_same(&self, entry: &Entry, file: &File) -> Result<(), EntryError> {
        let path = || self.dir.join(&entry.path);
        let metadata = file
            .metadata()
            .map_err(|source| EntryError::Io { path: path(), source })?;
        if metadata.is_file() && Fingerprint::of(&metadata) == entry.file {
            Ok(())
        } else {
            Err(EntryError::Changed { path: path() })
        }
    }
}

/// The largest file that an audit reads, 1 GiB.
pub(crate) const MAX_AUDIT_BYTES: u64 = 1 << 30;

/// Why the file of a plugin was not read.
#[non_exhaustive]
pub enum EntryError {
    /// The plugin has no file for this platform.
    #[non_exhaustive]
    None {
        /// The plugin.
        id: PluginId,
    },
    /// The file is no longer the one that was found.
    #[non_exhaustive]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than the limit.
    #[non_exhaustive]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file cannot be read.
    #[non_exhaustive]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryError::None { id } => write!(f, "plugin {id} has no file for this platform"),
            EntryError::Changed { path } => {
                write!(
                    f,
                    "{} has changed since it was found: scan again",
                    printable(path.display()).path()
                )
            }
            EntryError::TooLarge { path, bytes, limit } => {
                write!(
                    f,
                    "{} has {bytes} bytes, over the limit of {limit}",
                    printable(path.display()).path()
                )
            }
            EntryError::Io { path, .. } => write!(f, "{} cannot be read", printable(path.display()).path()),
        }
    }
}

impl Error for EntryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            EntryError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(EntryError);

/// Returns whether the file at `path` still has this fingerprint.
pub(crate) fn unchanged(path: &Path, file: Fingerprint) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && Fingerprint::of(&metadata) == file)
}
