//! Where a path leads: the directory that its last name is in, and that name.
//!
//! Where a change has a condition, the condition is checked on the descriptor of that directory and the change is made
//! by the same descriptor, so that nobody comes between.

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

/// Symbolic links that are followed one after the other, as on Linux.
const MAX_LINKS: usize = 40;

/// A name in a directory.
pub(super) struct Place<'a> {
    dir: Held<'a>,
    /// Where the directory holds for the whole of the path, the path.
    pub(super) name: &'a Path,
}

enum Held<'a> {
    Same(&'a Dir),
    Opened(Dir),
}

/// What a change does with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Something is made, or gets a second name.
    Add,
    /// A name goes, or may come to be that of something else.
    Replace,
}

impl<'a> Place<'a> {
    /// Where something is to change, without following a link in the last place.
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
        // What ends with a slash is a directory, or is to become one.
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

/// Does something with what a path leads to, given the directory and a name in it that is no link (or is one that is not
/// to be followed; or became one by now, so nothing may follow it). Links are followed by hand, each from a directory of
/// its own.
pub(super) fn at_the_end<T>(
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
        // `join` would take an absolute one for the whole path, which leads out.
        if target.has_root() {
            return Err(Errno::Perm.into());
        }
        path = parent.join(target);
    }
    Err(Errno::Loop.into())
}

/// The target, if it is a symbolic link.
fn link(dir: &Dir, name: &Path) -> io::Result<Option<PathBuf>> {
    match dir.symlink_metadata(name) {
        Ok(found) if found.is_symlink() => dir.read_link_contents(name).map(Some),
        // Whoever asks for what is not there learns so from what is done with it.
        _ => Ok(None),
    }
}

/// The path of the directory that the last name is in, that name, and whether a slash is behind it: the system would then
/// follow a link. A path that ends with `.` or `..` is that of a directory, and the name `.` in it.
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
