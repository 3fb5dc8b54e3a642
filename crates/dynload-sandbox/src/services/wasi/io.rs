//! `fd_read`, `fd_write`, `fd_pread`, `fd_pwrite`: I/O on the console, files and sockets.

use super::{Errno, Filetype, file_size_limit, flags, rights, sock, space};
use crate::{
    host::{Caller, Stream},
    services::{
        answer::{Answer, Fail},
        descriptor::{Kind, Use},
        guest::{Buffers, write_u32},
        readiness, signals,
        system::{console, files},
    },
};
use dynload_caps::Capabilities;
use rustix::event::PollFlags;
use std::{
    io::{self, Read, Seek},
    time::Duration,
    vec::Vec,
};

/// Bytes that are moved between two checks of the deadline.
const CHUNK: u32 = 1 << 20;

/// Up to this many bytes, one call that writes to the console results in one write.
const WHOLE_WRITE: u64 = 1 << 16;

/// The kind of a descriptor, for functions that support several kinds.
enum Target {
    Input,
    Output(Stream),
    File,
    Socket,
    Directory,
}

fn target(caller: &mut Caller<'_>, fd: u32, intent: Use, right: u64) -> Answer<Target> {
    let granted = caller.capabilities();
    let descriptor = caller.state().services.descriptor(granted, fd, intent, 0)?;
    let target = match &descriptor.kind {
        Kind::Input => Target::Input,
        Kind::Output(stream) => Target::Output(*stream),
        Kind::File(_) => Target::File,
        Kind::Stream(_) | Kind::Datagram(_) | Kind::Listener(_) => Target::Socket,
        Kind::Dir(_) => Target::Directory,
    };
    if !matches!(target, Target::Directory) {
        descriptor.check(granted, intent, right)?;
    }
    Ok(target)
}

pub(super) fn read(caller: &mut Caller<'_>, fd: u32, buffers: u32, count: u32, out: u32) -> Answer {
    let target = target(caller, fd, Use::Read, rights::FD_READ)?;
    let buffers = Buffers::new(caller, buffers, count)?;
    let done = match target {
        Target::Input => read_console(caller, fd, &buffers)?,
        Target::Output(_) | Target::Directory => return Err(Errno::Badf.into()),
        Target::Socket => sock::receive(caller, fd, &buffers, 0)?.0,
        Target::File => move_bytes(
            caller,
            &buffers,
            |caller, ptr, len| read_file(caller, fd, ptr, len),
            Charge::After,
        )?,
    };
    write_u32(caller, out, done)
}

pub(super) fn write(caller: &mut Caller<'_>, fd: u32, buffers: u32, count: u32, out: u32) -> Answer {
    let target = target(caller, fd, Use::Write, rights::FD_WRITE)?;
    let buffers = Buffers::new(caller, buffers, count)?;
    let done = match target {
        Target::Output(stream) => write_console(caller, stream, &buffers)?,
        Target::Input | Target::Directory => return Err(Errno::Badf.into()),
        Target::Socket => sock::transmit(caller, fd, &buffers)?,
        Target::File => move_bytes(
            caller,
            &buffers,
            |caller, ptr, len| write_file(caller, fd, ptr, len),
            Charge::Before,
        )?,
    };
    write_u32(caller, out, done)
}

pub(super) fn pread(
    caller: &mut Caller<'_>,
    fd: u32,
    buffers: u32,
    count: u32,
    offset: u64,
    out: u32,
) -> Answer {
    let right = rights::FD_READ | rights::FD_SEEK;
    check_file(caller, fd, Use::Read, right)?;
    let buffers = Buffers::new(caller, buffers, count)?;
    let mut at = offset;
    let step = |caller: &mut Caller<'_>, ptr, len| {
        let granted = caller.capabilities();
        let (mut memory, state) = caller.memory_and_state();
        let open = state.services.file(granted, fd, Use::Read, right, Errno::Spipe)?;
        let done = again(|| files::read_at(&open.file, memory.slice_mut(ptr, len)?, at).map_err(Fail::from))?;
        at = at.saturating_add(done as u64);
        Ok(done as u32)
    };
    let done = move_bytes(caller, &buffers, step, Charge::After)?;
    write_u32(caller, out, done)
}

pub(super) fn pwrite(
    caller: &mut Caller<'_>,
    fd: u32,
    buffers: u32,
    count: u32,
    offset: u64,
    out: u32,
) -> Answer {
    let right = rights::FD_WRITE | rights::FD_SEEK;
    check_file(caller, fd, Use::Write, right)?;
    let buffers = Buffers::new(caller, buffers, count)?;
    let mut at = offset;
    let step = |caller: &mut Caller<'_>, ptr, len| {
        if len > 0 && i64::try_from(at).is_ok() {
            space::fill(caller, fd, right, at, false)?;
        }
        let granted = caller.capabilities();
        let (memory, state) = caller.memory_and_state();
        let appends = state.services.table().get(fd)?.flags & flags::APPEND != 0;
        let open = state
            .services
            .file(granted, fd, Use::Write, right, Errno::Spipe)?;
        // Linux appends where POSIX requires writing at the offset, so the flag is cleared for this write.
        if appends {
            files::set_append(&open.file, false)?;
        }
        let done = again(|| {
            let write = |bytes: &[u8]| files::write_at(&open.file, bytes, at);
            file_size_limit::write(open, memory.slice(ptr, len)?, || Ok(at), write).map_err(Fail::from)
        });
        if appends {
            files::set_append(&open.file, true)?;
        }
        let done = done?;
        at = at.saturating_add(done as u64);
        Ok(done as u32)
    };
    let done = move_bytes(caller, &buffers, step, Charge::Before)?;
    write_u32(caller, out, done)
}

fn check_file(caller: &mut Caller<'_>, fd: u32, intent: Use, right: u64) -> Answer {
    let granted = caller.capabilities();
    caller
        .state()
        .services
        .file(granted, fd, intent, right, Errno::Spipe)?;
    Ok(())
}

/// When the fuel for a piece is charged: before a write, and after a read, when its length is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charge {
    Before,
    After,
}

/// Moves the buffers piece by piece until a piece is moved only partially. Bytes moved before an error count.
fn move_bytes(
    caller: &mut Caller<'_>,
    buffers: &Buffers,
    mut step: impl FnMut(&mut Caller<'_>, u32, u32) -> Answer<u32>,
    charge: Charge,
) -> Answer<u32> {
    let mut done: u32 = 0;
    for (ptr, len) in buffers.pieces(CHUNK) {
        // The buffers may overlap, so the sum can exceed the number that can be returned to the guest.
        if done.checked_add(len).is_none() {
            break;
        }
        caller.check()?;
        if charge == Charge::Before {
            caller.charge_bytes(len.into())?;
        }
        let moved = match step(caller, ptr, len) {
            Ok(moved) => moved,
            Err(Fail::Errno(_)) if done > 0 => break,
            Err(fail) => return Err(fail),
        };
        if charge == Charge::After {
            caller.charge_bytes(moved.into())?;
        }
        done += moved;
        if moved < len {
            break;
        }
    }
    if buffers.total == 0 {
        // Even without bytes to move, errors of the descriptor are reported.
        step(caller, 0, 0)?;
    }
    Ok(done)
}

/// Repeats an operation that a signal interrupted.
fn again(mut step: impl FnMut() -> Answer<usize>) -> Answer<usize> {
    loop {
        match step() {
            Err(Fail::Errno(Errno::Intr)) => {}
            other => return other,
        }
    }
}

fn read_file(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer<u32> {
    let step = |caller: &mut Caller<'_>| {
        let granted = caller.capabilities();
        let (mut memory, state) = caller.memory_and_state();
        let waits = !state.services.table().get(fd)?.is_nonblocking();
        let open = state
            .services
            .file(granted, fd, Use::Read, rights::FD_READ, Errno::Badf)?;
        or_wait((&open.file).read(memory.slice_mut(ptr, len)?), waits)
    };
    readiness::retry(caller, Capabilities::FS_READ, step, |caller, slice| {
        wait_for_file(caller, fd, PollFlags::IN, slice)
    })
}

fn write_file(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer<u32> {
    if files::FILLS && len > 0 {
        let granted = caller.capabilities();
        let services = &caller.state().services;
        let appends = services.open().table.get(fd)?.flags & flags::APPEND != 0;
        let open = services.file(granted, fd, Use::Write, rights::FD_WRITE, Errno::Badf)?;
        if !appends {
            let at = (&open.file).stream_position()?;
            space::fill(caller, fd, rights::FD_WRITE, at, false)?;
        }
    }
    let step = |caller: &mut Caller<'_>| {
        let granted = caller.capabilities();
        let (memory, state) = caller.memory_and_state();
        let descriptor = state.services.table().get(fd)?;
        let waits = !descriptor.is_nonblocking();
        let appends = descriptor.flags & flags::APPEND != 0;
        let open = state
            .services
            .file(granted, fd, Use::Write, rights::FD_WRITE, Errno::Badf)?;
        let bytes = memory.slice(ptr, len)?;
        if open.filetype == Filetype::RegularFile {
            let at = || match appends {
                true => open.file.metadata().map(|metadata| metadata.len()),
                false => (&open.file).stream_position(),
            };
            let write = |bytes: &[u8]| files::write(&open.file, bytes, appends);
            return or_wait(file_size_limit::write(open, bytes, at, write), waits);
        }
        // A named pipe without readers. On systems where the signal that a write would raise cannot be blocked,
        // checking beforehand is better than nothing.
        if open.filetype == Filetype::Unknown && files::has_hung_up(&open.file)? {
            return Err(Errno::Pipe.into());
        }
        or_wait(
            signals::with_signals_blocked(|| files::write(&open.file, bytes, appends)),
            waits,
        )
    };
    readiness::retry(caller, Capabilities::FS_WRITE, step, |caller, slice| {
        wait_for_file(caller, fd, PollFlags::OUT, slice)
    })
}

/// Waits a slice until a file is ready. Named pipes and devices may block; every file is opened so that the host
/// itself never does.
fn wait_for_file(caller: &mut Caller<'_>, fd: u32, events: PollFlags, slice: Duration) -> Answer {
    match &caller.state().services.table().get(fd)?.kind {
        Kind::File(open) => files::is_ready(&open.file, events, slice)?,
        _ => return Err(Errno::Badf.into()),
    };
    Ok(())
}

/// Returns the result of a nonblocking operation: bytes, "not yet" (`None`), or an errno.
pub(super) fn or_wait(result: io::Result<usize>, waits: bool) -> Answer<Option<u32>> {
    match result {
        // At most the length of a slice of the guest's memory.
        Ok(done) => Ok(Some(done as u32)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && waits => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_console(caller: &mut Caller<'_>, fd: u32, buffers: &Buffers) -> Answer<u32> {
    let waits = !caller.state().services.table().get(fd)?.is_nonblocking();
    let mut done: u32 = 0;
    for (ptr, len) in buffers.pieces(CHUNK) {
        if done.checked_add(len).is_none() {
            break;
        }
        let moved = if caller.state().config.console.inherits_input() {
            if done > 0 {
                break;
            }
            let step = |caller: &mut Caller<'_>| {
                if !console::is_readable(Duration::ZERO)? {
                    return if waits { Ok(None) } else { Err(Errno::Again.into()) };
                }
                let mut memory = caller.memory_or_empty();
                or_wait(console::read(memory.slice_mut(ptr, len)?), waits)
            };
            readiness::retry(caller, Capabilities::CONSOLE, step, |_, slice| {
                console::is_readable(slice)?;
                Ok(())
            })?
        } else {
            caller.check()?;
            let (mut memory, state) = caller.memory_and_state();
            state.console().read(memory.slice_mut(ptr, len)?) as u32
        };
        caller.charge_bytes(moved.into())?;
        done += moved;
        if moved < len {
            break;
        }
    }
    Ok(done)
}

fn write_console(caller: &mut Caller<'_>, stream: Stream, buffers: &Buffers) -> Answer<u32> {
    caller.charge_bytes(buffers.total)?;
    let mut done: u32 = 0;
    if buffers.total <= WHOLE_WRITE {
        let mut whole = Vec::with_capacity(buffers.total as usize);
        let memory = caller.memory_or_empty();
        for (ptr, len) in buffers.pieces(CHUNK) {
            whole.extend_from_slice(memory.slice(ptr, len)?);
        }
        done = write_stream(caller, stream, &whole)?;
    } else {
        for (ptr, len) in buffers.pieces(WHOLE_WRITE as u32) {
            if done.checked_add(len).is_none() {
                break;
            }
            caller.check()?;
            let chunk = caller.memory_or_empty().slice(ptr, len)?.to_vec();
            let moved = match write_stream(caller, stream, &chunk) {
                Ok(moved) => moved,
                Err(Fail::Errno(_)) if done > 0 => break,
                Err(fail) => return Err(fail),
            };
            done += moved;
            if moved < len {
                break;
            }
        }
    }
    // A console that reached its limit accepts no more bytes; without an error, a guest would retry forever.
    if done == 0 && buffers.total > 0 {
        Err(Errno::Nospc.into())
    } else {
        Ok(done)
    }
}

/// Writes to the console. If it is the host's own stream, waits for its reader, which may be slow.
fn write_stream(caller: &mut Caller<'_>, stream: Stream, bytes: &[u8]) -> Answer<u32> {
    if !caller.state().config.console.inherits_output() {
        return Ok(caller.state().console().write(stream, bytes)? as u32);
    }
    let wait = |caller: &mut Caller<'_>, ready: &dyn Fn(Duration) -> Result<bool, Errno>| {
        let step = |_: &mut Caller<'_>| Ok(ready(Duration::ZERO)?.then_some(()));
        readiness::retry(caller, Capabilities::CONSOLE, step, |_, slice| {
            Ok(ready(slice).map(drop)?)
        })
    };
    let mut done = 0;
    for chunk in bytes.chunks(console::ROOM) {
        wait(caller, &|slice| console::is_writable(stream, slice))?;
        let moved = match caller.state().console().write(stream, chunk) {
            Ok(moved) => moved,
            // The next write reports the error.
            Err(_) if done > 0 => break,
            Err(error) => return Err(error.into()),
        };
        done += moved as u32;
        if moved < chunk.len() {
            break;
        }
    }
    if !console::is_written(stream, Duration::ZERO) {
        wait(caller, &|slice| Ok(console::is_written(stream, slice)))?;
    }
    console::result(stream)?;
    Ok(done)
}
