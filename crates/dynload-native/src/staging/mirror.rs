//! Directories in which a copy finds what the original finds.
//!
//! What a library looks for relative to its own file, it looks for relative to its copy: `$ORIGIN` in its run path, in
//! what it needs and in what it opens itself (ld.so(8)), `@loader_path` (dyld(1)), a path from `dladdr`. So the
//! directory of the copy has a link to each file beside the original. The directories above it stand for those above
//! the original, and have links in the same way, so that `..` leads from the copy to what it leads to from the original:
//!
//! ```text
//! /opt/greeter/plugins/libgreeter.so
//!
//! .../.dynload-1/                    stands for /
//!         bin, opt, usr, ...         -> /bin, /opt, /usr, ...
//!         .dynload-2/                stands for /opt
//!             greeter, ...           -> /opt/greeter, ...
//!             .dynload-3/            stands for /opt/greeter
//!                 plugins, lib, ...  -> /opt/greeter/plugins, /opt/greeter/lib, ...
//!                 .dynload-4/        stands for /opt/greeter/plugins
//!                     libgreeter.so  the copy
//!                     libbeside.so   -> /opt/greeter/plugins/libbeside.so
//! ```
//!
//! A library that is found through a link is the original one, so the loader recognizes that it is loaded already.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::directory::create_private;

/// The prefix of the names of the real directories.
const PREFIX: &str = ".dynload-";

/// The directories that stand for those above the originals. Copies from several directories share them.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    levels: HashMap<PathBuf, Level>,
    last: u64,
}

/// A directory that stands for another one.
#[derive(Debug)]
struct Level {
    path: PathBuf,
    linked: HashSet<OsString>,
}

impl Mirror {
    /// Creates the directory of a copy, below the directories that stand for those above `original`.
    ///
    /// `top` is where the directories are created, and `original` has no symlinks in its path.
    pub(super) fn place(&mut self, top: &Path, original: &Path) -> io::Result<PathBuf> {
        let mut above: Vec<&Path> = original.ancestors().skip(1).collect();
        above.reverse();
        let mut parent = top.to_owned();
        for directory in above {
            parent = self.level(&parent, directory, top)?;
        }
        self.create(&parent)
    }

    /// Forgets everything, after `top` was removed.
    pub(super) fn clear(&mut self) {
        self.levels.clear();
    }

    /// Returns the directory within `parent` that stands for `directory`, with links to what is there now.
    fn level(&mut self, parent: &Path, directory: &Path, top: &Path) -> io::Result<PathBuf> {
        if !self.levels.contains_key(directory) {
            let path = self.create(parent)?;
            let linked = HashSet::new();
            self.levels.insert(directory.to_owned(), Level { path, linked });
        }
        let Some(level) = self.levels.get_mut(directory) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let present: HashSet<OsString> = names(directory)
            // The copies themselves are not part of what is above the original.
            .filter(|name| directory.join(name) != top)
            .collect();
        for name in level.linked.difference(&present) {
            let _ = fs::remove_file(level.path.join(name));
        }
        for name in present.difference(&level.linked) {
            link(directory, &level.path, name);
        }
        level.linked = present;
        Ok(level.path.clone())
    }

    /// Creates a directory with a new name. A link or the child of a `fork` may have taken a name.
    fn create(&mut self, parent: &Path) -> io::Result<PathBuf> {
        loop {
            self.last += 1;
            let path = parent.join(format!("{PREFIX}{}", self.last));
            match create_private(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| path),
            }
        }
    }
}

/// Links everything in `original` within `copy`, except what is there already: the copy and its debug information.
pub(super) fn link_all<'a>(original: &Path, copy: &Path, needed: impl Iterator<Item = &'a OsStr>) {
    for name in names(original) {
        link(original, copy, &name);
    }
    for name in needed {
        link(original, copy, name);
    }
}

/// Returns the names in a directory; none if it cannot be read.
fn names(directory: &Path) -> impl Iterator<Item = OsString> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name())
}

/// Creates one link. The loader does not find what could not be linked, and reports that.
fn link(original: &Path, copy: &Path, name: &OsStr) {
    let _ = symlink(original.join(name), copy.join(name));
}
