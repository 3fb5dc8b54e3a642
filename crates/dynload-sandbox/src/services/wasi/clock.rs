//! `clock_*`: the clocks that the host provides, behind the capability TIME.

use super::Errno;
use crate::{
    host::Caller,
    services::{answer::Answer, guest::write_u64, require},
};
use dynload_caps::Capabilities;
use std::time::Duration;

/// A clock that guests may read. The WASI documents define two more, for CPU time, which an interpreter that runs a
/// slice at a time cannot measure; they are "unsupported", which is INVAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClockId {
    Realtime,
    Monotonic,
}

impl ClockId {
    pub(super) fn new(id: u32) -> Result<ClockId, Errno> {
        match id {
            0 => Ok(ClockId::Realtime),
            1 => Ok(ClockId::Monotonic),
            _ => Err(Errno::Inval),
        }
    }

    /// Returns its time, if the host provides the clock and the guest may read it.
    pub(super) fn now(self, caller: &mut Caller<'_>) -> Result<Duration, Errno> {
        let state = caller.state();
        let (clock, scope) = (state.clock(), state.config.clock_scope);
        match self {
            ClockId::Realtime => scope.wall(clock).ok_or(Errno::Inval),
            ClockId::Monotonic => Ok(scope.monotonic(clock)),
        }
    }
}

pub(super) fn resolution(caller: &mut Caller<'_>, id: u32, out: u32) -> Answer {
    require(caller, Capabilities::TIME)?;
    ClockId::new(id)?.now(caller)?;
    let resolution = caller.state().config.clock_scope.resolution();
    write_u64(
        caller,
        out,
        u64::try_from(resolution.as_nanos()).map_err(|_| Errno::Overflow)?,
    )
}

pub(super) fn time(caller: &mut Caller<'_>, id: u32, _precision: u64, out: u32) -> Answer {
    require(caller, Capabilities::TIME)?;
    let now = ClockId::new(id)?.now(caller)?;
    let nanoseconds = u64::try_from(now.as_nanos()).map_err(|_| Errno::Overflow)?;
    write_u64(caller, out, nanoseconds)
}
