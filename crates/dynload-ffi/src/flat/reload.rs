//! Hot reload.

use std::time::Duration;

use crate::boundary::abi::{HotReloadConfig, HotReloader, ModuleHandle, WasmInstance, WasmSandbox};
use crate::boundary::error::{Error, ErrorCode, Result, guard, guard_partial, guard_query, guard_with};
use crate::boundary::text;
use crate::objects::{reload, sandbox};

const NONE: HotReloader = HotReloader {
    handle: 0,
    version: 0,
    running: 0,
};

/// The default settings for a source: a private output directory, 100 ms of debounce, nothing written to standard error. The
/// text of the path has to live until the reloader is made.
pub extern "C" fn hot_reload_config(source_path: i64) -> HotReloadConfig {
    let config = HotReloadConfig {
        source_path,
        output_dir: 0,
        debounce_ms: 100,
        verbose: 0,
    };
    guard_query(config, || config)
}

/// Makes a hot reloader for a source: `.c`, `.rs`, `.vais` or `Cargo.toml`, which is built, or a `.so`, `.wasm` or `.wat`,
/// which is loaded as it is. It does nothing before it is started. On failure the handle is 0.
///
/// ```c
/// HotReloader r = hot_reloader_start(hot_reloader_new_str(source_path));
/// int64_t (*answer)(void) = (int64_t (*)(void))hot_reloader_get_function_str(r, "answer");
/// printf("version %d says %d\n", (int)hot_reloader_version(r), answer ? (int)answer() : -1);
/// if (hot_reloader_check(r) == 1) {
///     /* A new version runs: ask for its functions. */
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

/// Makes a hot reloader with settings of your own; otherwise as `hot_reloader_new`.
pub unsafe extern "C" fn hot_reloader_with_config(config: HotReloadConfig) -> HotReloader {
    guard(NONE, || {
        // SAFETY: the caller's promise about the texts, and about the code that is built and loaded.
        unsafe { create(config) }
    })
}

/// # Safety
///
/// The texts are texts, and what is built and loaded may run.
unsafe fn create(config: HotReloadConfig) -> Result<HotReloader> {
    // SAFETY: the caller's promise.
    let source = unsafe { text::path(config.source_path, "path of the source") }?.to_owned();
    let output_dir = match config.output_dir {
        0 => None,
        // SAFETY: the caller's promise.
        dir => Some(unsafe { text::path(dir, "output directory") }?.to_owned()),
    };
    let debounce = u64::try_from(config.debounce_ms).map_err(|_| {
        let message = format!("the debounce time is {} ms: give 0 or more", config.debounce_ms);
        Error::new(ErrorCode::InvalidArgument, message)
    })?;
    let verbose = match config.verbose {
        0 => false,
        1 => true,
        other => {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("`verbose` is {other}: give 1 or 0"),
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

/// What a failed start or stop leaves: the reloader as it is, or nothing if there is none.
fn unchanged(r: HotReloader) -> impl FnOnce(ErrorCode) -> HotReloader {
    move |_| reload::describe(r.handle).unwrap_or(NONE)
}

/// Starts a hot reloader: watches the source, and builds and loads it as it is now. Waits for that first build.
///
/// If it worked the version is 1. If it failed the version is 0 and the error says why, with what the compiler wrote; the
/// reloader runs, and tries again at the next change. If it was stopped meanwhile, that is the error
/// (DYNLOAD_ERROR_INTERRUPTED). One that is started already goes on as it is.
pub extern "C" fn hot_reloader_start(r: HotReloader) -> HotReloader {
    guard_partial(unchanged(r), || reload::start(r.handle))
}

/// Stops a hot reloader. What it loaded stays loaded. Waits for its thread to end; a build that runs is killed.
pub extern "C" fn hot_reloader_stop(r: HotReloader) -> HotReloader {
    guard_with(unchanged(r), || reload::stop(r.handle))
}

/// 1 once for each new version, 0 if there is none. Never waits.
///
/// If a change could not be built or loaded, the old version runs on, this gives 0, and the error says why, with what the
/// compiler wrote, until a later change works.
pub extern "C" fn hot_reloader_check(r: HotReloader) -> i64 {
    guard(0, || Ok(reload::check(r.handle)?.into()))
}

/// The version that runs: 1 when started, one more for each reload that worked, 0 while there is none.
pub extern "C" fn hot_reloader_version(r: HotReloader) -> i64 {
    guard(0, || reload::version(r.handle))
}

/// The native version that runs; on failure the handle is empty. It is good until the next version runs; its code stays in
/// memory. It belongs to the reloader: `unload_module` and `reload_module` refuse it.
pub extern "C" fn hot_reloader_module(r: HotReloader) -> ModuleHandle {
    guard(ModuleHandle::default(), || reload::current_module(r.handle))
}

/// The address of a function of the native version that runs; 0 on failure. Its code stays in memory, also when a newer
/// version runs.
pub unsafe extern "C" fn hot_reloader_get_function(r: HotReloader, name: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        reload::symbol(r.handle, unsafe { text::c_text(name, "name of the symbol") }?)
    })
}

/// The Wasm version that runs; on failure the handle is 0. When the next version runs its handle is stale; calls that run in it
/// end in peace.
pub extern "C" fn hot_reloader_wasm(r: HotReloader) -> WasmInstance {
    guard(WasmInstance::default(), || reload::current_wasm(r.handle))
}

/// The sandbox in which the Wasm versions of this reloader live: as `sandbox_new` makes it, and the place to grant, allow and
/// offer before the reloader is started. It goes with the reloader.
pub extern "C" fn hot_reloader_sandbox(r: HotReloader) -> WasmSandbox {
    guard(WasmSandbox::default(), || {
        let handle = reload::own_sandbox(r.handle)?;
        Ok(WasmSandbox {
            handle,
            capabilities: sandbox::bits(sandbox::granted(handle)?),
        })
    })
}

/// Stops and destroys a hot reloader; 1 on success, 0 on failure. Native code that it loaded stays in memory, Wasm instances go.
pub extern "C" fn hot_reloader_destroy(r: HotReloader) -> i64 {
    guard(0, || {
        reload::destroy(r.handle)?;
        Ok(1)
    })
}
