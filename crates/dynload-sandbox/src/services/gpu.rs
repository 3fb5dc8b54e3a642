//! GPU: the names link, and the functions return NOSYS until they are implemented.

pub mod backend;

use super::{answer::Answer, functions, require, wasi::Errno};
use crate::{call::state::State, host::Caller};
use dynload_caps::Capabilities;
use wasmi::{Func, Store};

/// Creates the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    functions!(store, name, {
        "gpu_device_count" => device_count [_count_out: u32];
        "gpu_submit" => submit [_device: u32, _ptr: u32, _len: u32];
    })
}

fn device_count(caller: &mut Caller<'_>, _count_out: u32) -> Answer {
    require(caller, Capabilities::GPU)?;
    Err(Errno::Nosys.into())
}

fn submit(caller: &mut Caller<'_>, _device: u32, _ptr: u32, _len: u32) -> Answer {
    require(caller, Capabilities::GPU)?;
    Err(Errno::Nosys.into())
}
