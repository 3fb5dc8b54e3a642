//! `random_get`: random bytes of the host, behind the capability RANDOM.

use super::Errno;
use crate::{
    host::Caller,
    services::{answer::Answer, require},
};
use dynload_caps::Capabilities;

/// Bytes between two checks of the deadline. A multiple of eight, because seeded entropy produces eight bytes at a
/// time.
const CHUNK: u32 = 1 << 16;

pub(super) fn get(caller: &mut Caller<'_>, ptr: u32, len: u32) -> Answer {
    require(caller, Capabilities::RANDOM)?;
    // All or nothing: the whole range is checked before any of it is written.
    caller.memory_or_empty().slice(ptr, len)?;
    caller.charge_bytes(len.into())?;
    let mut done = 0;
    while done < len {
        caller.check()?;
        let chunk = (len - done).min(CHUNK);
        let (mut memory, state) = caller.memory_and_state();
        let buffer = memory.slice_mut(ptr + done, chunk)?;
        state.entropy.fill(buffer).map_err(|_| Errno::Io)?;
        done += chunk;
    }
    Ok(())
}
