//! `fd_filestat_*` and `path_filestat_*`: file attributes, sizes and times.

use super::{Errno, Filetype, file_size_limit, flags, path, path::GuestPath, rights, space};
use crate::{
    host::Caller,
    services::{
        answer::Answer,
        descriptor::{Kind, Use},
        system::files,
    },
};
use cap_fs_ext::MetadataExt;
use cap_std::fs::Metadata;
use dynload_caps::Access;
use std::{path::Path, time::Duration};

pub(super) fn fd_get(caller: &mut Caller<'_>, fd: u32, out: u32) -> Answer {
    let granted = caller.capabilities();
    let (mut memory, state) = caller.memory_and_state();
    let descriptor = state
        .services
        .descriptor(granted, fd, Use::Look, rights::FD_FILESTAT_GET)?;
    let filestat = match &descriptor.kind {
        Kind::File(open) => encode(&open.file.metadata()?),
        Kind::Dir(open) => encode(&open.dir.dir_metadata()?),
        _ => {
            let mut filestat = [0; 64];
            filestat[16] = descriptor.filetype() as u8;
            filestat
        }
    };
    Ok(memory.write(out, &filestat)?)
}

pub(super) fn path_get(
    caller: &mut Caller<'_>,
    fd: u32,
    lookup: u32,
    ptr: u32,
    len: u32,
    out: u32,
) -> Answer {
    let follow = flags::known(lookup, flags::SYMLINK_FOLLOW)? != 0;
    let granted = caller.capabilities();
    let right = rights::PATH_FILESTAT_GET;
    caller.state().services.directory(granted, fd, Use::Read, right)?;
    let path = GuestPath::read(caller, ptr, len)?;
    let (mut memory, state) = caller.memory_and_state();
    let open = state.services.directory(granted, fd, Use::Read, right)?;
    // A trailing slash follows a link.
    let follow = follow || path.has_trailing_slash();
    let metadata = if files::WALKS {
        path::resolve_and(open, &path.lookup(), follow, |dir, name| {
            Ok(dir.symlink_metadata(name)?)
        })?
    } else if follow {
        open.dir.metadata(&*path.lookup())?
    } else {
        open.dir.symlink_metadata(&*path.lookup())?
    };
    Ok(memory.write(out, &encode(&metadata))?)
}

/// Encodes a `filestat` as laid out in the guest's memory.
fn encode(metadata: &Metadata) -> [u8; 64] {
    let mut filestat = [0; 64];
    let mut put = |at: usize, number: u64| filestat[at..at + 8].copy_from_slice(&number.to_le_bytes());
    let [access, modification, change] = files::times(metadata);
    put(0, metadata.dev());
    put(8, metadata.ino());
    put(16, Filetype::from(metadata.file_type()) as u64);
    put(24, metadata.nlink());
    put(32, metadata.len());
    put(40, access);
    put(48, modification);
    put(56, change);
    filestat
}

pub(super) fn fd_set_size(caller: &mut Caller<'_>, fd: u32, size: u64) -> Answer {
    let granted = caller.capabilities();
    let right = rights::FD_FILESTAT_SET_SIZE;
    caller
        .state()
        .services
        .file(granted, fd, Use::Write, right, Errno::Badf)?;
    if i64::try_from(size).is_err() {
        return Err(Errno::Fbig.into());
    }
    space::fill(caller, fd, right, size, false)?;
    let granted = caller.capabilities();
    let services = &caller.state().services;
    let open = services.file(granted, fd, Use::Write, right, Errno::Badf)?;
    Ok(file_size_limit::grow(open, size, || open.file.set_len(size))?)
}

/// A time to set.
///
/// Times are set by name in a directory, or through a descriptor that is already open: opening a file for this could
/// block on the other end of a named pipe.
#[derive(Debug, Clone, Copy)]
pub(in crate::services) enum NewTime {
    Keep,
    Now,
    At(Duration),
}

impl NewTime {
    /// Returns the times of access and modification that the flags request. Requesting both "now" and an explicit time is
    /// INVAL.
    fn both(flags: u32, atim: u64, mtim: u64) -> Result<[NewTime; 2], Errno> {
        let flags = flags::known(flags, 15)?;
        let one = |at: u32, now: u32, time: u64| match (flags & at != 0, flags & now != 0) {
            (false, false) => Ok(NewTime::Keep),
            (true, false) => Ok(NewTime::At(Duration::from_nanos(time))),
            (false, true) => Ok(NewTime::Now),
            (true, true) => Err(Errno::Inval),
        };
        Ok([
            one(flags::ATIM, flags::ATIM_NOW, atim)?,
            one(flags::MTIM, flags::MTIM_NOW, mtim)?,
        ])
    }
}

pub(super) fn fd_set_times(caller: &mut Caller<'_>, fd: u32, atim: u64, mtim: u64, flags: u32) -> Answer {
    let times = NewTime::both(flags, atim, mtim)?;
    let granted = caller.capabilities();
    let descriptor = caller.state().services.descriptor(granted, fd, Use::Write, 0)?;
    match &descriptor.kind {
        Kind::File(open) => {
            descriptor.check(granted, Use::Write, rights::FD_FILESTAT_SET_TIMES)?;
            files::set_times(&open.file, times)?;
        }
        Kind::Dir(open) => {
            descriptor.check(granted, Use::Write, rights::FD_FILESTAT_SET_TIMES)?;
            files::set_times_at(&open.dir, Path::new("."), times)?;
        }
        _ => return Err(Errno::Badf.into()),
    }
    Ok(())
}

#[allow(
    clippy::too_many_arguments,
    reason = "the parameters are those of the WASI function"
)]
pub(super) fn path_set_times(
    caller: &mut Caller<'_>,
    fd: u32,
    lookup: u32,
    ptr: u32,
    len: u32,
    atim: u64,
    mtim: u64,
    flags: u32,
) -> Answer {
    let follow = flags::known(lookup, flags::SYMLINK_FOLLOW)? != 0;
    let times = NewTime::both(flags, atim, mtim)?;
    let granted = caller.capabilities();
    let right = rights::PATH_FILESTAT_SET_TIMES;
    caller
        .state()
        .services
        .directory(granted, fd, Use::Write, right)?;
    let path = GuestPath::read(caller, ptr, len)?;
    let services = &caller.state().services;
    let open = services.directory(granted, fd, Use::Write, right)?;
    let guard = services.guard();
    path::resolve_and(open, &path.lookup(), follow, |dir, name| {
        let is_protected = || {
            dir.symlink_metadata(name)
                .is_ok_and(|found| guard.protects(&found))
        };
        if guard.access(dir, open.access)? == Access::ReadOnly || guard.is_needed() && is_protected() {
            return Err(Errno::Notcapable.into());
        }
        Ok(files::set_times_at(dir, name, times)?)
    })
}
