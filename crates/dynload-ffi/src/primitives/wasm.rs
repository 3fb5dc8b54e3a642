//! Instances of Wasm plugins.

use crate::abi::WasmInstance;
use crate::error::guard;
use crate::{flat, instance};

/// `wasm_call`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_call_i64(instance: i64, name: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::wasm_call(
            WasmInstance {
                handle: instance,
                sandbox: 0,
            },
            name,
        )
    }
}

/// `wasm_call1`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_call_i64_i64(instance: i64, name: i64, arg: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::wasm_call1(
            WasmInstance {
                handle: instance,
                sandbox: 0,
            },
            name,
            arg,
        )
    }
}

/// `wasm_call2`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_call_i64_i64_i64(instance: i64, name: i64, arg1: i64, arg2: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::wasm_call2(
            WasmInstance {
                handle: instance,
                sandbox: 0,
            },
            name,
            arg1,
            arg2,
        )
    }
}

/// `wasm_call_n`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_call_n(
    instance: i64,
    name: i64,
    args: i64,
    nargs: i64,
    results: i64,
    nresults: i64,
) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::wasm_call_n(
            WasmInstance {
                handle: instance,
                sandbox: 0,
            },
            name,
            args,
            nargs,
            results,
            nresults,
        )
    }
}

/// `wasm_is_valid`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_is_valid(instance: i64) -> i64 {
    flat::wasm_is_valid(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// `wasm_fuel_used`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_fuel_used(instance: i64) -> i64 {
    flat::wasm_fuel_used(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// `wasm_peak_memory`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_peak_memory(instance: i64) -> i64 {
    flat::wasm_peak_memory(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// `wasm_peak_stack`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_peak_stack(instance: i64) -> i64 {
    flat::wasm_peak_stack(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// `wasm_peak_depth`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_peak_depth(instance: i64) -> i64 {
    flat::wasm_peak_depth(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// `wasm_memory_read`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_memory_read(instance: i64, offset: i64, buf: i64, len: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::wasm_memory_read(
            WasmInstance {
                handle: instance,
                sandbox: 0,
            },
            offset,
            buf,
            len,
        )
    }
}

/// `wasm_memory_write`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_memory_write(instance: i64, offset: i64, buf: i64, len: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::wasm_memory_write(
            WasmInstance {
                handle: instance,
                sandbox: 0,
            },
            offset,
            buf,
            len,
        )
    }
}

/// `wasm_interrupt`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_interrupt(instance: i64) -> i64 {
    flat::wasm_interrupt(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// `wasm_reset`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_reset(instance: i64) -> i64 {
    flat::wasm_reset(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// `wasm_instance_destroy`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_instance_destroy(instance: i64) -> i64 {
    flat::wasm_instance_destroy(WasmInstance {
        handle: instance,
        sandbox: 0,
    })
}

/// The sandbox of an instance, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_instance_sandbox(instance: i64) -> i64 {
    guard(0, || instance::sandbox_of(instance))
}

/// `wasm_required_capabilities`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_required_capabilities(bytes: i64, len: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe { flat::wasm_required_capabilities(bytes, len) }
}
