//! Looking through the search path.

mod directory;
mod list;
mod lone;
mod manifest_file;
mod scanner;
mod settings;
mod writable;

use std::fs::File;
use std::io;
use std::path::Path;

use cap_std::fs::{Dir, OpenOptions};

use crate::order::Duplicate;
use crate::{Plugin, Problem};
pub use scanner::Scanner;

/// What a scan found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Discovery {
    /// The plugins, by id, one for each.
    pub plugins: Vec<Plugin>,
    /// The plugins whose id another one has too, with the one that goes before them.
    pub duplicates: Vec<Duplicate>,
    /// Everything that was not in order, by path and line.
    pub problems: Vec<Problem>,
    /// How it went.
    pub stats: Stats,
}

impl Discovery {
    /// The plugin with this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Plugin> {
        let at = self
            .plugins
            .binary_search_by(|plugin| plugin.id().as_str().cmp(id))
            .ok()?;
        Some(&self.plugins[at])
    }
}

/// Numbers about a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Directories and lone files that were looked at.
    pub candidates: usize,
    /// Manifests that were read and are valid.
    pub parsed: usize,
    /// Threads that were used.
    pub threads: usize,
}

/// What one candidate came to.
#[derive(Default)]
struct Found {
    plugin: Option<Plugin>,
    problems: Vec<Problem>,
    parsed: bool,
}

/// Opens a file inside of `dir` for reading; a path that leads out of it, by `..` or by a link, is an error. A named pipe
/// does not block.
pub(crate) fn open_file(dir: &Dir, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        cap_std::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    dir.open_with(path, &options).map(cap_std::fs::File::into_std)
}

/// Whether an error of `cap-std` means that a path leads out of its directory: it makes that error itself, so there is no
/// number of the operating system in it.
fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}
