//! `fd_advise`, `fd_allocate`, `fd_sync`, `fd_datasync`: disk space and synchronization to disk.

use super::{Errno, Filetype, file_size_limit, rights};
use crate::{
    host::Caller,
    services::{
        answer::Answer,
        descriptor::{Kind, Use},
        system::files,
    },
};
use cap_std::fs::File;

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
    Ok(files::advise(&open.file, offset, len, advice)?)
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
    fill(caller, fd, rights::FD_ALLOCATE, offset, false)?;
    fill(caller, fd, rights::FD_ALLOCATE, end, true)?;
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
        let chunk = (end - at).min(files::ALLOCATION);
        file_size_limit::grow(open, end, || files::allocate(&open.file, at, chunk))?;
        at += chunk;
    }
    Ok(())
}

/// Makes a file grow to `end`, with zeros, if [the system](files::FILLS) would otherwise write them all in one later call,
/// which nothing interrupts and no fuel pays.
pub(super) fn fill(caller: &mut Caller<'_>, fd: u32, right: u64, end: u64, is_paid: bool) -> Answer {
    /// From this size on, it is determined first whether the disk has room.
    const LARGE: u64 = 1 << 26;
    /// What is written between two checks of the deadline.
    static ZEROS: [u8; 1 << 14] = [0; 1 << 14];
    if !files::FILLS {
        return Ok(());
    }
    let mut is_known_to_fit = false;
    loop {
        caller.check()?;
        let granted = caller.capabilities();
        let services = &caller.state().services;
        let open = services.file(granted, fd, Use::Write, right, Errno::Badf)?;
        let len = open.file.metadata()?.len();
        let missing = end.saturating_sub(len);
        if missing == 0 || open.filetype != Filetype::RegularFile {
            return Ok(());
        }
        if !is_known_to_fit && missing >= LARGE {
            open.file.set_len(end)?;
            open.file.set_len(len)?;
        }
        is_known_to_fit = true;
        let piece = usize::try_from(missing).map_or(ZEROS.len(), |missing| missing.min(ZEROS.len()));
        files::write_at(&open.file, &ZEROS[..piece], len)?;
        if !is_paid {
            caller.charge_bytes(piece as u64)?;
        }
    }
}

/// Checks that the file system has room for `len` more bytes, less what the file has already. The system checks that too, but
/// only for the part that it is asked for: the parts before would fill the disk, and stay.
fn check_space(file: &File, len: u64) -> Answer {
    let Some((allocated, free)) = files::space(file)? else {
        return Ok(());
    };
    if len.saturating_sub(allocated) > free {
        return Err(Errno::Nospc.into());
    }
    Ok(())
}

pub(super) fn sync(caller: &mut Caller<'_>, fd: u32) -> Answer {
    synchronize(caller, fd, rights::FD_SYNC, false)
}

pub(super) fn datasync(caller: &mut Caller<'_>, fd: u32) -> Answer {
    synchronize(caller, fd, rights::FD_DATASYNC, true)
}

fn synchronize(caller: &mut Caller<'_>, fd: u32, right: u64, data_only: bool) -> Answer {
    let granted = caller.capabilities();
    let descriptor = caller.state().services.descriptor(granted, fd, Use::Look, 0)?;
    match &descriptor.kind {
        Kind::File(open) => {
            descriptor.check(granted, Use::Look, right)?;
            files::synchronize(&open.file, data_only)?;
        }
        Kind::Dir(open) => {
            descriptor.check(granted, Use::Look, right)?;
            files::synchronize_directory(&open.dir, data_only)?;
        }
        _ => return Err(Errno::Inval.into()),
    }
    Ok(())
}
