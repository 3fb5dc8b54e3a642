//! `path_symlink`, `path_link`, `path_readlink`.
//!
//! A symlink never leads a guest out of its directory, whoever created it: `cap-std` resolves paths that way. But
//! other programs may walk the same tree without that protection, so a symlink that a guest creates never leads out
//! of the directory that contains it: its target is not absolute, and is stored without `..`. The target alone shows
//! this, wherever the symlink is created or moved to, and whoever changes the tree meanwhile.
//!
//! Symlinks that others created can be renamed and hard-linked like every other file. Where they lead afterwards is
//! the responsibility of those who created them and let a guest write there.

use super::{
    Errno, flags,
    path::{self, Change, Entry, GuestPath},
    rights,
};
use crate::{
    host::Caller,
    services::{answer::Answer, descriptor::Use, guest, guest::write_u32, system::files},
};
use cap_std::fs::Dir;
use std::{
    borrow::Cow,
    io,
    path::{Component, Path, PathBuf},
    vec::Vec,
};

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
    let path = GuestPath::read(caller, ptr, len)?;
    // This needs no look at the tree.
    if leads_out(Path::new(&target)) {
        return Err(Errno::Perm.into());
    }
    let services = &caller.state().services;
    let open = services.directory(granted, fd, Use::Write, rights::PATH_SYMLINK)?;
    let entry = Entry::new(services.guard(), open, &path, Change::Add)?;
    if path.has_trailing_slash() {
        return Err(entry.not_a_directory().into());
    }
    let target = inside(&target, || entry.parent())?;
    Ok(files::symlink(entry.dir(), &target, entry.name)?)
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
    // A file that is hard-linked into a writable directory becomes writable, so both ends must be writable.
    let source = (old_fd, rights::PATH_LINK_SOURCE, old_ptr, old_len);
    let target = (new_fd, rights::PATH_LINK_TARGET, new_ptr, new_len);
    at_both_ends(
        caller,
        source,
        target,
        Change::Add,
        |(from, from_slash), (to, to_slash)| {
            if from_slash {
                return Err(from.not_linkable().into());
            }
            if to_slash {
                return Err(to.not_a_directory().into());
            }
            Ok(from.dir().hard_link(from.name, to.dir(), to.name)?)
        },
    )
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
    let path = GuestPath::read(caller, ptr, len)?;
    let open = caller
        .state()
        .services
        .directory(granted, fd, Use::Read, rights::PATH_READLINK)?;
    let target = if files::WALKS {
        path::resolve_and(open, &path.lookup(), false, |dir, name| {
            Ok(dir.read_link_contents(name)?)
        })?
    } else {
        open.dir.read_link(&*path.lookup())?
    };
    let target = files::link_target(target)?;
    let target = target.to_str().ok_or(Errno::Ilseq)?.as_bytes();
    // As readlink(2): a target that does not fit is truncated.
    let target = &target[..target.len().min(buffer_len as usize)];
    caller.charge_bytes(target.len() as u64)?;
    caller.memory_or_empty().write(buffer, target)?;
    write_u32(caller, out, target.len() as u32)
}

/// One end of a rename or a hard link, as a guest passes it: descriptor, right, pointer and length of the path.
type End = (u32, u64, u32, u32);

/// Runs an operation that has two ends, if the guest may write to both. `act` receives both, each with whether its path has a
/// trailing slash.
pub(super) fn at_both_ends(
    caller: &mut Caller<'_>,
    (old_fd, source, old_ptr, old_len): End,
    (new_fd, target, new_ptr, new_len): End,
    change: Change,
    act: impl FnOnce((&Entry<'_>, bool), (&Entry<'_>, bool)) -> Answer,
) -> Answer {
    let granted = caller.capabilities();
    let services = &caller.state().services;
    services.directory(granted, old_fd, Use::Write, source)?;
    services.directory(granted, new_fd, Use::Write, target)?;
    let old = GuestPath::read(caller, old_ptr, old_len)?;
    let new = GuestPath::read(caller, new_ptr, new_len)?;
    let services = &caller.state().services;
    let from = services.directory(granted, old_fd, Use::Write, source)?;
    let to = services.directory(granted, new_fd, Use::Write, target)?;
    let from = Entry::new(services.guard(), from, &old, change)?;
    let to = Entry::new(services.guard(), to, &new, change)?;
    act((&from, old.has_trailing_slash()), (&to, new.has_trailing_slash()))
}

/// Returns the target of a new symlink in the directory `dir`: without `..`, where that is possible.
///
/// `a/../x` becomes `x` if `a` is a directory. If it were stored as it is, it would lead elsewhere once a symlink that
/// others created is moved to `a`.
fn inside<'a>(target: &'a str, dir: impl FnOnce() -> io::Result<Dir>) -> Answer<Cow<'a, str>> {
    /// The maximum number of `..`: each has a path looked up.
    const MOST: usize = 40;
    let components = Path::new(target).components();
    if components.clone().all(is_below) {
        return Ok(target.into());
    }
    let parents = components.clone().filter(|part| *part == Component::ParentDir);
    if parents.count() > MOST {
        return Err(Errno::Perm.into());
    }
    let dir = dir()?;
    let mut kept = Vec::new();
    // The number of leading components that are directories, and not symlinks to directories.
    let mut directories = 0;
    for component in components {
        match component {
            Component::Normal(name) => kept.push(name),
            Component::CurDir => {}
            Component::ParentDir if !kept.is_empty() => {
                for end in directories + 1..=kept.len() {
                    let path: PathBuf = kept[..end].iter().collect();
                    let found = dir.symlink_metadata(path);
                    if !found.is_ok_and(|found| found.is_dir()) {
                        return Err(Errno::Perm.into());
                    }
                }
                kept.pop();
                directories = kept.len();
            }
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(Errno::Perm.into());
            }
        }
    }
    let mut path: PathBuf = kept.iter().collect();
    if kept.is_empty() {
        path.push(".");
    }
    // At its end, a slash or `.` requires a directory.
    if target.ends_with('/') || target.ends_with("/.") {
        path.push("");
    }
    Ok(path
        .into_os_string()
        .into_string()
        .map_err(|_| Errno::Ilseq)?
        .into())
}

/// Returns whether a target is absolute, or has more `..` than names before it.
fn leads_out(target: &Path) -> bool {
    let mut depth = 0_usize;
    target.components().any(|component| match component {
        Component::CurDir => false,
        Component::Normal(_) => {
            depth += 1;
            false
        }
        Component::ParentDir => match depth.checked_sub(1) {
            Some(above) => {
                depth = above;
                false
            }
            None => true,
        },
        Component::RootDir | Component::Prefix(_) => true,
    })
}

/// Returns whether a component leads to something in the same directory, or to the directory itself.
fn is_below(component: Component<'_>) -> bool {
    matches!(component, Component::Normal(_) | Component::CurDir)
}
