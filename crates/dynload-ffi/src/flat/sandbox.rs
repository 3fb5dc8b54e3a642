//! Sandboxes.

use dynload_caps::{Access, DirScope, EnvScope, NetScope, ProgramScope};
use dynload_sandbox::{Capabilities, Console, ConsoleOutput, Limits, ModuleLimit, ParseModuleLimitError};

use crate::boundary::abi::{ConsoleFunction, HostFunction, ResourceLimits, WasmInstance, WasmSandbox};
use crate::boundary::error::{Error, ErrorCode, Result, guard, guard_release, guard_with};
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

/// Creates a sandbox with the default limits; its plugins may write to the console.
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

/// Creates a sandbox for untrusted plugins: the restrictive limits, no capabilities.
pub extern "C" fn sandbox_restrictive() -> WasmSandbox {
    guard(NONE, || created(Limits::RESTRICTIVE, Capabilities::NONE))
}

/// Creates a sandbox with custom limits; otherwise as `sandbox_new`. A negative limit is an error.
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

/// Destroys a sandbox with all its instances. Returns 1 on success, 0 on failure. Calls that run in them, including
/// start functions, are interrupted; this function does not wait for them.
pub extern "C" fn sandbox_destroy(s: WasmSandbox) -> i64 {
    guard_release(0, || {
        sandbox::destroy(s.handle)?;
        Ok(1)
    })
}

/// Returns the result of a failed change of capabilities: the sandbox as it is, or an empty one if it does not exist.
fn unchanged(s: WasmSandbox) -> impl FnOnce(ErrorCode) -> WasmSandbox {
    move |_| match sandbox::granted(s.handle) {
        Ok(granted) => WasmSandbox {
            handle: s.handle,
            capabilities: sandbox::bits(granted),
        },
        Err(_) => NONE,
    }
}

/// Grants one or more capabilities and returns the sandbox with its current capabilities. The grant takes effect
/// immediately, also for running plugins. If a bit is not a capability, that is an error, and nothing changes.
///
/// A capability for specific resources (files, network, environment, programs) gives access only to the resources
/// that `sandbox_allow_*` names.
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

/// Revokes one or more capabilities. This takes effect immediately, also for running plugins. Otherwise as
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

/// Checks and compiles the `len` bytes of a WebAssembly module at `bytes`, creates an instance of it and runs its
/// start function. Returns an empty instance on failure. The bytes may be freed afterwards.
///
/// A reactor of the WASI application ABI is initialized, too: its `_initialize` runs after the start function. A command,
/// which exports `_start`, runs when `_start` is called.
///
/// The instance lives until `wasm_instance_destroy`, or until its sandbox is destroyed.
pub unsafe extern "C" fn sandbox_load(s: WasmSandbox, bytes: i64, len: i64) -> WasmInstance {
    guard(WasmInstance::default(), || {
        let module = {
            // SAFETY: the caller's promise about the bytes, which may already be freed when the plugin's start function runs.
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

/// Limits the fuel of a call, counted in WebAssembly operators; -1 removes the limit. Returns 1 on success, 0 on
/// failure. Affects plugins that are loaded afterwards.
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
                    format!("the fuel is {fuel}: pass 0 or more, or -1 for no limit"),
                )
            })?),
        };
        sandbox::change(s.handle, |sandbox| {
            let limits = sandbox.limits();
            sandbox.set_limits(match fuel {
                Some(fuel) => limits.with_fuel(fuel),
                None => limits.without_fuel_limit(),
            });
            Ok(1)
        })
    })
}

/// Turns profiling on (1) or off (0): with it, calls also record the peak stack size and call depth, for
/// `wasm_peak_stack` and `wasm_peak_depth`, which costs about a tenth of a call. Returns 1 on success, 0 on failure.
/// Affects plugins that are loaded afterwards.
pub extern "C" fn sandbox_set_profile(s: WasmSandbox, profile: i64) -> i64 {
    guard(0, || {
        let profile = flag(profile, "profile")?;
        sandbox::configure(s.handle, |config| config.with_profile(profile))?;
        Ok(1)
    })
}

/// Accepts modules with 64-bit memories (1), or refuses them (0), as by default. Returns 1 on success, 0 on failure.
/// Affects plugins that are loaded afterwards.
///
/// The functions that the host provides reach what starts in the first 4 GiB of such a memory.
pub extern "C" fn sandbox_set_memory64(s: WasmSandbox, memory64: i64) -> i64 {
    guard(0, || {
        let memory64 = flag(memory64, "memory64")?;
        sandbox::configure(s.handle, |config| config.with_memory64(memory64))?;
        Ok(1)
    })
}

/// Gives a module that imports a memory `env.memory`, as `wasm-ld --import-memory` writes it, a memory of its own (1), or
/// refuses it (0), as by default. Returns 1 on success, 0 on failure. Affects plugins that are loaded afterwards.
///
/// Each instance has a new memory, which is limited and counted as one that the module defines.
pub extern "C" fn sandbox_set_imported_memory(s: WasmSandbox, imported_memory: i64) -> i64 {
    guard(0, || {
        let imported_memory = flag(imported_memory, "imported_memory")?;
        sandbox::configure(s.handle, |config| config.with_imported_memory(imported_memory))?;
        Ok(1)
    })
}

/// Sets a limit of what loading a module may take. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
///
/// The names are bytes (of the module, without its custom sections), items (of a section), elements (of all segments),
/// constant-operators, memories (and tables), params (and results), locals (of one function), total-locals, body-bytes (of
/// one function), carried-values, load-bytes (memory for loading, estimated), name-bytes. The error of a module that exceeds
/// a limit names it. The defaults are above what compilers produce.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// sandbox_set_module_limit_str(s, "bytes", 10);
/// printf("%d\n", (int)wasm_is_valid(sandbox_load(s, wasm, wasm_len)));
/// sandbox_set_module_limit_str(s, "bytes", 1 << 20);
/// printf("%d\n", (int)wasm_is_valid(sandbox_load(s, wasm, wasm_len)));
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn sandbox_set_module_limit(s: WasmSandbox, name: i64, most: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let name = unsafe { text::text(name, "name of the module limit") }?;
        let limit: ModuleLimit = name.parse().map_err(|error: ParseModuleLimitError| {
            Error::new(ErrorCode::InvalidArgument, error.to_string())
        })?;
        let most = u64::try_from(most).map_err(|_| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!("the module limit `{limit}` is {most}: pass 0 or more"),
            )
        })?;
        sandbox::configure(s.handle, |config| {
            config.with_module_limits(config.module_limits.with(limit, most))
        })?;
        Ok(1)
    })
}

fn flag(value: i64, what: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("`{what}` is {value}: pass 1 or 0"),
        )),
    }
}

/// Makes the directory `host_path` visible to plugins as `guest_path`, both UTF-8. If `writable` is 1, plugins may
/// change its contents; if it is 0, they may not. Reading also needs CAP_FS_READ, writing CAP_FS_WRITE. Returns 1 on
/// success, 0 on failure. Affects plugins that are loaded afterwards.
///
/// The directory is opened now, and never again by its path: replacing it later, or changing the working directory,
/// has no effect. If it cannot be opened, the error is DYNLOAD_ERROR_IO. If one allowed directory contains another,
/// the innermost one governs: a file that is not writable there cannot be changed through the outer directory either.
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

/// Makes the environment variable `name` visible to plugins, with `value`, or with the host's value if `value` is 0.
/// Also needs CAP_ENV. Returns 1 on success, 0 on failure. Affects plugins that are loaded afterwards.
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

/// Lets plugins communicate with the hosts that match `pattern`: `api.example.com:443`, `*.example.com:*`,
/// `127.0.0.1:8000-8010`. Also needs CAP_NETWORK. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
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

/// Lets plugins run the program at an absolute path, in UTF-8. Also needs CAP_PROCESS. Returns 1 on success, 0 on
/// failure. Affects plugins that are loaded afterwards.
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

/// Lets plugins have up to `count` workers at the same time. Also needs CAP_THREADING. Returns 1 on success, 0 on
/// failure. Affects plugins that are loaded afterwards.
pub extern "C" fn sandbox_allow_workers(s: WasmSandbox, count: i64) -> i64 {
    guard(0, || {
        let count = u32::try_from(count).map_err(|_| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!(
                    "the number of workers is {count}: pass a number from 0 to {}",
                    u32::MAX
                ),
            )
        })?;
        sandbox::widen(s.handle, |scopes| {
            scopes.max_workers = count;
            Ok(())
        })?;
        Ok(1)
    })
}

/// Lets plugins use the GPUs that match `device`: `*` (all but drivers on the processor), `cpu`, `integrated`, `discrete`,
/// `virtual`, `other`, each also with a name as in `discrete:Example 9000`, or `name:Example *`. Also needs CAP_GPU. Each
/// plugin's buffers can have `max_memory_bytes` together. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
///
/// Shaders run in processes of the program `worker`, the absolute path of `dynload-gpu-worker`, which is started now to list
/// the devices; that takes a fraction of a second. NULL keeps the worker of an earlier call. More calls add more devices; the
/// last `max_memory_bytes` takes effect. If no device matches, plugins find none. On Windows, there are no GPUs.
pub unsafe extern "C" fn sandbox_allow_gpu(
    s: WasmSandbox,
    worker: i64,
    device: i64,
    max_memory_bytes: i64,
) -> i64 {
    guard(0, || {
        let worker = match worker {
            0 => None,
            // SAFETY: the caller's promise about the text.
            _ => Some(unsafe { text::path(worker, "path of the worker") }?),
        };
        // SAFETY: the caller's promise about the text.
        let device = unsafe { text::text(device, "pattern of devices") }?.parse()?;
        let bytes = sandbox::limit(max_memory_bytes, "max_memory_bytes")?;
        sandbox::allow_gpu(s.handle, worker, device, bytes)?;
        Ok(1)
    })
}

/// Sets how much plugins can do with the GPUs: `max_invocations` of shaders in a call (2^32 if this is not called), and
/// `max_shader_bytes` of a shader's source text (65536; at most 1048576). Returns 1 on success, 0 on failure. Affects plugins
/// that are loaded afterwards.
pub extern "C" fn sandbox_set_gpu_limits(s: WasmSandbox, max_invocations: i64, max_shader_bytes: i64) -> i64 {
    guard(0, || {
        let invocations = sandbox::limit(max_invocations, "max_invocations")?;
        let bytes = sandbox::limit(max_shader_bytes, "max_shader_bytes")?;
        sandbox::widen(s.handle, |scopes| {
            scopes.gpu.max_invocations = invocations;
            scopes.gpu.max_shader_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            Ok(())
        })?;
        Ok(1)
    })
}

/// Sets the arguments of WASI programs: `argc` addresses of texts at `argv`. By convention, the first is the name of
/// the program. Returns 1 on success, 0 on failure. Affects plugins that are loaded afterwards.
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

/// Sets a value of the configuration of plugins, or removes it if `value` is 0. Returns 1 on success, 0 on failure. Affects
/// plugins that are loaded afterwards.
///
/// A plugin reads it with the import `vais.config_get (i32 key, i32 key_len, i32 buffer, i32 buffer_len) -> i32`, which copies
/// as much of the value as fits and returns the value's length, or -1 if there is none.
pub unsafe extern "C" fn sandbox_set_config(s: WasmSandbox, name: i64, value: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the texts.
        let name = unsafe { text::text(name, "name of the value") }?.to_owned();
        let value = match value {
            0 => None,
            // SAFETY: the caller's promise about the texts.
            value => Some(unsafe { text::text(value, "value") }?.to_owned()),
        };
        sandbox::change(s.handle, |sandbox| {
            let mut config = sandbox.plugin_config().clone();
            match value {
                Some(value) => config.insert(name, value),
                None => config.remove(&name),
            };
            sandbox.set_plugin_config(config);
            Ok(1)
        })
    })
}

/// Sets the destination of the output of plugins: `callback`, a `dynload_console_function`, with `userdata`; or, if
/// `callback` is 0, this program's own standard output and error, up to 1 MiB for each instance. Returns 1 on
/// success, 0 on failure. Affects plugins that are loaded afterwards.
///
/// The callback runs on the thread that runs the plugin. In the callback, calls to the plugin's own instance are
/// errors.
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

/// Adds a host function for plugins, as the import `module.name` of the type `signature`: `(i32, i64) -> (i64)`, with
/// i32, i64, f32 and f64. `callback` is a `dynload_host_function`, called with `userdata`. A plugin that calls it
/// without every bit of `capability` is stopped. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
///
/// The callback runs on the thread that runs the plugin. It may call `wasm_call*`, `wasm_memory_read` and
/// `wasm_memory_write` on the instance that is passed to it, within the limits of the current call. It must not
/// throw, nor leave by `longjmp`.
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
