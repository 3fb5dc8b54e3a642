//! Hot reload.

use crate::abi::{HotReloadConfig, HotReloader};
use crate::error::{guard, guard_partial};
use crate::{flat, reload};

/// `hot_reloader_new`: the handle, 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_hot_reload_create(source_path: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe { flat::hot_reloader_new(source_path).handle }
}

/// `hot_reloader_with_config`: the handle, 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_hot_reload_create_with_config(
    source_path: i64,
    output_dir: i64,
    debounce_ms: i64,
    verbose: i64,
) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::hot_reloader_with_config(HotReloadConfig {
            source_path,
            output_dir,
            debounce_ms,
            verbose,
        })
        .handle
    }
}

/// `hot_reloader_start`: the version that runs, 0 if the first build failed (it runs all the same), -1 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_start(handle: i64) -> i64 {
    guard_partial(
        |_| -1,
        || {
            let (started, failed) = reload::start(handle)?;
            Ok((started.version, failed))
        },
    )
}

/// `hot_reloader_stop`: 1 on success, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_stop(handle: i64) -> i64 {
    guard(0, || {
        reload::stop(handle)?;
        Ok(1)
    })
}

/// `hot_reloader_check`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_check(handle: i64) -> i64 {
    flat::hot_reloader_check(HotReloader {
        handle,
        version: 0,
        running: 0,
    })
}

/// `hot_reloader_version`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_get_version(handle: i64) -> i64 {
    flat::hot_reloader_version(HotReloader {
        handle,
        version: 0,
        running: 0,
    })
}

/// 1 if a hot reloader is started, 0 if not.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_is_running(handle: i64) -> i64 {
    guard(0, || Ok(reload::describe(handle)?.running))
}

/// `hot_reloader_module`: the handle of the module, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_module(handle: i64) -> i64 {
    flat::hot_reloader_module(HotReloader {
        handle,
        version: 0,
        running: 0,
    })
    .handle
}

/// `hot_reloader_get_function`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_hot_reload_get_function(handle: i64, name: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe {
        flat::hot_reloader_get_function(
            HotReloader {
                handle,
                version: 0,
                running: 0,
            },
            name,
        )
    }
}

/// `hot_reloader_wasm`: the handle of the instance, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_wasm(handle: i64) -> i64 {
    flat::hot_reloader_wasm(HotReloader {
        handle,
        version: 0,
        running: 0,
    })
    .handle
}

/// `hot_reloader_sandbox`: the handle of the sandbox, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_sandbox(handle: i64) -> i64 {
    flat::hot_reloader_sandbox(HotReloader {
        handle,
        version: 0,
        running: 0,
    })
    .handle
}

/// `hot_reloader_destroy`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_hot_reload_destroy(handle: i64) -> i64 {
    flat::hot_reloader_destroy(HotReloader {
        handle,
        version: 0,
        running: 0,
    })
}
