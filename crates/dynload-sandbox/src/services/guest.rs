//! Numbers, strings and lists that guests pass in their memory.

use super::{answer::Answer, wasi::Errno};
use crate::host::{Caller, GuestMemory, OutOfBounds};
use std::{string::String, vec::Vec};

/// Buffers that one call may pass: `IOV_MAX` on Linux.
const MAX_BUFFERS: u32 = 1024;

/// The maximum length of a path: `PATH_MAX` on Linux.
const MAX_PATH: u32 = 4096;

pub(super) fn read_u32(memory: &GuestMemory<'_>, ptr: u32) -> Result<u32, OutOfBounds> {
    memory.read(ptr).map(u32::from_le_bytes)
}

pub(super) fn write_u32(caller: &mut Caller<'_>, ptr: u32, number: u32) -> Answer {
    Ok(caller.memory_or_empty().write(ptr, &number.to_le_bytes())?)
}

pub(super) fn write_u64(caller: &mut Caller<'_>, ptr: u32, number: u64) -> Answer {
    Ok(caller.memory_or_empty().write(ptr, &number.to_le_bytes())?)
}

/// Returns `ptr + bytes`. A sum beyond the address space is outside every memory.
pub(super) fn offset(ptr: u32, bytes: u64) -> Result<u32, OutOfBounds> {
    u32::try_from(u64::from(ptr) + bytes).map_err(|_| OutOfBounds {
        ptr,
        len: bytes,
        // Not 0, which would mean that there is no memory; no memory is larger.
        size: u32::MAX as usize,
    })
}

/// Reads a string of the guest, which must be UTF-8 without NUL and have at most `max` bytes.
pub(super) fn text(caller: &mut Caller<'_>, ptr: u32, len: u32, max: u32) -> Answer<String> {
    let memory = caller.memory_or_empty();
    let bytes = memory.slice(ptr, len)?;
    if len > max {
        return Err(Errno::Nametoolong.into());
    }
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
    if text.contains('\0') {
        return Err(Errno::Inval.into());
    }
    Ok(text.into())
}

/// Reads a path of the guest.
pub(super) fn path(caller: &mut Caller<'_>, ptr: u32, len: u32) -> Answer<String> {
    caller.charge_bytes(u64::from(len.min(MAX_PATH)))?;
    text(caller, ptr, len, MAX_PATH)
}

/// A list of buffers (`iovec_array`, `ciovec_array`). All of them are inside the memory when the list is created.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Copied, so that reading into one of the buffers cannot change the list.
    list: Vec<(u32, u32)>,
    /// Bytes of all buffers together.
    pub(super) total: u64,
}

impl Buffers {
    pub(super) fn new(caller: &mut Caller<'_>, list: u32, count: u32) -> Answer<Buffers> {
        if count > MAX_BUFFERS {
            return Err(Errno::Inval.into());
        }
        caller.charge(u64::from(count))?;
        let memory = caller.memory_or_empty();
        let mut buffers = Buffers {
            list: Vec::with_capacity(count as usize),
            total: 0,
        };
        for n in 0..u64::from(count) {
            let at = offset(list, n * 8)?;
            let (ptr, len) = (read_u32(&memory, at)?, read_u32(&memory, offset(at, 4)?)?);
            memory.slice(ptr, len)?;
            buffers.list.push((ptr, len));
            buffers.total += u64::from(len);
        }
        Ok(buffers)
    }

    /// Returns the buffers as pointers and lengths, in non-empty pieces of at most `max` bytes.
    pub(super) fn pieces(&self, max: u32) -> impl Iterator<Item = (u32, u32)> {
        self.list.iter().flat_map(move |&(ptr, len)| {
            // The buffer is inside the memory, so the sums do not overflow.
            (0..len)
                .step_by(max as usize)
                .map(move |at| (ptr + at, (len - at).min(max)))
        })
    }
}
