//! `fd_seek` and `fd_tell`.

use super::{Errno, rights};
use crate::{
    host::Caller,
    services::{answer::Answer, descriptor::Use, guest::write_u64},
};
use std::io::{Seek, SeekFrom};

pub(super) fn seek(caller: &mut Caller<'_>, fd: u32, offset: i64, whence: u32, out: u32) -> Answer {
    let to = match whence {
        0 => SeekFrom::Start(u64::try_from(offset).unwrap_or(u64::MAX)),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(Errno::Inval.into()),
    };
    go(caller, fd, to, out)
}

pub(super) fn tell(caller: &mut Caller<'_>, fd: u32, out: u32) -> Answer {
    go(caller, fd, SeekFrom::Current(0), out)
}

fn go(caller: &mut Caller<'_>, fd: u32, to: SeekFrom, out: u32) -> Answer {
    let granted = caller.capabilities();
    let held = caller.state().services.open().table.get(fd)?.base;
    // Querying the position requires only the right to tell, which the right to seek implies.
    let right = if to == SeekFrom::Current(0) && held & rights::FD_SEEK == 0 {
        rights::FD_TELL
    } else {
        rights::FD_SEEK
    };
    let open = caller
        .state()
        .services
        .file(granted, fd, Use::Look, right, Errno::Spipe)?;
    if matches!(to, SeekFrom::Start(start) if i64::try_from(start).is_err()) {
        return Err(Errno::Inval.into());
    }
    let position = (&open.file).seek(to)?;
    write_u64(caller, out, position)
}
