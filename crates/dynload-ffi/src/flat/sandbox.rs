//! Sandboxes.

use dynload_caps::{Access, DirScope, EnvScope, NetScope, ProgramScope};
use dynload_sandbox::{Capabilities, Console, ConsoleOutput, Limits};

use crate::boundary::abi::{ConsoleFunction, HostFunction, ResourceLimits, WasmInstance, WasmSandbox};
use crate::boundary::error::{Error, ErrorCode, Result, guard, guard_with};
use crate::boundary::text;
use crate::objects::{host_function, sandbox, wasm_file};

const NONE: WasmSandbox = WasmSandbox {
    handle: 0,
    capabilities: 0,
};

fn created(limits: Limits, capabilities: Capabilities) -> Result<WasmSandbox> {
    let handle = sandbox::create(limits, capabilities)?;
    Ok(WasmSandbox {
        handle,
        capabilities: sandbox::bits(capabilities),
    })
}

/// Makes a sandbox with the default limits; its plugins may write to the console.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// printf("%d\n", (int)wasm_call2_str(plugin, "add", 40, 2));
/// sandbox_destroy(s);
/// ```
pub extern "C" fn sandbox_new() -> WasmSandbox {
    guard(NONE, || created(Limits::DEFAULT, Capabilities::CONSOLE))
}

/// Makes a sandbox for plugins that are not trusted: the restrictive limits, no capability.
pub extern "C" fn sandbox_restrictive() -> WasmSandbox {
    guard(NONE, || created(Limits::RESTRICTIVE, Capabilities::NONE))
}

/// Makes a sandbox with limits of your own; otherwise as `sandbox_new`. A negative limit is an error.
///
/// ```c
/// ResourceLimits limits = default_limits();
/// limits.max_time_ms = 50;
/// WasmSandbox s = sandbox_with_limits(limits);
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// wasm_call_str(plugin, "spin");
/// printf("%d\n", get_load_error_code() == DYNLOAD_ERROR_TIME_LIMIT);
/// sandbox_destroy(s);
/// ```
pub extern "C" fn sandbox_with_limits(limits: ResourceLimits) -> WasmSandbox {
    guard(NONE, || created(sandbox::limits(limits)?, Capabilities::CONSOLE))
}

/// Destroys a sandbox with all its instances; 1 on success, 0 on failure. Calls that run in them, start functions included, are
/// interrupted; this does not wait for them.
pub extern "C" fn sandbox_destroy(s: WasmSandbox) -> i64 {
    guard(0, || {
        sandbox::destroy(s.handle)?;
        Ok(1)
    })
}

/// What a failed change of capabilities leaves: the sandbox as it is, or nothing if there is none.
fn unchanged(s: WasmSandbox) -> impl FnOnce(ErrorCode) -> WasmSandbox {
    move |_| match sandbox::granted(s.handle) {
        Ok(granted) => WasmSandbox {
            handle: s.handle,
            capabilities: sandbox::bits(granted),
        },
        Err(_) => NONE,
    }
}

/// Grants a capability, or several at once; it holds at once, also for plugins that are running. A bit that is no capability is
/// an error and changes nothing. Gives the sandbox with what is granted now.
///
/// A capability that reaches something in particular (files, network, environment, programs) opens only what `sandbox_allow_*`
/// names.
///
/// ```c
/// WasmSandbox s = sandbox_restrictive();
/// s = sandbox_grant(s, CAP_CONSOLE | CAP_TIME);
/// s = sandbox_revoke(s, CAP_TIME);
/// printf("%d\n", (int)s.capabilities);
/// sandbox_destroy(s);
/// ```
pub extern "C" fn sandbox_grant(s: WasmSandbox, cap: i64) -> WasmSandbox {
    guard_with(unchanged(s), || {
        let granted = sandbox::grant(s.handle, cap)?;
        Ok(WasmSandbox {
            handle: s.handle,
            capabilities: sandbox::bits(granted),
        })
    })
}

/// Takes a capability back, or several at once; it holds at once, also for plugins that are running. Otherwise as
/// `sandbox_grant`.
pub extern "C" fn sandbox_revoke(s: WasmSandbox, cap: i64) -> WasmSandbox {
    guard_with(unchanged(s), || {
        let granted = sandbox::revoke(s.handle, cap)?;
        Ok(WasmSandbox {
            handle: s.handle,
            capabilities: sandbox::bits(granted),
        })
    })
}

/// Checks and compiles the `len` bytes of a WebAssembly module at `bytes`, makes an instance of it and runs its start function.
/// On failure the instance is empty. The bytes can go afterwards.
///
/// The instance lives until `wasm_instance_destroy` or the end of its sandbox.
pub unsafe extern "C" fn sandbox_load(s: WasmSandbox, bytes: i64, len: i64) -> WasmInstance {
    guard(WasmInstance::default(), || {
        let module = {
            // SAFETY: the caller's promise about the bytes, which may go when the plugin's start function runs.
            let bytes = unsafe { wasm_file::bytes(bytes, len) }?;
            sandbox::compile_for(s.handle, bytes.as_slice())?
        };
        let handle = sandbox::load(s.handle, &module)?;
        Ok(WasmInstance {
            handle,
            sandbox: s.handle,
        })
    })
}

/// Limits the fuel of a call, counted in WebAssembly operators; -1 lifts the limit. 1 on success, 0 on failure. For plugins
/// that are loaded afterwards.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// sandbox_set_fuel(s, 1000);
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// wasm_call_str(plugin, "spin");
/// printf("%d\n", get_load_error_code() == DYNLOAD_ERROR_FUEL_LIMIT);
/// sandbox_destroy(s);
/// ```
pub extern "C" fn sandbox_set_fuel(s: WasmSandbox, fuel: i64) -> i64 {
    guard(0, || {
        let fuel = match fuel {
            -1 => None,
            fuel => Some(u64::try_from(fuel).map_err(|_| {
                Error::new(
                    ErrorCode::InvalidArgument,
                    format!("the fuel is {fuel}: give 0 or more, or -1 for no limit"),
                )
            })?),
        };
        sandbox::change(s.handle, |sandbox| {
            sandbox.set_limits(sandbox.limits().with_fuel(fuel));
            Ok(1)
        })
    })
}

/// Whether calls also read the highest stack and call depth, for `wasm_peak_stack` and `wasm_peak_depth` (1 or 0); it costs
/// about a tenth of a call. 1 on success, 0 on failure. For plugins that are loaded afterwards.
pub extern "C" fn sandbox_set_profile(s: WasmSandbox, profile: i64) -> i64 {
    guard(0, || {
        sandbox::set_profile(s.handle, flag(profile, "profile")?)?;
        Ok(1)
    })
}

fn flag(value: i64, what: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("`{what}` is {value}: give 1 or 0"),
        )),
    }
}

/// Lets plugins see the directory `host_path` as `guest_path`, both UTF-8, and with `writable` (1 or 0) change what is in it. Needs
/// CAP_FS_READ and CAP_FS_WRITE as well. 1 on success, 0 on failure. For plugins that are loaded afterwards.
///
/// The directory is opened now, and never again by its path: what is put in its place later, or another working directory,
/// changes nothing. One that cannot be opened is DYNLOAD_ERROR_IO. Of directories that lie in each other the innermost governs:
/// what is not writable there, plugins do not change by way of the one around either.
///
/// ```c
/// WasmSandbox s = sandbox_grant(sandbox_restrictive(), CAP_FS_READ);
/// printf("%d\n", (int)sandbox_allow_dir_str(s, "/tmp", "/data", 0));
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn sandbox_allow_dir(
    s: WasmSandbox,
    host_path: i64,
    guest_path: i64,
    writable: i64,
) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the texts.
        let (host, guest) = unsafe {
            (
                text::text(host_path, "path of the host")?,
                text::text(guest_path, "path of the guest")?,
            )
        };
        let access = if flag(writable, "writable")? {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        };
        let dir = DirScope::new(host, guest, access)?;
        sandbox::widen(s.handle, |scopes| {
            scopes.dirs.push(dir);
            Ok(())
        })?;
        Ok(1)
    })
}

/// Lets plugins see the environment variable `name`, with `value`, or with the host's value where `value` is 0. Needs CAP_ENV
/// as well. 1 on success, 0 on failure. For plugins that are loaded afterwards.
pub unsafe extern "C" fn sandbox_allow_env(s: WasmSandbox, name: i64, value: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let name = unsafe { text::text(name, "name of the variable") }?;
        let variable = match value {
            0 => EnvScope::host(name)?,
            // SAFETY: the caller's promise about the text.
            _ => EnvScope::fixed(name, unsafe { text::text(value, "value of the variable") }?)?,
        };
        sandbox::widen(s.handle, |scopes| {
            scopes.env.push(variable);
            Ok(())
        })?;
        Ok(1)
    })
}

/// Lets plugins talk to the hosts that `pattern` names: `api.example.com:443`, `*.example.com:*`, `127.0.0.1:8000-8010`. Needs
/// CAP_NETWORK as well. 1 on success, 0 on failure. For plugins that are loaded afterwards.
pub unsafe extern "C" fn sandbox_allow_net(s: WasmSandbox, pattern: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let pattern = unsafe { text::text(pattern, "network pattern") }?;
        let scope: NetScope = pattern.parse()?;
        sandbox::widen(s.handle, |scopes| {
            scopes.net.push(scope);
            Ok(())
        })?;
        Ok(1)
    })
}

/// Lets plugins run the program at an absolute path, in UTF-8. Needs CAP_PROCESS as well. 1 on success, 0 on failure. For plugins that
/// are loaded afterwards.
pub unsafe extern "C" fn sandbox_allow_program(s: WasmSandbox, path: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let program = ProgramScope::new(unsafe { text::text(path, "path of the program") }?)?;
        sandbox::widen(s.handle, |scopes| {
            scopes.programs.push(program);
            Ok(())
        })?;
        Ok(1)
    })
}

/// Lets plugins have `count` workers at once. Needs CAP_THREADING as well. 1 on success, 0 on failure. For plugins that are
/// loaded afterwards.
pub extern "C" fn sandbox_allow_workers(s: WasmSandbox, count: i64) -> i64 {
    guard(0, || {
        let count = u32::try_from(count).map_err(|_| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!("{count} workers: give a number from 0 to {}", u32::MAX),
            )
        })?;
        sandbox::widen(s.handle, |scopes| {
            scopes.max_workers = count;
            Ok(())
        })?;
        Ok(1)
    })
}

/// The arguments of WASI programs: `argc` addresses of texts at `argv`, the first of which is by convention the program's name.
/// 1 on success, 0 on failure. For plugins that are loaded afterwards.
pub unsafe extern "C" fn sandbox_set_args(s: WasmSandbox, argv: i64, argc: i64) -> i64 {
    guard(0, || {
        let argc = text::length(argc, "number of arguments")?;
        // SAFETY: the caller's promise about the array.
        let argv: &[usize] = unsafe { text::slice(argv, argc, "array of arguments") }?;
        let mut args = Vec::new();
        for arg in argv {
            // SAFETY: the caller's promise about the texts.
            args.push(unsafe { text::text(*arg as i64, "argument") }?.to_owned());
        }
        sandbox::change(s.handle, |sandbox| {
            sandbox.set_args(args);
            Ok(1)
        })
    })
}

/// Where the output of plugins goes: to `callback`, a `dynload_console_function`, with `userdata`; or, where `callback` is 0, to
/// this program's own standard output and error, up to 1 MiB for each instance. 1 on success, 0 on failure. For plugins that
/// are loaded afterwards.
///
/// The callback runs on the thread that runs the plugin. From it, calls to the plugin's own instance are errors.
pub unsafe extern "C" fn sandbox_set_console(s: WasmSandbox, callback: i64, userdata: i64) -> i64 {
    guard(0, || {
        let console = match callback {
            0 => Console::new(ConsoleOutput::Inherit),
            _ => {
                // SAFETY: the caller's promise about the callback.
                unsafe {
                    host_function::console(host_function::function::<ConsoleFunction>(callback)?, userdata)
                }
            }
        };
        sandbox::change(s.handle, |sandbox| {
            sandbox.set_console(console);
            Ok(1)
        })
    })
}

/// Offers plugins a function of the host, as the import `module.name` of the type `signature`: `(i32, i64) -> (i64)`, with
/// i32, i64, f32 and f64. `callback` is a `dynload_host_function`, called with `userdata`. A plugin without every bit of
/// `capability` that calls it is stopped. 1 on success, 0 on failure. For plugins that are loaded afterwards.
///
/// The callback runs on the thread that runs the plugin. It may call `wasm_call*`, `wasm_memory_read` and `wasm_memory_write`
/// on the instance that it is told, within the limits of the call that it serves. It must not throw, nor leave by `longjmp`.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// sandbox_host_function_str(s, "env", "twice", "(i64) -> (i64)", twice, 0, CAP_NONE);
/// WasmInstance plugin = sandbox_load(s, wasm_with_import, wasm_with_import_len);
/// printf("%d\n", (int)wasm_call1_str(plugin, "run", 21));
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn sandbox_host_function(
    s: WasmSandbox,
    module: i64,
    name: i64,
    signature: i64,
    callback: i64,
    userdata: i64,
    capability: i64,
) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the texts.
        let (module, name, signature) = unsafe {
            (
                text::text(module, "module of the import")?,
                text::text(name, "name of the import")?,
                text::text(signature, "signature")?,
            )
        };
        let signature = host_function::parse_signature(signature)?;
        let capability = sandbox::capabilities(capability)?;
        // SAFETY: the caller's promise about the callback.
        unsafe {
            let callback = host_function::function::<HostFunction>(callback)?;
            host_function::offer(s.handle, module, name, signature, callback, userdata, capability)?;
        }
        Ok(1)
    })
}
