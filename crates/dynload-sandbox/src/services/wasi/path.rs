//! Paths of guests: trailing slashes, and the directory that contains the last component of a path.
//!
//! If a change has a condition, the condition is checked on the descriptor of that directory and the change is made
//! through the same descriptor, so that nothing can interfere in between.

use super::Errno;
use crate::{
    host::Caller,
    services::{
        answer::Answer,
        descriptor::OpenDir,
        guard::Guard,
        guest,
        system::files::{self, split},
    },
};
use cap_std::fs::Dir;
use dynload_caps::Access;
use std::{
    borrow::Cow,
    format, io,
    path::{Component, Path, PathBuf},
    string::String,
};

/// The maximum number of symlinks followed in sequence, as on Linux.
pub(in crate::services) const MAX_LINKS: usize = 40;

/// A path of a guest. Its trailing slashes are split off here, and only here: `cap-std` drops them, although they change
/// what the path means ([POSIX, 4.16 Pathname Resolution]).
///
/// [POSIX, 4.16 Pathname Resolution]: https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap04.html#tag_04_16
pub(super) struct GuestPath {
    text: String,
    has_trailing_slash: bool,
}

impl GuestPath {
    pub(super) fn read(caller: &mut Caller<'_>, ptr: u32, len: u32) -> Answer<GuestPath> {
        let mut text = guest::path(caller, ptr, len)?;
        files::check_path(&text)?;
        let end = text.trim_end_matches('/').len();
        // A path of slashes alone is absolute, and refused as such.
        let has_trailing_slash = 0 < end && end < text.len();
        if has_trailing_slash {
            text.truncate(end);
        }
        Ok(GuestPath {
            text,
            has_trailing_slash,
        })
    }

    pub(super) fn has_trailing_slash(&self) -> bool {
        self.has_trailing_slash
    }

    /// Returns whether the path can only be that of a directory. On Unix, `cap-std` knows what `x/.` means.
    pub(super) fn names_directory(&self) -> bool {
        self.has_trailing_slash || cfg!(windows) && self.text.ends_with("/.")
    }

    /// Returns the path for operations that look something up. With a trailing slash, it is a path of a directory, also if a
    /// symlink leads there: POSIX resolves `x/` as `x/.`.
    pub(super) fn lookup(&self) -> Cow<'_, str> {
        if cfg!(windows) && self.names_directory() {
            // On Windows, `cap-std` takes `x/.` for `x`.
            format!("{}/", self.text).into()
        } else if self.has_trailing_slash {
            format!("{}/.", self.text).into()
        } else {
            self.text.as_str().into()
        }
    }

    /// Returns the path of the directory that contains the last component.
    pub(super) fn parent(&self) -> &Path {
        split(Path::new(&self.text)).0
    }

    /// Returns the path without trailing slashes, for operations that create, remove or rename its last component.
    pub(super) fn entry(&self) -> &str {
        &self.text
    }
}

/// A name in a directory.
pub(super) struct Entry<'a> {
    dir: Held<'a>,
    /// The last component; the whole path if `dir` is the directory that the path starts from.
    pub(super) name: &'a Path,
}

enum Held<'a> {
    Same(&'a Dir),
    Opened(Dir),
}

impl Held<'_> {
    fn get(&self) -> &Dir {
        match self {
            Held::Same(dir) => dir,
            Held::Opened(dir) => dir,
        }
    }
}

/// Opens the directory that contains the last component of a path.
fn held<'a>(dir: &'a Dir, parent: &Path) -> io::Result<Held<'a>> {
    if files::WALKS && parent == Path::new(".") {
        return Ok(Held::Same(dir));
    }
    files::open_dir(dir, parent).map(Held::Opened)
}

/// The effect of a change on a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Creates an entry, or adds a second name to a file.
    Add,
    /// Removes a name, or may make it refer to another file.
    Replace,
}

impl<'a> Entry<'a> {
    /// Resolves the path of a change, without following a link in the last component.
    pub(super) fn new(
        guard: &Guard,
        open: &'a OpenDir,
        path: &'a GuestPath,
        change: Change,
    ) -> Answer<Entry<'a>> {
        let path = Path::new(path.entry());
        if !guard.is_needed() && !files::WALKS {
            return Ok(Entry {
                dir: Held::Same(&open.dir),
                name: path,
            });
        }
        let (parent, name) = split(path);
        let entry = Entry {
            dir: held(&open.dir, parent)?,
            name,
        };
        if guard.access(entry.dir(), open.access)? == Access::ReadOnly {
            return Err(Errno::Notcapable.into());
        }
        let Ok(found) = entry.dir().symlink_metadata(entry.name) else {
            return Ok(entry);
        };
        if change == Change::Replace && guard.holds(&found) {
            return Err(Errno::Busy.into());
        }
        Ok(entry)
    }

    /// Returns the errno of creating an entry that is not a directory, under a path with a trailing slash.
    pub(super) fn not_a_directory(&self) -> Errno {
        match self.dir().symlink_metadata(self.name) {
            Ok(_) => Errno::Exist,
            Err(error) => Errno::from(&error),
        }
    }

    /// Returns the errno of creating a hard link to a path with a trailing slash: a directory has none, and anything else
    /// is not a directory.
    pub(super) fn not_linkable(&self) -> Errno {
        match self.dir().metadata(self.name) {
            Ok(found) if found.is_dir() => Errno::Perm,
            Ok(_) => Errno::Notdir,
            Err(error) => Errno::from(&error),
        }
    }

    /// Checks that the directory exists which contains the entry: errors of that come before those of the entry.
    pub(super) fn check_parent(&self) -> Result<(), Errno> {
        self.parent().map(drop).map_err(|error| Errno::from(&error))
    }

    /// Opens the directory that contains the entry.
    pub(super) fn parent(&self) -> io::Result<Dir> {
        files::open_dir(self.dir(), split(self.name).0)
    }

    /// Checks that the entry is a directory, as a trailing slash requires.
    pub(super) fn check_directory(&self) -> Result<(), Errno> {
        match self.dir().symlink_metadata(self.name) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(Errno::Notdir),
            Err(error) => Err(Errno::from(&error)),
        }
    }

    pub(super) fn dir(&self) -> &Dir {
        self.dir.get()
    }
}

/// Resolves a path and calls `act` with the final directory and the name in it.
///
/// The name is not a symlink, or is one that must not be followed. It may have become a symlink meanwhile, so `act`
/// must not follow it. Links are followed by hand, each from a newly opened directory.
pub(super) fn resolve_and<T>(
    open: &OpenDir,
    path: &str,
    follow: bool,
    mut act: impl FnMut(&Dir, &Path) -> Answer<T>,
) -> Answer<T> {
    let mut path = PathBuf::from(path);
    for _ in 0..=MAX_LINKS {
        let (parent, name) = split(&path);
        let dir = held(&open.dir, parent)?;
        let target = if follow { link(dir.get(), name)? } else { None };
        let Some(target) = target else {
            return act(dir.get(), name);
        };
        // An absolute target leads out of the directory.
        let is_valid = |target: &str| files::check_path(target).is_ok();
        if leads_elsewhere(&target) || !target.to_str().is_none_or(is_valid) {
            return Err(Errno::Perm.into());
        }
        // `join` would put a backslash on Windows.
        let mut joined = std::ffi::OsString::from(parent);
        joined.push("/");
        joined.push(target);
        path = joined.into();
    }
    Err(Errno::Loop.into())
}

/// Returns the target, if the name is a symlink.
fn link(dir: &Dir, name: &Path) -> io::Result<Option<PathBuf>> {
    match dir.symlink_metadata(name) {
        Ok(found) if found.is_symlink() => dir
            .read_link_contents(name)
            .and_then(files::link_target)
            .map(Some),
        // If the name does not exist, the operation on it reports that.
        _ => Ok(None),
    }
}

/// Returns whether a path does not start where it is: it is absolute, or has a drive.
fn leads_elsewhere(path: &Path) -> bool {
    matches!(
        path.components().next(),
        Some(Component::RootDir | Component::Prefix(_))
    )
}
