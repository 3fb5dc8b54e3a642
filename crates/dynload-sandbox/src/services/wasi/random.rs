//! `random_get`: bytes of the host's entropy, behind the capability RANDOM.

use super::Errno;
use crate::{
    host::Caller,
    services::{answer::Answer, require},
};
use dynload_caps::Capabilities;

/// Bytes between two looks at the deadline. Seeded entropy comes eight bytes at a time, so a multiple of that.
const CHUNK: u32 = 1 << 16;

pub(super) fn get(caller: &mut Caller<'_>, ptr: u32, len: u32) -> Answer {
    require(caller, Capabilities::RANDOM)?;
    // All or nothing: a part that lies outside must not be found out after the rest was written.
    caller.memory_or_empty().slice(ptr, len)?;
    caller.charge_bytes(len.into())?;
    let mut done = 0;
    while done < len {
        caller.check()?;
        let chunk = (len - done).min(CHUNK);
        let (mut memory, state) = caller.memory_and_state();
        let entropy = state.config.entropy.clone();
        entropy
            .fill(&mut state.entropy_state, memory.slice_mut(ptr + done, chunk)?)
            .map_err(|_| Errno::Io)?;
        done += chunk;
    }
    Ok(())
}
