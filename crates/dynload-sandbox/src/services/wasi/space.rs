//! `fd_advise`, `fd_allocate`, `fd_sync`, `fd_datasync`: disk space and synchronization to disk.

use super::{Errno, file_size_limit, rights};
use crate::{
    host::Caller,
    services::{
        answer::Answer,
        descriptor::{Kind, Use},
    },
};
use cap_std::fs::{File, MetadataExt};
use std::io;

/// Bytes that are allocated between two checks of the deadline.
const CHUNK: u64 = 1 << 26;

pub(super) fn advise(caller: &mut Caller<'_>, fd: u32, offset: u64, len: u64, advice: u32) -> Answer {
    if advice > 5 {
        return Err(Errno::Inval.into());
    }
    let granted = caller.capabilities();
    let open = caller
        .state()
        .services
        .file(granted, fd, Use::Look, rights::FD_ADVISE, Errno::Spipe)?;
    if i64::try_from(offset).is_err() || i64::try_from(len).is_err() {
        return Err(Errno::Inval.into());
    }
    Ok(give_advice(&open.file, offset, len, advice)?)
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn give_advice(file: &File, offset: u64, len: u64, advice: u32) -> io::Result<()> {
    use rustix::fs::Advice;
    let all = [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ];
    let Some(advice) = all.get(advice as usize) else {
        return Ok(());
    };
    Ok(rustix::fs::fadvise(
        file,
        offset,
        std::num::NonZeroU64::new(len),
        *advice,
    )?)
}

/// Ignores the advice, which is allowed, because the system has no such call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn give_advice(_file: &File, _offset: u64, _len: u64, _advice: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(
        file,
        rustix::fs::FallocateFlags::empty(),
        offset,
        len,
    )?)
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn reserve(_file: &File, _offset: u64, _len: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn allocate(caller: &mut Caller<'_>, fd: u32, offset: u64, len: u64) -> Answer {
    let granted = caller.capabilities();
    caller
        .state()
        .services
        .file(granted, fd, Use::Write, rights::FD_ALLOCATE, Errno::Badf)?;
    let end = offset.checked_add(len).filter(|end| i64::try_from(*end).is_ok());
    let end = end.ok_or(Errno::Fbig)?;
    if len == 0 {
        return Err(Errno::Inval.into());
    }
    caller.charge_bytes(len)?;
    {
        let granted = caller.capabilities();
        let services = &mut caller.state().services;
        let open = services.file(granted, fd, Use::Write, rights::FD_ALLOCATE, Errno::Badf)?;
        check_space(&open.file, len)?;
    }
    let mut at = offset;
    while at < end {
        caller.check()?;
        let granted = caller.capabilities();
        let open = caller
            .state()
            .services
            .file(granted, fd, Use::Write, rights::FD_ALLOCATE, Errno::Badf)?;
        let chunk = (end - at).min(CHUNK);
        file_size_limit::grow(open, end, || reserve(&open.file, at, chunk))?;
        at += chunk;
    }
    Ok(())
}

/// Checks that the file system has room for `len` more bytes, less what the file has already. The system checks that too, but
/// only for the part that it is asked for: the parts before would fill the disk, and stay.
fn check_space(file: &File, len: u64) -> Answer {
    // The unit of `st_blocks` (stat(3type)).
    const BLOCK: u64 = 512;
    let allocated = file.metadata()?.blocks().saturating_mul(BLOCK);
    let system = rustix::fs::fstatvfs(file).map_err(io::Error::from)?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    // Some file systems do not say how large they are.
    if system.f_blocks > 0 && len.saturating_sub(allocated) > free {
        return Err(Errno::Nospc.into());
    }
    Ok(())
}

pub(super) fn sync(caller: &mut Caller<'_>, fd: u32) -> Answer {
    synchronize(caller, fd, rights::FD_SYNC, |file| file.sync_all())
}

pub(super) fn datasync(caller: &mut Caller<'_>, fd: u32) -> Answer {
    synchronize(caller, fd, rights::FD_DATASYNC, |file| file.sync_data())
}

fn synchronize(
    caller: &mut Caller<'_>,
    fd: u32,
    right: u64,
    sync: impl Fn(&File) -> io::Result<()>,
) -> Answer {
    let granted = caller.capabilities();
    let descriptor = caller.state().services.descriptor(granted, fd, Use::Look, 0)?;
    match &descriptor.kind {
        Kind::File(open) => {
            descriptor.check(granted, Use::Look, right)?;
            sync(&open.file)?;
        }
        Kind::Dir(open) => {
            descriptor.check(granted, Use::Look, right)?;
            // The host descriptor of a directory can only be used to resolve paths (`O_PATH` on Linux), so it is
            // reopened.
            sync(&open.dir.open(".")?)?;
        }
        _ => return Err(Errno::Inval.into()),
    }
    Ok(())
}
