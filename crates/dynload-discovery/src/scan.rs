//! Scanning the search path.

mod candidates;
mod directory;
mod manifest_file;
mod permissions;
mod scanner;
mod settings;
mod single_file;

use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions};

use crate::order::Duplicate;
use crate::{Plugin, PluginId, Problem};
pub use scanner::Scanner;

/// The result of a scan.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Discovery {
    /// The plugins, one for each id, ordered by id.
    pub plugins: Vec<Plugin>,
    /// The plugins that have the same id as another one, each with the one that is preferred to it.
    pub duplicates: Vec<Duplicate>,
    /// Everything that is wrong, ordered by path and line.
    pub problems: Vec<Problem>,
    /// Statistics of the scan.
    pub stats: Stats,
}

impl Discovery {
    /// Returns the plugin with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Plugin> {
        let at = self
            .plugins
            .binary_search_by(|plugin| plugin.id().as_str().cmp(id))
            .ok()?;
        Some(&self.plugins[at])
    }
}

/// Statistics of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of directories and lone files that were examined.
    pub candidates: usize,
    /// The number of manifests that were read and are valid.
    pub parsed: usize,
    /// The number of threads that were used.
    pub threads: usize,
}

/// The result for one candidate.
#[derive(Default)]
struct Found {
    plugin: Option<Plugin>,
    problems: Vec<Problem>,
    /// The id of the plugin, also if it is not listed.
    id: Option<PluginId>,
    parsed: bool,
}

/// Opens a file inside `dir` for reading. A path that leads out of it, through `..` or a link, is an error. A named pipe does
/// not block.
pub(crate) fn open_file(dir: &Dir, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    #[cfg(windows)]
    {
        // Without it, opening a directory is an error of access, and not a file that turns out to be a directory.
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, FILE_FLAG_BACKUP_SEMANTICS);
    }
    dir.open_with(path, &options).map(cap_std::fs::File::into_std)
}

/// Returns whether an error of `cap-std` means that a path leads out of its directory: `cap-std` creates that error itself, so
/// it has no errno.
fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}
