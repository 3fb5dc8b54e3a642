//! `path_symlink`, `path_link`, `path_readlink`.
//!
//! A symbolic link never leads a guest out of its directory, whoever made it: `cap-std` walks paths so. But others may
//! walk the same tree without such care, so a guest cannot leave links there whose target is absolute or outside.

use super::{Errno, flags, rights};
use crate::{
    host::Caller,
    services::{answer::Answer, descriptor::Use, guest, guest::write_u32},
};
use cap_std::fs::Dir;
use std::{
    path::{Component, Path, PathBuf},
    string::String,
    vec::Vec,
};

/// Directories that are still to be looked into, when a directory with others in it moves up.
const MAX_OPEN: usize = 4096;

pub(super) fn symlink(
    caller: &mut Caller<'_>,
    target_ptr: u32,
    target_len: u32,
    fd: u32,
    ptr: u32,
    len: u32,
) -> Answer {
    let granted = caller.capabilities();
    caller
        .state()
        .services
        .directory(granted, fd, Use::Write, rights::PATH_SYMLINK)?;
    let target = guest::path(caller, target_ptr, target_len)?;
    let path = guest::path(caller, ptr, len)?;
    let open = caller
        .state()
        .services
        .directory(granted, fd, Use::Write, rights::PATH_SYMLINK)?;
    stays_inside(&open.dir, Path::new(&path), Path::new(&target))?;
    Ok(open.dir.symlink(&target, &path)?)
}

#[allow(
    clippy::too_many_arguments,
    reason = "the parameters are those of the WASI function"
)]
pub(super) fn hard_link(
    caller: &mut Caller<'_>,
    old_fd: u32,
    lookup: u32,
    old_ptr: u32,
    old_len: u32,
    new_fd: u32,
    new_ptr: u32,
    new_len: u32,
) -> Answer {
    if flags::known(lookup, flags::SYMLINK_FOLLOW)? != 0 {
        return Err(Errno::Inval.into());
    }
    // What has a second name in a directory that can be written to, can be written to.
    let source = (old_fd, rights::PATH_LINK_SOURCE, old_ptr, old_len);
    let target = (new_fd, rights::PATH_LINK_TARGET, new_ptr, new_len);
    let ((from, old), (to, new)) = both_ends(caller, source, target)?;
    Ok(from.hard_link(&old, &to, &new)?)
}

pub(super) fn readlink(
    caller: &mut Caller<'_>,
    fd: u32,
    ptr: u32,
    len: u32,
    buffer: u32,
    buffer_len: u32,
    out: u32,
) -> Answer {
    let granted = caller.capabilities();
    caller
        .state()
        .services
        .directory(granted, fd, Use::Read, rights::PATH_READLINK)?;
    let path = guest::path(caller, ptr, len)?;
    let open = caller
        .state()
        .services
        .directory(granted, fd, Use::Read, rights::PATH_READLINK)?;
    let target = open.dir.read_link(&path)?;
    let target = target.to_str().ok_or(Errno::Ilseq)?.as_bytes();
    // As readlink(2): what does not fit is cut off.
    let target = &target[..target.len().min(buffer_len as usize)];
    caller.charge_bytes(target.len() as u64)?;
    caller.memory().write(buffer, target)?;
    write_u32(caller, out, target.len() as u32)
}

/// One end of a rename or a hard link, as a guest names it: descriptor, right, pointer and length of the path.
type End = (u32, u64, u32, u32);

/// The directories and paths of both ends, if the guest may write to both, and nothing leads outside by it.
pub(super) fn both_ends(
    caller: &mut Caller<'_>,
    (old_fd, source, old_ptr, old_len): End,
    (new_fd, target, new_ptr, new_len): End,
) -> Answer<((Dir, String), (Dir, String))> {
    let granted = caller.capabilities();
    let services = &caller.state().services;
    let from = services
        .directory(granted, old_fd, Use::Write, source)?
        .dir
        .try_clone()?;
    let to = services
        .directory(granted, new_fd, Use::Write, target)?
        .dir
        .try_clone()?;
    let old = guest::path(caller, old_ptr, old_len)?;
    let new = guest::path(caller, new_ptr, new_len)?;
    stays_inside_when_moved(caller, &from, &old, &to, &new)?;
    Ok(((from, old), (to, new)))
}

/// Refuses to move or link a symbolic link to where it would lead outside, alone or with the directory that it is in.
pub(super) fn stays_inside_when_moved(
    caller: &mut Caller<'_>,
    from: &Dir,
    old: &str,
    to: &Dir,
    new: &str,
) -> Answer {
    // Whoever asks for what is not there learns so from the operation itself.
    let Ok(metadata) = from.symlink_metadata(old) else {
        return Ok(());
    };
    if metadata.is_symlink() {
        let target = from.read_link_contents(old)?;
        stays_inside(to, Path::new(new), &target)?;
    } else if metadata.is_dir() {
        let depth = depth_of_parent(to, Path::new(new))?;
        if depth < depth_of_parent(from, Path::new(old))? {
            links_below_stay_inside(caller, from, old, depth + 1)?;
        }
    }
    Ok(())
}

/// Looks for links in a directory that moves up, to where it will be `depth` deep.
fn links_below_stay_inside(caller: &mut Caller<'_>, from: &Dir, directory: &str, depth: usize) -> Answer {
    let mut open = Vec::from([(PathBuf::from(directory), depth)]);
    while let Some((path, depth)) = open.pop() {
        for entry in from.read_dir(&path)? {
            caller.charge(1)?;
            caller.check()?;
            let entry = entry?;
            let (below, filetype) = (path.join(entry.file_name()), entry.file_type()?);
            if filetype.is_dir() {
                if open.len() >= MAX_OPEN {
                    return Err(Errno::Nomem.into());
                }
                open.push((below, depth + 1));
            } else if filetype.is_symlink() && ups(&from.read_link_contents(&below)?) > depth {
                return Err(Errno::Perm.into());
            }
        }
    }
    Ok(())
}

/// Whether a symbolic link at `path` to `target` stays in `dir`, whatever other links there are.
///
/// Each `..` at the start goes up one directory from where the link really is. One further on could go up from
/// anywhere, for what stands before it may be a link.
fn stays_inside(dir: &Dir, path: &Path, target: &Path) -> Result<(), Errno> {
    let ups = ups(target);
    let all = target
        .components()
        .filter(|part| *part == Component::ParentDir)
        .count();
    if target.is_absolute() || target.has_root() || all > ups {
        return Err(Errno::Perm);
    }
    if ups == 0 || ups <= depth_of_parent(dir, path)? {
        Ok(())
    } else {
        Err(Errno::Perm)
    }
}

/// How many `..` a path begins with.
fn ups(path: &Path) -> usize {
    let leads = path
        .components()
        .take_while(|part| matches!(part, Component::ParentDir | Component::CurDir));
    leads.filter(|part| *part == Component::ParentDir).count()
}

/// How deep the directory really is that a path has its last name in.
fn depth_of_parent(dir: &Dir, path: &Path) -> Result<usize, Errno> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let parent = dir.canonicalize(parent).map_err(|error| Errno::from(&error))?;
    Ok(parent
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .count())
}
