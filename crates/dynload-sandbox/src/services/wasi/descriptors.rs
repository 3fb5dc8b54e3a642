//! `fd_close`, `fd_renumber`, `fd_fdstat_*`: the type, flags and rights of a descriptor.

use super::{Errno, Filetype, flags, rights};
use crate::{
    host::Caller,
    services::{
        answer::Answer,
        descriptor::{Kind, Use},
        system::files,
    },
};

pub(super) fn close(caller: &mut Caller<'_>, fd: u32) -> Answer {
    let granted = caller.capabilities();
    let services = &mut caller.state().services;
    services.descriptor(granted, fd, Use::Look, 0)?;
    services.table().remove(fd)?;
    Ok(())
}

pub(super) fn renumber(caller: &mut Caller<'_>, from: u32, to: u32) -> Answer {
    let granted = caller.capabilities();
    let services = &mut caller.state().services;
    services.descriptor(granted, from, Use::Look, 0)?;
    services.descriptor(granted, to, Use::Look, 0)?;
    Ok(services.table().renumber(from, to)?)
}

pub(super) fn fdstat_get(caller: &mut Caller<'_>, fd: u32, out: u32) -> Answer {
    let granted = caller.capabilities();
    let (mut memory, state) = caller.memory_and_state();
    let descriptor = state.services.descriptor(granted, fd, Use::Look, 0)?;
    let filetype = match &descriptor.kind {
        // C libraries treat a character device that cannot seek as a terminal.
        Kind::Input if state.config.console.is_input_terminal() => Filetype::CharacterDevice,
        Kind::Output(stream) if state.config.console.is_terminal(*stream) => Filetype::CharacterDevice,
        _ => descriptor.filetype(),
    };
    let descriptor = state.services.table().get(fd)?;
    let mut fdstat = [0; 24];
    fdstat[0] = filetype as u8;
    fdstat[2..4].copy_from_slice(&descriptor.flags.to_le_bytes());
    fdstat[8..16].copy_from_slice(&descriptor.base.to_le_bytes());
    fdstat[16..24].copy_from_slice(&descriptor.inheriting.to_le_bytes());
    Ok(memory.write(out, &fdstat)?)
}

/// Sets the flags. APPEND and NONBLOCK may change; the flags for synchronized writes must stay unchanged.
pub(super) fn fdstat_set_flags(caller: &mut Caller<'_>, fd: u32, fdflags: u32) -> Answer {
    let fdflags = flags::fdflags(fdflags)?;
    let granted = caller.capabilities();
    let services = &mut caller.state().services;
    let descriptor = services.descriptor(granted, fd, Use::Look, rights::FD_FDSTAT_SET_FLAGS)?;
    if (fdflags ^ descriptor.flags) & (flags::DSYNC | flags::RSYNC | flags::SYNC) != 0 {
        return Err(Errno::Inval.into());
    }
    if let Kind::File(open) = &descriptor.kind
        && (fdflags ^ descriptor.flags) & flags::APPEND != 0
    {
        files::set_append(&open.file, fdflags & flags::APPEND != 0)?;
    }
    descriptor.flags = fdflags;
    Ok(())
}

/// Sets the rights, which can only be reduced.
pub(super) fn fdstat_set_rights(caller: &mut Caller<'_>, fd: u32, base: u64, inheriting: u64) -> Answer {
    let granted = caller.capabilities();
    let descriptor = caller.state().services.descriptor(granted, fd, Use::Look, 0)?;
    if base & !descriptor.base != 0 || inheriting & !descriptor.inheriting != 0 {
        return Err(Errno::Notcapable.into());
    }
    descriptor.base = base;
    descriptor.inheriting = inheriting;
    Ok(())
}
