//! `proc_raise` and `sched_yield`. `proc_exit` ends the call and is defined in the parent module.

use super::Errno;
use crate::{host::Caller, services::answer::Answer};

/// Signals are not supported, as in Wasmtime.
pub(super) fn raise(_caller: &mut Caller<'_>, _signal: u32) -> Answer {
    Err(Errno::Notsup.into())
}

pub(super) fn yield_now(caller: &mut Caller<'_>) -> Answer {
    caller.check()?;
    std::thread::yield_now();
    Ok(())
}
