//! `path_create_directory`, `path_remove_directory`, `path_unlink_file`, `path_rename`.

use super::{link, rights};
use crate::{
    host::Caller,
    services::{answer::Answer, descriptor::Use, guest},
};
use cap_std::fs::Dir;
use std::io;

pub(super) fn create_directory(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    change(
        caller,
        fd,
        rights::PATH_CREATE_DIRECTORY,
        ptr,
        len,
        |dir, path| dir.create_dir(path),
    )
}

pub(super) fn remove_directory(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    change(
        caller,
        fd,
        rights::PATH_REMOVE_DIRECTORY,
        ptr,
        len,
        |dir, path| dir.remove_dir(path),
    )
}

pub(super) fn unlink_file(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    change(caller, fd, rights::PATH_UNLINK_FILE, ptr, len, |dir, path| {
        dir.remove_file(path)
    })
}

fn change(
    caller: &mut Caller<'_>,
    fd: u32,
    right: u64,
    ptr: u32,
    len: u32,
    change: impl Fn(&Dir, &str) -> io::Result<()>,
) -> Answer {
    let granted = caller.capabilities();
    caller
        .state()
        .services
        .directory(granted, fd, Use::Write, right)?;
    let path = guest::path(caller, ptr, len)?;
    let open = caller
        .state()
        .services
        .directory(granted, fd, Use::Write, right)?;
    Ok(change(&open.dir, &path)?)
}

pub(super) fn rename(
    caller: &mut Caller<'_>,
    old_fd: u32,
    old_ptr: u32,
    old_len: u32,
    new_fd: u32,
    new_ptr: u32,
    new_len: u32,
) -> Answer {
    let source = (old_fd, rights::PATH_RENAME_SOURCE, old_ptr, old_len);
    let target = (new_fd, rights::PATH_RENAME_TARGET, new_ptr, new_len);
    let ((from, old), (to, new)) = link::both_ends(caller, source, target)?;
    Ok(from.rename(&old, &to, &new)?)
}
