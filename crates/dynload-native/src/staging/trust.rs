//! Whether other users can replace the files in a directory.

use std::io;
use std::path::{Path, PathBuf};

/// A directory in which another user can replace files or directories.
#[derive(Debug)]
pub(super) struct Exposed {
    pub(super) path: PathBuf,
    pub(super) reason: String,
}

/// Returns the directory, `directory` or one above it, in which a user other than this one and root can replace what it
/// contains. The path has no symlinks.
///
/// In a directory with the sticky bit, such as `/tmp`, only the owner of a file can (inode(7)). A group that may write
/// counts as other users, unless it is the group of this user alone: the one with the user's own number.
#[cfg(unix)]
pub(super) fn exposed(directory: &Path) -> io::Result<Option<Exposed>> {
    use std::os::unix::fs::MetadataExt;

    const STICKY: u32 = 0o1000;
    let user = rustix::process::geteuid().as_raw();
    for path in directory.ancestors() {
        let metadata = path.metadata()?;
        let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
        let reason = if owner != 0 && owner != user && !is_unmapped(owner) {
            format!("it belongs to another user, with the number {owner}")
        } else if mode & STICKY != 0 {
            continue;
        } else if mode & 0o002 != 0 {
            format!("every user can write to it (mode {:o})", mode & 0o7777)
        } else if mode & 0o020 != 0 && !(group == user || group == 0) {
            format!("the group {group} can write to it (mode {:o})", mode & 0o7777)
        } else {
            continue;
        };
        let path = path.to_owned();
        return Ok(Some(Exposed { path, reason }));
    }
    Ok(None)
}

/// Returns whether a user is outside of this process's user namespace, as root is in a container without it
/// (user_namespaces(7)): no process inside has this number.
#[cfg(target_os = "linux")]
fn is_unmapped(user: u32) -> bool {
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else {
        return false;
    };
    !map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return true;
        };
        (first..first.saturating_add(count)).contains(&u64::from(user))
    })
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_unmapped(_user: u32) -> bool {
    false
}

/// The permissions of Windows are not examined.
#[cfg(not(unix))]
pub(super) fn exposed(_directory: &Path) -> io::Result<Option<Exposed>> {
    Ok(None)
}
