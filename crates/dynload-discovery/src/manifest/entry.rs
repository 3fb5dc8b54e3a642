//! The file of a plugin that is loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use dynload_diagnostics::printable;

use crate::{Platform, PlatformKey};

/// The files to load, by platform. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries(BTreeMap<PlatformKey, EntryPath>);

impl Entries {
    /// Creates entries with one file for every platform.
    #[must_use]
    pub fn any(path: EntryPath) -> Entries {
        Entries(BTreeMap::from([(PlatformKey::Any, path)]))
    }

    /// Creates entries with one file for each platform; `None` when the map is empty.
    #[must_use]
    pub fn per_platform(entries: BTreeMap<PlatformKey, EntryPath>) -> Option<Entries> {
        (!entries.is_empty()).then_some(Entries(entries))
    }

    /// Returns the file for `platform`: that of its `os-arch` before that of its `os` before `any`.
    #[must_use]
    pub fn for_platform(&self, platform: Platform) -> Option<&EntryPath> {
        // The keys are ordered from the least to the most specific.
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key.fits(platform))
            .map(|(_, path)| path)
    }

    /// Returns every file, with the platforms that it is for.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (PlatformKey, &EntryPath)> {
        self.0.iter().map(|(key, path)| (*key, path))
    }
}

/// A path below the plugin's directory, with `/` on every platform.
///
/// It is not absolute, and has no empty, `.` or `..` components, no `\`, no `:` and no control characters (so that it has the
/// same meaning on Windows). Whether the file is inside the directory after resolving symbolic links is checked by the scan,
/// which opens it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Box<str>);

impl EntryPath {
    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path as a [`Path`].
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&*self.0)
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for EntryPath {
    type Err = EntryPathError;

    fn from_str(text: &str) -> Result<EntryPath, EntryPathError> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > 1024 {
            "it is longer than 1024 bytes"
        } else if text.starts_with('/') {
            "it is absolute"
        } else if text.contains(['\\', ':']) || text.contains(char::is_control) {
            "it contains a `\\`, a `:` or a control character"
        } else if text.split('/').any(|part| part == "..") {
            "it has a `..` component"
        } else if text.split('/').any(|part| part.is_empty() || part == ".") {
            "it has an empty or `.` component"
        } else {
            return Ok(EntryPath(text.into()));
        };
        Err(EntryPathError {
            found: text.chars().take(256).collect(),
            reason,
        })
    }
}

/// A path that is not a valid [`EntryPath`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryPathError {
    /// The path.
    pub found: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for EntryPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EntryPathError { found, reason } = self;
        write!(
            f,
            "bad entry {:?}: {reason}; write a path inside the plugin's directory, such as `lib/plugin.wasm`",
            printable(found).path()
        )
    }
}

impl std::error::Error for EntryPathError {}

dynload_diagnostics::debug_with_causes!(EntryPathError);
