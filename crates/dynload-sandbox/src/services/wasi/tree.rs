//! `path_create_directory`, `path_remove_directory`, `path_unlink_file`, `path_rename`.

use super::{
    Errno, link,
    path::{Change, Entry, GuestPath},
    rights,
};
use crate::{
    host::Caller,
    services::{answer::Answer, descriptor::Use, system::files},
};

pub(super) fn create_directory(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    let right = rights::PATH_CREATE_DIRECTORY;
    change(caller, fd, right, ptr, len, Change::Add, |entry, _| {
        Ok(entry.dir().create_dir(entry.name)?)
    })
}

pub(super) fn remove_directory(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    let right = rights::PATH_REMOVE_DIRECTORY;
    change(caller, fd, right, ptr, len, Change::Replace, |entry, _| {
        Ok(entry.dir().remove_dir(entry.name)?)
    })
}

pub(super) fn unlink_file(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    let right = rights::PATH_UNLINK_FILE;
    change(
        caller,
        fd,
        right,
        ptr,
        len,
        Change::Replace,
        |entry, has_trailing_slash| {
            if has_trailing_slash {
                entry.check_directory()?;
                return Err(Errno::Isdir.into());
            }
            Ok(files::remove_file(entry.dir(), entry.name)?)
        },
    )
}

fn change(
    caller: &mut Caller<'_>,
    fd: u32,
    right: u64,
    ptr: u32,
    len: u32,
    change: Change,
    act: impl Fn(&Entry<'_>, bool) -> Answer,
) -> Answer {
    let granted = caller.capabilities();
    caller
        .state()
        .services
        .directory(granted, fd, Use::Write, right)?;
    let path = GuestPath::read(caller, ptr, len)?;
    let services = &caller.state().services;
    let open = services.directory(granted, fd, Use::Write, right)?;
    let entry = Entry::new(services.guard(), open, &path, change)?;
    act(&entry, path.has_trailing_slash())
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
    link::at_both_ends(
        caller,
        source,
        target,
        Change::Replace,
        |(from, from_slash), (to, to_slash)| {
            if from_slash || to_slash {
                from.check_parent()?;
                to.check_parent()?;
                from.check_directory()?;
            }
            Ok(files::rename(from.dir(), from.name, to.dir(), to.name)?)
        },
    )
}
