//! The imports of guests that are called with bytes.
//!
//! They need no capability: the embedder chose the arguments and the configuration for this guest.

use crate::{
    call::state::State,
    error::{Stop, Trap},
    host::Caller,
};
use core::fmt;
use wasmi::{Func, Store};

type Host<'a> = wasmi::Caller<'a, State>;
type Done<R> = Result<R, wasmi::Error>;

/// Creates the function of that name in the module `vais`, if there is one.
pub(crate) fn define_vais(store: &mut Store<State>, name: &str) -> Option<Func> {
    Some(match name {
        "config_get" => Func::wrap(
            store,
            |host: Host<'_>, key: i32, key_len: i32, buffer: i32, buffer_len: i32| -> Done<i32> {
                config_get(host, (key, key_len), (buffer, buffer_len)).map_err(Stop::halt)
            },
        ),
        "read_args" => define_read_args(store, "vais.read_args"),
        "set_result" => define_set_result(store, "vais.set_result"),
        _ => return None,
    })
}

/// Creates the function of that name in the module `typst_env`, if there is one.
pub(crate) fn define_typst(store: &mut Store<State>, name: &str) -> Option<Func> {
    Some(match name {
        "wasm_minimal_protocol_write_args_to_buffer" => {
            define_read_args(store, "typst_env.wasm_minimal_protocol_write_args_to_buffer")
        }
        "wasm_minimal_protocol_send_result_to_host" => {
            define_set_result(store, "typst_env.wasm_minimal_protocol_send_result_to_host")
        }
        _ => return None,
    })
}

fn define_read_args(store: &mut Store<State>, import: &'static str) -> Func {
    store.data_mut().exchange.is_imported = true;
    Func::wrap(store, move |host: Host<'_>, to: i32| -> Done<()> {
        read_args(host, import, to as u32).map_err(Stop::halt)
    })
}

fn define_set_result(store: &mut Store<State>, import: &'static str) -> Func {
    store.data_mut().exchange.is_imported = true;
    Func::wrap(store, move |host: Host<'_>, from: i32, len: i32| -> Done<()> {
        set_result(host, import, from as u32, len as u32).map_err(Stop::halt)
    })
}

/// Copies the arguments, one after the other.
fn read_args(host: Host<'_>, import: &'static str, to: u32) -> Result<(), Stop> {
    let mut caller = Caller::enter(host)?;
    let args = &caller.state().exchange.args;
    let len = args
        .as_ref()
        .ok_or_else(|| Stop::host(NotWithBytes(import)))?
        .len();
    caller.charge_bytes(len as u64)?;
    let (mut memory, state) = caller.memory_and_state();
    let args = state.exchange.args.as_deref().unwrap_or_default();
    memory.write(to, args)?;
    Ok(())
}

/// Copies the result.
fn set_result(host: Host<'_>, import: &'static str, from: u32, len: u32) -> Result<(), Stop> {
    let mut caller = Caller::enter(host)?;
    if caller.state().exchange.args.is_none() {
        return Err(Stop::host(NotWithBytes(import)));
    }
    caller.charge_bytes(len.into())?;
    let (memory, state) = caller.memory_and_state();
    let result = memory.slice(from, len)?;
    state.exchange.set_result(result, &mut state.memory)
}

/// Copies as much of a configured value as fits. Returns its length, or -1 if it is not set.
fn config_get(host: Host<'_>, key: (i32, i32), buffer: (i32, i32)) -> Result<i32, Stop> {
    let (key, key_len) = (key.0 as u32, key.1 as u32);
    let (buffer, buffer_len) = (buffer.0 as u32, buffer.1 as u32);
    let mut caller = Caller::enter(host)?;
    caller.charge_bytes(key_len.into())?;
    let (memory, state) = caller.memory_and_state();
    let key = memory.slice(key, key_len)?;
    let config = state.config.clone();
    let value = core::str::from_utf8(key)
        .ok()
        .and_then(|key| config.plugin_config.get(key));
    let Some(value) = value else { return Ok(-1) };
    let copied = value.len().min(buffer_len as usize);
    caller.charge_bytes(copied as u64)?;
    let (mut memory, _) = caller.memory_and_state();
    memory.write(buffer, &value.as_bytes()[..copied])?;
    i32::try_from(value.len()).map_err(|_| Stop::trap(Trap::Unreachable))
}

/// A guest called one of the imports, but the host did not call it with bytes.
#[derive(Debug)]
struct NotWithBytes(&'static str);

impl fmt::Display for NotWithBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the guest called `{}`, but the host did not call it with bytes; use `call_bytes`",
            self.0
        )
    }
}

impl core::error::Error for NotWithBytes {}
