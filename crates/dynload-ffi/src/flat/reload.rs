//! Hot reload.

use std::time::Duration;

use crate::boundary::abi::{HotReloadConfig, HotReloader, ModuleHandle, WasmInstance, WasmSandbox};
use crate::boundary::error::{
    Error, ErrorCode, Result, guard, guard_partial, guard_query, guard_release, guard_with,
};
use crate::boundary::text;
use crate::objects::{reload, sandbox};

const NONE: HotReloader = HotReloader {
    handle: 0,
    version: 0,
    running: 0,
};

/// Returns the default settings for a source: a private output directory, 100 ms of debounce, no output to standard
/// error. The text of the path must live until the reloader is created.
pub extern "C" fn hot_reload_config(source_path: i64) -> HotReloadConfig {
    let config = HotReloadConfig {
        source_path,
        output_dir: 0,
        debounce_ms: 100,
        verbose: 0,
    };
    guard_query(config, || config)
}

/// Creates a hot reloader for a source: a `.c`, `.rs`, `.vais` or `Cargo.toml` file, which is built, or a `.so`,
/// `.wasm` or `.wat` file, which is loaded as it is. The reloader does nothing before it is started. Returns a
/// reloader with the handle 0 on failure.
///
/// Native code that is built from the source, or is the source, is loaded and runs later: it can do whatever the
/// process can, and the caller promises here that it may run.
///
/// ```c
/// HotReloader r = hot_reloader_start(hot_reloader_new_str(source_path));
/// int64_t (*answer)(void) = (int64_t (*)(void))hot_reloader_get_function_str(r, "answer");
/// printf("version %d says %d\n", (int)hot_reloader_version(r), answer ? (int)answer() : -1);
/// if (hot_reloader_check(r) == 1) {
///     /* A new version is running: look up its functions again. */
/// }
/// r = hot_reloader_stop(r);
/// hot_reloader_destroy(r);
/// ```
pub unsafe extern "C" fn hot_reloader_new(source_path: i64) -> HotReloader {
    guard(NONE, || {
        // SAFETY: the caller's promise about the text, and about the code that is built and loaded.
        unsafe {
            create(HotReloadConfig {
                source_path,
                output_dir: 0,
                debounce_ms: 100,
                verbose: 0,
            })
        }
    })
}

/// Creates a hot reloader with custom settings; otherwise as `hot_reloader_new`.
pub unsafe extern "C" fn hot_reloader_with_config(config: HotReloadConfig) -> HotReloader {
    guard(NONE, || {
        // SAFETY: the caller's promise about the texts, and about the code that is built and loaded.
        unsafe { create(config) }
    })
}

/// # Safety
///
/// The texts are valid texts, and the code that is built and loaded may run.
unsafe fn create(config: HotReloadConfig) -> Result<HotReloader> {
    // SAFETY: the caller's promise.
    let source = unsafe { text::path(config.source_path, "path of the source") }?.to_owned();
    let output_dir = match config.output_dir {
        0 => None,
        // SAFETY: the caller's promise.
        dir => Some(unsafe { text::path(dir, "output directory") }?.to_owned()),
    };
    let debounce = u64::try_from(config.debounce_ms).map_err(|_| {
        let message = format!("the debounce time is {} ms: pass 0 or more", config.debounce_ms);
        Error::new(ErrorCode::InvalidArgument, message)
    })?;
    let verbose = match config.verbose {
        0 => false,
        1 => true,
        other => {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("`verbose` is {other}: pass 1 or 0"),
            ));
        }
    };
    let settings = reload::Settings {
        source,
        output_dir,
        debounce: Duration::from_millis(debounce),
        verbose,
    };
    // SAFETY: the caller's promise.
    unsafe { reload::create(settings) }
}

/// Returns the result of a failed start or stop: the reloader as it is, or an empty one if it does not exist.
fn unchanged(r: HotReloader) -> impl FnOnce(ErrorCode) -> HotReloader {
    move |_| reload::describe(r.handle).unwrap_or(NONE)
}

/// Starts a hot reloader: watches the source, and builds and loads its current state. Waits for this first build.
///
/// Returns the reloader as it is then. If the build succeeded, `running` is 1 and `version` is 1. If it failed, or if the
/// source does not exist, `running` is 1 too: `version` is 0, the error says why, including the compiler output, and the
/// reloader tries again at the next change, such as the creation of the source. If the source cannot be watched, that is
/// the error, and `running` is 0. If the reloader is stopped before the build has been loaded, also by the code that is
/// being loaded, the error is DYNLOAD_ERROR_INTERRUPTED, and `running` is 0; a version that was loaded nevertheless stays
/// loaded. If the reloader does not exist, the result has the handle 0.
///
/// A change during a build cancels the build, but the same file cancels only one build in a row. So this function returns
/// even if a build changes its own inputs. A file that changes during three builds in a row is taken to be written by the
/// build: it is not a reason for another build until it changes while no build is running. A source that is empty or less
/// than half as long as before is used when it has not changed for 1 s, because its writer may not have finished.
///
/// A reloader that is already started continues unchanged. One that was stopped continues from the version that it has.
///
/// This runs the code that is built and loaded. The promise that it may run was made at `hot_reloader_new` or
/// `hot_reloader_with_config`.
pub extern "C" fn hot_reloader_start(r: HotReloader) -> HotReloader {
    guard_partial(unchanged(r), || reload::start(r.handle))
}

/// Stops a hot reloader. The loaded version stays loaded. Waits for the reloader's thread to end; a running build is
/// killed.
///
/// Called by the code that the reloader is loading, it cannot wait: the error is DYNLOAD_ERROR_BUSY, `running` is 1, and
/// the reloader stops when the load has ended.
pub extern "C" fn hot_reloader_stop(r: HotReloader) -> HotReloader {
    guard_with(unchanged(r), || reload::stop(r.handle))
}

/// Returns 1 once for each new version, 0 if there is none. Never waits.
///
/// If a change could not be built or loaded, the old version keeps running, this function returns 0, and the error
/// says why, including the compiler output, until a later change succeeds. In a child of fork, the error of a reloader that
/// the parent started says so.
pub extern "C" fn hot_reloader_check(r: HotReloader) -> i64 {
    guard(0, || Ok(reload::check(r.handle)?.into()))
}

/// Returns the version that is running: 1 after the start, incremented by each successful reload, 0 while no version
/// is running.
pub extern "C" fn hot_reloader_version(r: HotReloader) -> i64 {
    guard(0, || reload::version(r.handle))
}

/// Returns the native version that is running; an empty handle on failure. The handle is valid until the next version
/// runs, and stale when `hot_reloader_check` reports that version; the code stays in memory. The module belongs to the
/// reloader: `unload_module` and `reload_module` refuse it.
pub extern "C" fn hot_reloader_module(r: HotReloader) -> ModuleHandle {
    guard(ModuleHandle::default(), || reload::current_module(r.handle))
}

/// Returns the address of a function of the native version that is running; 0 on failure. The code stays in memory,
/// even when a newer version runs.
pub unsafe extern "C" fn hot_reloader_get_function(r: HotReloader, name: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        reload::symbol(r.handle, unsafe { text::c_text(name, "name of the symbol") }?)
    })
}

/// Returns the Wasm version that is running; an instance with the handle 0 on failure. When `hot_reloader_check` reports
/// the next version, the handle is stale; calls that are running in the instance complete.
pub extern "C" fn hot_reloader_wasm(r: HotReloader) -> WasmInstance {
    guard(WasmInstance::default(), || reload::current_wasm(r.handle))
}

/// Returns the sandbox of this reloader's Wasm versions. It is created as by `sandbox_new`; grant capabilities, allow
/// resources and add host functions before the reloader is started. It is destroyed with the reloader.
pub extern "C" fn hot_reloader_sandbox(r: HotReloader) -> WasmSandbox {
    guard(WasmSandbox::default(), || {
        let handle = reload::own_sandbox(r.handle)?;
        Ok(WasmSandbox {
            handle,
            capabilities: sandbox::bits(sandbox::granted(handle)?),
        })
    })
}

/// Stops and destroys a hot reloader. Returns 1 on success, 0 on failure. Native code that it loaded stays in memory;
/// its Wasm instances are destroyed.
pub extern "C" fn hot_reloader_destroy(r: HotReloader) -> i64 {
    guard_release(0, || {
        reload::destroy(r.handle)?;
        Ok(1)
    })
}
