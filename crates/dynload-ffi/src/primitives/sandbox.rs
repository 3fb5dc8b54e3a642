//! Sandboxes.

use crate::abi::{ResourceLimits, WasmSandbox};
use crate::error::guard;
use crate::{flat, sandbox};

/// `sandbox_new`: the handle, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_sandbox_create() -> i64 {
    flat::sandbox_new().handle
}

/// `sandbox_restrictive`: the handle, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_sandbox_create_restrictive() -> i64 {
    flat::sandbox_restrictive().handle
}

/// `sandbox_with_limits`: the handle, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_sandbox_create_with_limits(
    max_memory_bytes: i64,
    max_time_ms: i64,
    max_stack_bytes: i64,
    max_call_depth: i64,
) -> i64 {
    flat::sandbox_with_limits(ResourceLimits {
        max_memory_bytes,
        max_time_ms,
        max_stack_bytes,
        max_call_depth,
    })
    .handle
}

/// `sandbox_destroy`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_sandbox_destroy(sandbox: i64) -> i64 {
    flat::sandbox_destroy(WasmSandbox {
        handle: sandbox,
        capabilities: 0,
    })
}

/// `sandbox_grant`: 1 on success, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_grant_capability(sandbox: i64, cap: i64) -> i64 {
    guard(0, || {
        sandbox::grant(sandbox, cap)?;
        Ok(1)
    })
}

/// `sandbox_revoke`: 1 on success, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_revoke_capability(sandbox: i64, cap: i64) -> i64 {
    guard(0, || {
        sandbox::revoke(sandbox, cap)?;
        Ok(1)
    })
}

/// What a sandbox is granted at this moment, -1 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_capabilities(sandbox: i64) -> i64 {
    guard(-1, || Ok(sandbox::bits(sandbox::granted(sandbox)?)))
}

/// `sandbox_load`: the handle of the instance, 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_load(sandbox: i64, bytes: i64, len: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_load(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            bytes,
            len,
        )
        .handle
    }
}

/// `sandbox_set_fuel`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_set_fuel(sandbox: i64, fuel: i64) -> i64 {
    flat::sandbox_set_fuel(
        WasmSandbox {
            handle: sandbox,
            capabilities: 0,
        },
        fuel,
    )
}

/// `sandbox_set_profile`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_set_profile(sandbox: i64, profile: i64) -> i64 {
    flat::sandbox_set_profile(
        WasmSandbox {
            handle: sandbox,
            capabilities: 0,
        },
        profile,
    )
}

/// `sandbox_allow_dir`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_allow_dir(
    sandbox: i64,
    host_path: i64,
    guest_path: i64,
    writable: i64,
) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_allow_dir(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            host_path,
            guest_path,
            writable,
        )
    }
}

/// `sandbox_allow_env`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_allow_env(sandbox: i64, name: i64, value: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_allow_env(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            name,
            value,
        )
    }
}

/// `sandbox_allow_net`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_allow_net(sandbox: i64, pattern: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_allow_net(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            pattern,
        )
    }
}

/// `sandbox_allow_program`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_allow_program(sandbox: i64, path: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_allow_program(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            path,
        )
    }
}

/// `sandbox_allow_workers`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_allow_workers(sandbox: i64, count: i64) -> i64 {
    flat::sandbox_allow_workers(
        WasmSandbox {
            handle: sandbox,
            capabilities: 0,
        },
        count,
    )
}

/// `sandbox_set_args`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_set_args(sandbox: i64, argv: i64, argc: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_set_args(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            argv,
            argc,
        )
    }
}

/// `sandbox_set_console`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_set_console(sandbox: i64, callback: i64, userdata: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_set_console(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            callback,
            userdata,
        )
    }
}

/// `sandbox_host_function`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_host_function(
    sandbox: i64,
    module: i64,
    name: i64,
    signature: i64,
    callback: i64,
    userdata: i64,
    capability: i64,
) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::sandbox_host_function(
            WasmSandbox {
                handle: sandbox,
                capabilities: 0,
            },
            module,
            name,
            signature,
            callback,
            userdata,
            capability,
        )
    }
}
