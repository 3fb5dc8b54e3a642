//! The imports of [Extism plugins](https://extism.org/docs/concepts/host-functions), from the module `extism:host/env`.

use super::{Extism, NoBlock};
use crate::{
    bytes::out_of_memory,
    call::state::State,
    error::Stop,
    host::{Caller, Stream},
    metering::memory_meter::MemoryMeter,
};
use alloc::{boxed::Box, vec::Vec};
use dynload_caps::Capabilities;
use wasmi::{Func, Store};

type Host<'a> = wasmi::Caller<'a, State>;
type Done<R> = Result<R, wasmi::Error>;

/// The level that the guest reads if nothing is logged.
const LOG_OFF: i32 = i32::MAX;

/// Creates the function of that name in a store, if there is one.
pub(crate) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    store.data_mut().extism.get_or_insert_default().is_imported = true;
    let log = |level: &'static str| {
        move |host: Host<'_>, text: i64| run(host, |caller| log(caller, level, text as u64))
    };
    Some(match name {
        // Blocks.
        "alloc" => Func::wrap(store, |host: Host<'_>, len: i64| -> Done<i64> {
            run(host, |caller| alloc(caller, len as u64))
        }),
        "free" => Func::wrap(store, |host: Host<'_>, block: i64| -> Done<()> {
            run(host, |caller| {
                let (extism, memory) = parts(caller.state())?;
                extism.blocks.remove(block as u64, memory);
                Ok(())
            })
        }),
        "length" | "length_unsafe" => Func::wrap(store, |host: Host<'_>, block: i64| -> Done<i64> {
            query(host, |extism| {
                extism
                    .blocks
                    .get(block as u64)
                    .map_or(0, |block| block.len() as u64)
            })
        }),
        "load_u8" => Func::wrap(store, |host: Host<'_>, offset: i64| -> Done<i32> {
            query(host, |extism| load(extism, offset as u64)).map(|[byte]: [u8; 1]| byte.into())
        }),
        "load_u64" => Func::wrap(store, |host: Host<'_>, offset: i64| -> Done<i64> {
            query(host, |extism| load(extism, offset as u64)).map(i64::from_le_bytes)
        }),
        "store_u8" => Func::wrap(store, |host: Host<'_>, offset: i64, value: i32| -> Done<()> {
            query(host, |extism| store_bytes(extism, offset as u64, &[value as u8]))
        }),
        "store_u64" => Func::wrap(store, |host: Host<'_>, offset: i64, value: i64| -> Done<()> {
            query(host, |extism| {
                store_bytes(extism, offset as u64, &value.to_le_bytes());
            })
        }),
        "memory_bytes" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            query(host, |extism| extism.blocks.bytes())
        }),
        "reset" => Func::wrap(store, |host: Host<'_>| -> Done<()> {
            run(host, |caller| {
                parts(caller.state())?.0.forget();
                while !remove_some(caller.state())? {
                    caller.check()?;
                }
                Ok(())
            })
        }),
        // Input, output, error.
        "input_offset" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            query(host, |extism| extism.input.0)
        }),
        "input_length" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            query(host, |extism| extism.input.1)
        }),
        "input_load_u8" => Func::wrap(store, |host: Host<'_>, at: i64| -> Done<i32> {
            query(host, |extism| load_input(extism, at as u64)).map(|[byte]: [u8; 1]| byte.into())
        }),
        "input_load_u64" => Func::wrap(store, |host: Host<'_>, at: i64| -> Done<i64> {
            query(host, |extism| load_input(extism, at as u64)).map(i64::from_le_bytes)
        }),
        "input_set" => Func::wrap(store, |host: Host<'_>, offset: i64, len: i64| -> Done<()> {
            query(host, |extism| {
                if let Some(range) = extism.checked(offset as u64, len as u64) {
                    extism.input = range;
                }
            })
        }),
        "output_offset" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            query(host, |extism| extism.output.0)
        }),
        "output_length" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            query(host, |extism| extism.output.1)
        }),
        "output_set" => Func::wrap(store, |host: Host<'_>, offset: i64, len: i64| -> Done<()> {
            query(host, |extism| {
                if let Some(range) = extism.checked(offset as u64, len as u64) {
                    extism.output = range;
                }
            })
        }),
        "error_get" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            query(host, |extism| extism.error)
        }),
        "error_set" => Func::wrap(store, |host: Host<'_>, block: i64| -> Done<()> {
            query(host, |extism| {
                let block = block as u64;
                if block == 0 || extism.blocks.get(block).is_some() {
                    extism.error = block;
                }
            })
        }),
        // Configuration and variables.
        "config_get" => Func::wrap(store, |host: Host<'_>, key: i64| -> Done<i64> {
            run(host, |caller| config_get(caller, key as u64))
        }),
        "var_get" => Func::wrap(store, |host: Host<'_>, key: i64| -> Done<i64> {
            run(host, |caller| var_get(caller, key as u64))
        }),
        "var_set" => Func::wrap(store, |host: Host<'_>, key: i64, value: i64| -> Done<()> {
            run(host, |caller| var_set(caller, key as u64, value as u64))
        }),
        // The console.
        "get_log_level" => Func::wrap(store, |host: Host<'_>| -> Done<i32> {
            run(host, |caller| {
                let is_on = caller.capabilities().has(Capabilities::CONSOLE);
                Ok(if is_on { 0 } else { LOG_OFF })
            })
        }),
        "log_trace" => Func::wrap(store, log("trace: ")),
        "log_debug" => Func::wrap(store, log("debug: ")),
        "log_info" => Func::wrap(store, log("info: ")),
        "log_warn" => Func::wrap(store, log("warn: ")),
        "log_error" => Func::wrap(store, log("error: ")),
        // HTTP.
        "http_request" => Func::wrap(store, |host: Host<'_>, request: i64, body: i64| -> Done<i64> {
            run(host, |caller| http_request(caller, request as u64, body as u64))
        }),
        "http_status_code" => Func::wrap(store, |host: Host<'_>| -> Done<i32> {
            query(host, |extism| i32::from(extism.http_status))
        }),
        "http_headers" => Func::wrap(store, |host: Host<'_>| -> Done<i64> {
            query(host, |extism| extism.http_headers)
        }),
        _ => return None,
    })
}

/// Enters a host function.
fn run<R>(host: Host<'_>, body: impl FnOnce(&mut Caller<'_>) -> Result<R, Stop>) -> Done<R> {
    Caller::enter(host)
        .and_then(|mut caller| body(&mut caller))
        .map_err(Stop::halt)
}

/// Enters a host function that cannot fail. A `u64` result is an `i64` of the guest.
fn query<R, T: FromExtism<R>>(host: Host<'_>, body: impl FnOnce(&mut Extism) -> R) -> Done<T> {
    run(host, |caller| Ok(T::from_extism(body(parts(caller.state())?.0))))
}

/// The type of a guest's value for one of the host.
trait FromExtism<T> {
    fn from_extism(value: T) -> Self;
}

impl<T> FromExtism<T> for T {
    fn from_extism(value: T) -> T {
        value
    }
}

impl FromExtism<u64> for i64 {
    fn from_extism(value: u64) -> i64 {
        value as i64
    }
}

/// Returns the state of the convention, and the meter of what it holds.
pub(super) fn parts(state: &mut State) -> Result<(&mut Extism, &mut MemoryMeter), Stop> {
    let State { extism, memory, .. } = state;
    // `define` creates it when the first function is linked.
    let extism = extism.as_deref_mut().ok_or_else(|| Stop::host(NoBlock(0)))?;
    Ok((extism, memory))
}

/// Removes some blocks. Returns whether none is left.
pub(super) fn remove_some(state: &mut State) -> Result<bool, Stop> {
    let (extism, memory) = parts(state)?;
    Ok(extism.blocks.remove_some(memory))
}

/// Returns 0 if the limit does not allow the block.
fn alloc(caller: &mut Caller<'_>, len: u64) -> Result<i64, Stop> {
    if len == 0 {
        return Ok(0);
    }
    caller.charge_bytes(len)?;
    let (extism, memory) = parts(caller.state())?;
    match extism.blocks.zeros(len, memory) {
        Ok(block) => Ok(block as i64),
        Err(denied) => {
            let before = memory.denied.map_or(0, |denied| denied.requested);
            if denied.requested > before {
                memory.denied = Some(denied);
            }
            Ok(0)
        }
    }
}

/// Returns zeros if not all bytes are in one block.
fn load<const N: usize>(extism: &Extism, offset: u64) -> [u8; N] {
    let bytes = extism.blocks.slice(offset, N as u64);
    bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

/// Returns zeros if not all bytes are in the input.
fn load_input<const N: usize>(extism: &Extism, at: u64) -> [u8; N] {
    let (offset, len) = extism.input;
    match at.checked_add(N as u64) {
        Some(end) if end <= len => load(extism, offset + at),
        _ => [0; N],
    }
}

/// Stores nothing if not all bytes are in one block.
fn store_bytes(extism: &mut Extism, offset: u64, bytes: &[u8]) {
    if let Some(to) = extism.blocks.slice_mut(offset, bytes.len() as u64) {
        to.copy_from_slice(bytes);
    }
}

/// Takes a block that the guest hands over; 0 is the block of an empty text. The guest pays for the bytes.
fn take(caller: &mut Caller<'_>, block: u64) -> Result<Box<[u8]>, Stop> {
    if block == 0 {
        return Ok(Box::default());
    }
    let (extism, memory) = parts(caller.state())?;
    let bytes = extism.blocks.remove(block, memory);
    let bytes = bytes.ok_or_else(|| Stop::host(NoBlock(block)))?;
    caller.charge_bytes(bytes.len() as u64)?;
    Ok(bytes)
}

/// Creates a block with these bytes. The guest pays for them.
pub(super) fn give(caller: &mut Caller<'_>, bytes: &[u8]) -> Result<u64, Stop> {
    caller.charge_bytes(bytes.len() as u64)?;
    let (extism, memory) = parts(caller.state())?;
    extism.blocks.copy(bytes, memory).map_err(out_of_memory)
}

/// As [`give`], without a copy.
fn give_own(caller: &mut Caller<'_>, bytes: Vec<u8>) -> Result<u64, Stop> {
    caller.charge_bytes(bytes.len() as u64)?;
    let (extism, memory) = parts(caller.state())?;
    extism.blocks.add(bytes.into(), memory).map_err(out_of_memory)
}

/// Returns 0 if the value is not set.
fn config_get(caller: &mut Caller<'_>, key: u64) -> Result<i64, Stop> {
    let key = take(caller, key)?;
    let config = caller.state().config.clone();
    let key = core::str::from_utf8(&key).ok();
    match key.and_then(|key| config.plugin_config.get(key)) {
        Some(value) => Ok(give(caller, value.as_bytes())? as i64),
        None => Ok(0),
    }
}

/// Returns 0 if the variable is not set.
fn var_get(caller: &mut Caller<'_>, key: u64) -> Result<i64, Stop> {
    let key = take(caller, key)?;
    let (extism, _) = parts(caller.state())?;
    let Some(len) = extism.variables.get(&key).map(<[u8]>::len) else {
        return Ok(0);
    };
    caller.charge_bytes(len as u64)?;
    let (extism, memory) = parts(caller.state())?;
    let value = extism.variables.get(&key).unwrap_or_default();
    Ok(extism.blocks.copy(value, memory).map_err(out_of_memory)? as i64)
}

/// Sets a variable, or removes it if the value is 0.
fn var_set(caller: &mut Caller<'_>, key: u64, value: u64) -> Result<(), Stop> {
    let key = take(caller, key)?;
    let value = match value {
        0 => None,
        value => Some(take(caller, value)?),
    };
    let (extism, memory) = parts(caller.state())?;
    extism.variables.set(key, value, memory)
}

/// Logs a line, if the guest may write to the console.
fn log(caller: &mut Caller<'_>, level: &str, text: u64) -> Result<(), Stop> {
    let text = take(caller, text)?;
    if !caller.capabilities().has(Capabilities::CONSOLE) {
        return Ok(());
    }
    let line: Vec<u8> = [level.as_bytes(), &text, b"\n"].concat();
    caller.write_console(Stream::Err, &line, &mut 0)
}

/// Has the embedder make a request. Returns the body of the response.
fn http_request(caller: &mut Caller<'_>, request: u64, body: u64) -> Result<i64, Stop> {
    caller.require(Capabilities::NETWORK, "extism:host/env.http_request")?;
    let request = take(caller, request)?;
    let body = take(caller, body)?;
    let config = caller.state().config.clone();
    let Some(client) = &config.http_client else {
        return Err(Stop::host(
            "the plugin makes an HTTP request, but the host has no client for it; set one with `Sandbox::set_http_client`",
        ));
    };
    // They are kept until the client has answered.
    let kept = request.len() as u64 + body.len() as u64;
    parts(caller.state())?.1.hold(kept).map_err(out_of_memory)?;
    let response = client(caller, &request, &body);
    parts(caller.state())?.1.release(kept);
    let response = response?;
    drop((request, body));
    caller.check()?;
    let headers = give_own(caller, response.headers)?;
    let (extism, _) = parts(caller.state())?;
    extism.http_status = response.status;
    extism.http_headers = headers;
    Ok(give_own(caller, response.body)? as i64)
}
