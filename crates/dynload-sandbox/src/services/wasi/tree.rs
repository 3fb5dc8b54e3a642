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
    let granted = caller.capabilities();
    let (source, target) = (rights::PATH_RENAME_SOURCE, rights::PATH_RENAME_TARGET);
    caller
        .state()
        .services
        .directory(granted, old_fd, Use::Write, source)?;
    caller
        .state()
        .services
        .directory(granted, new_fd, Use::Write, target)?;
    let old = guest::path(caller, old_ptr, old_len)?;
    let new = guest::path(caller, new_ptr, new_len)?;
    let services = &caller.state().services;
    let from = services
        .directory(granted, old_fd, Use::Write, source)?
        .dir
        .try_clone()?;
    let to = services
        .directory(granted, new_fd, Use::Write, target)?
        .dir
        .try_clone()?;
    link::stays_inside_when_moved(caller, &from, &old, &to, &new)?;
    Ok(from.rename(&old, &to, &new)?)
}
