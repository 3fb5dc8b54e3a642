//! Path resolution: the directory that contains the last component of a path, and that component.
//!
//! If a change has a condition, the condition is checked on the descriptor of that directory and the change is made
//! through the same descriptor, so that nothing can interfere in between.

use super::Errno;
use crate::services::{answer::Answer, descriptor::OpenDir, guard::Guard};
use cap_std::fs::Dir;
use dynload_caps::Access;
use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The maximum number of symlinks followed in sequence, as on Linux.
const MAX_LINKS: usize = 40;

/// A name in a directory.
pub(super) struct Place<'a> {
    dir: Held<'a>,
    /// The last component; the whole path if `dir` is the directory that the path starts from.
    pub(super) name: &'a Path,
}

enum Held<'a> {
    Same(&'a Dir),
    Opened(Dir),
}

/// The effect of a change on a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Creates an entry, or adds a second name to a file.
    Add,
    /// Removes a name, or may make it refer to another file.
    Replace,
}

impl<'a> Place<'a> {
    /// Resolves the path of a change, without following a link in the last component.
    pub(super) fn new(guard: &Guard, open: &'a OpenDir, path: &'a str, change: Change) -> Answer<Place<'a>> {
        let path = Path::new(path);
        if !guard.is_needed() {
            return Ok(Place {
                dir: Held::Same(&open.dir),
                name: path,
            });
        }
        let (parent, name, has_slash) = split(path);
        let place = Place {
            dir: Held::Opened(open.dir.open_dir(parent)?),
            name,
        };
        if guard.access(place.dir(), open.access)? == Access::ReadOnly {
            return Err(Errno::Notcapable.into());
        }
        let Ok(found) = place.dir().symlink_metadata(place.name) else {
            return Ok(place);
        };
        // A path with a trailing slash names a directory, or one that is about to be created.
        if has_slash && !found.is_dir() {
            return Err(Errno::Notdir.into());
        }
        if change == Change::Replace && guard.holds(&found) {
            return Err(Errno::Busy.into());
        }
        Ok(place)
    }

    pub(super) fn dir(&self) -> &Dir {
        match &self.dir {
            Held::Same(dir) => dir,
            Held::Opened(dir) => dir,
        }
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
        let (parent, name) = match split(&path) {
            (_, _, true) => (&*path, Path::new(".")),
            (parent, name, false) => (parent, name),
        };
        let dir = open.dir.open_dir(parent)?;
        let target = if follow { link(&dir, name)? } else { None };
        let Some(target) = target else {
            return act(&dir, name);
        };
        // `join` would replace the whole path by an absolute target, which leads out of the directory.
        if target.has_root() {
            return Err(Errno::Perm.into());
        }
        path = parent.join(target);
    }
    Err(Errno::Loop.into())
}

/// Returns the target, if the name is a symlink.
fn link(dir: &Dir, name: &Path) -> io::Result<Option<PathBuf>> {
    match dir.symlink_metadata(name) {
        Ok(found) if found.is_symlink() => dir.read_link_contents(name).map(Some),
        // If the name does not exist, the operation on it reports that.
        _ => Ok(None),
    }
}

/// Splits a path into the path of the directory that contains the last component, that component, and whether a slash
/// follows it: then the system would follow a link. A path that ends with `.` or `..` is that of a directory, and the
/// component is `.`.
fn split(path: &Path) -> (&Path, &Path, bool) {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |at| at + 1);
    let start = bytes[..end]
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let part = |bytes| Path::new(OsStr::from_bytes(bytes));
    match &bytes[start..end] {
        b"" | b"." | b".." => (path, part(b"."), false),
        name if start == 0 => (part(b"."), part(name), end < bytes.len()),
        name => (part(&bytes[..start]), part(name), end < bytes.len()),
    }
}
