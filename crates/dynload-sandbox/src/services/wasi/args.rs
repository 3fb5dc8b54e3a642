//! `args_*` and `environ_*`: the arguments that the host passes to this plugin, and the environment variables that
//! the capability ENV and the scopes allow.

use crate::{
    host::Caller,
    services::{
        answer::Answer,
        guest::{offset, write_u32},
    },
};
use dynload_caps::{Capabilities, EnvScope};
use std::vec::Vec;

/// Returns the variables that the scopes allow, each as `NAME=value`. Variables that the host does not have are
/// omitted.
pub(in crate::services) fn environment(scopes: &[EnvScope]) -> Vec<Vec<u8>> {
    let value = |scope: &EnvScope| match &scope.value {
        Some(value) => Some(value.clone().into_bytes()),
        None => std::env::var_os(&scope.name).map(|value| value.into_encoded_bytes()),
    };
    let variable = |scope: &EnvScope| Some([scope.name.as_bytes(), b"=", &value(scope)?].concat());
    scopes.iter().filter_map(variable).collect()
}

pub(super) fn args_sizes_get(caller: &mut Caller<'_>, count_out: u32, size_out: u32) -> Answer {
    let list = arguments(caller);
    sizes(caller, &list, count_out, size_out)
}

pub(super) fn args_get(caller: &mut Caller<'_>, argv: u32, buffer: u32) -> Answer {
    let list = arguments(caller);
    fill(caller, &list, argv, buffer)
}

pub(super) fn environ_sizes_get(caller: &mut Caller<'_>, count_out: u32, size_out: u32) -> Answer {
    let list = variables(caller);
    sizes(caller, &list, count_out, size_out)
}

pub(super) fn environ_get(caller: &mut Caller<'_>, environ: u32, buffer: u32) -> Answer {
    let list = variables(caller);
    fill(caller, &list, environ, buffer)
}

fn arguments(caller: &mut Caller<'_>) -> Vec<Vec<u8>> {
    caller
        .state()
        .config
        .args
        .iter()
        .map(|arg| arg.clone().into_bytes())
        .collect()
}

/// Returns the variables; none for a guest without ENV.
fn variables(caller: &mut Caller<'_>) -> Vec<Vec<u8>> {
    if caller.capabilities().has(Capabilities::ENV) {
        caller.state().services.open().environ.clone()
    } else {
        Vec::new()
    }
}

fn sizes(caller: &mut Caller<'_>, list: &[Vec<u8>], count_out: u32, size_out: u32) -> Answer {
    let size: usize = list.iter().map(|text| text.len() + 1).sum();
    // The host provides the list; one that exceeds 4 GiB does not fit into any guest either.
    write_u32(caller, count_out, u32::try_from(list.len()).unwrap_or(u32::MAX))?;
    write_u32(caller, size_out, u32::try_from(size).unwrap_or(u32::MAX))
}

/// Writes the strings, each NUL-terminated, and a pointer to each of them.
fn fill(caller: &mut Caller<'_>, list: &[Vec<u8>], pointers: u32, buffer: u32) -> Answer {
    let size: usize = list.iter().map(|text| text.len() + 5).sum();
    caller.charge_bytes(size as u64)?;
    let mut memory = caller.memory_or_empty();
    let mut used = 0;
    for (n, text) in list.iter().enumerate() {
        let text_at = offset(buffer, used)?;
        memory.write(offset(pointers, n as u64 * 4)?, &text_at.to_le_bytes())?;
        memory.write(text_at, text)?;
        memory.write(offset(buffer, used + text.len() as u64)?, &[0])?;
        used += text.len() as u64 + 1;
    }
    Ok(())
}
