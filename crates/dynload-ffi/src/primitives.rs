//! The primitives that the Vais compiler calls: functions named `vais_*` with only `i64` parameters and results.
//!
//! A Vais program defines `sandbox_new` and the other flat names itself, in terms of these. So they never go through
//! a flat name for C, which would be the program's own.
//!
//! # Safety
//!
//! As for the [flat functions](crate::flat).

#![allow(
    clippy::missing_safety_doc,
    reason = "all functions have the contract of this module"
)]

use crate::boundary::abi::{
    HotReloadConfig, HotReloader, PluginList, ResourceLimits, WasmInstance, WasmSandbox,
};
use crate::boundary::error::{guard, guard_partial, guard_release};
use crate::boundary::{native_call, text};
use crate::flat;
use crate::objects::{instance, module, plugins, reload, sandbox};

/// A table of primitives: each is exported under its name, and its value is the expression after the `=`.
macro_rules! primitives {
    () => {};
    (
        $(#[$attribute:meta])*
        pub extern "C" fn $name:ident($($arg:ident: i64),* $(,)?) -> i64 = $value:expr;
        $($rest:tt)*
    ) => {
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($($arg: i64),*) -> i64 {
            $value
        }
        primitives! { $($rest)* }
    };
    (
        $(#[$attribute:meta])*
        pub unsafe extern "C" fn $name:ident($($arg:ident: i64),* $(,)?) -> i64 = $value:expr;
        $($rest:tt)*
    ) => {
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: i64),*) -> i64 {
            // SAFETY: the caller keeps the contract of this module, which is that of the functions called here.
            unsafe { $value }
        }
        primitives! { $($rest)* }
    };
}

// Native modules, errors, files.
primitives! {
    /// `load_module` with the flags RTLD_NOW or RTLD_LAZY, either with RTLD_GLOBAL; the handle of the module, 0 on failure.
    pub unsafe extern "C" fn vais_module_load(path: i64, flags: i64) -> i64 =
        guard(0, || {
            let flags = module::flags(flags)?;
            Ok(module::load(text::path(path, "path of the module")?, flags)?.handle)
        });

    /// `unload_module`: 1 on success, 0 on failure. `path` is that of `vais_module_path`: together with the handle it
    /// identifies the module, because a module that is loaded later may get the same handle.
    pub unsafe extern "C" fn vais_module_unload(handle: i64, path: i64) -> i64 =
        guard_release(0, || module::unload(handle, path).map(|()| 1));

    /// `reload_module`: the handle of the new version, 0 on failure; the old one is then still good.
    pub unsafe extern "C" fn vais_module_reload(handle: i64, path: i64) -> i64 =
        guard(0, || Ok(module::reload(handle, path)?.handle));

    /// `get_function`: the address, 0 on failure.
    pub unsafe extern "C" fn vais_module_symbol(handle: i64, path: i64, name: i64) -> i64 =
        guard(0, || module::symbol(handle, path, text::c_text(name, "name of the symbol")?));

    /// `get_function_in_scope`: the address, 0 on failure.
    pub unsafe extern "C" fn vais_module_symbol_in_scope(handle: i64, path: i64, name: i64) -> i64 =
        guard(0, || module::symbol_in_scope(handle, path, text::c_text(name, "name of the symbol")?));

    /// Calls the function at `address`, which `vais_module_symbol` or `vais_hot_reload_get_function` returned, with the `nargs`
    /// arguments at `args`, at most 8. Its parameters and its result are `int64_t`. Returns its result; 0 on failure, if
    /// `vais_load_error` then returns a text.
    ///
    /// The function must return: an exception that leaves it ends the process. Its library must stay loaded meanwhile.
    pub unsafe extern "C" fn vais_call(address: i64, args: i64, nargs: i64) -> i64 =
        guard(0, || native_call::call(address, args, nargs));

    /// The path of the module that has this handle now, 0 on failure. Ask once, right after the load: a module that is loaded
    /// after an unload may have the same handle. The text stays readable; after the unload it is unchanged or empty.
    pub extern "C" fn vais_module_path(handle: i64) -> i64 = guard(0, || Ok(module::describe(handle)?.path));

    /// The version of the module that has this handle now, 0 on failure.
    pub extern "C" fn vais_module_version(handle: i64) -> i64 =
        guard(0, || Ok(module::describe(handle)?.version));

    /// `get_load_error`.
    pub extern "C" fn vais_load_error() -> i64 = flat::get_load_error();

    /// `get_load_error_code`.
    pub extern "C" fn vais_load_error_code() -> i64 = flat::get_load_error_code();

    /// `get_load_error_copy`.
    pub unsafe extern "C" fn vais_load_error_copy(buf: i64, len: i64) -> i64 =
        flat::get_load_error_copy(buf, len);

    /// `get_library_extension`.
    pub extern "C" fn vais_get_library_extension() -> i64 = flat::get_library_extension();

    /// `is_plugin_library`.
    pub unsafe extern "C" fn vais_is_plugin_library(path: i64) -> i64 = flat::is_plugin_library(path);

    /// `load_wasm_file`.
    pub unsafe extern "C" fn vais_wasm_file_load(path: i64) -> i64 = flat::load_wasm_file(path);

    /// `get_wasm_size`.
    pub extern "C" fn vais_wasm_file_size(bytes: i64) -> i64 = flat::get_wasm_size(bytes);

    /// `free_wasm_file`.
    pub extern "C" fn vais_wasm_file_free(bytes: i64) -> i64 = flat::free_wasm_file(bytes);
}

// Sandboxes.
primitives! {
    /// `sandbox_new`: the handle, 0 on failure.
    pub extern "C" fn vais_wasm_sandbox_create() -> i64 = flat::sandbox_new().handle;

    /// `sandbox_restrictive`: the handle, 0 on failure.
    pub extern "C" fn vais_wasm_sandbox_create_restrictive() -> i64 = flat::sandbox_restrictive().handle;

    /// `sandbox_with_limits`: the handle, 0 on failure.
    pub extern "C" fn vais_wasm_sandbox_create_with_limits(
        max_memory_bytes: i64,
        max_time_ms: i64,
        max_stack_bytes: i64,
        max_call_depth: i64,
    ) -> i64 =
        flat::sandbox_with_limits(ResourceLimits {
            max_memory_bytes,
            max_time_ms,
            max_stack_bytes,
            max_call_depth,
        })
        .handle;

    /// `sandbox_destroy`.
    pub extern "C" fn vais_wasm_sandbox_destroy(sandbox: i64) -> i64 =
        flat::sandbox_destroy(sandbox_of(sandbox));

    /// `sandbox_grant`: 1 on success, 0 on failure.
    pub extern "C" fn vais_wasm_grant_capability(sandbox: i64, cap: i64) -> i64 =
        guard(0, || sandbox::grant(sandbox, cap).map(|_| 1));

    /// `sandbox_revoke`: 1 on success, 0 on failure.
    pub extern "C" fn vais_wasm_revoke_capability(sandbox: i64, cap: i64) -> i64 =
        guard(0, || sandbox::revoke(sandbox, cap).map(|_| 1));

    /// What a sandbox is granted at this moment, -1 on failure.
    pub extern "C" fn vais_wasm_capabilities(sandbox: i64) -> i64 =
        guard(-1, || Ok(sandbox::bits(sandbox::granted(sandbox)?)));

    /// `sandbox_load`: the handle of the instance, 0 on failure.
    pub unsafe extern "C" fn vais_wasm_load(sandbox: i64, bytes: i64, len: i64) -> i64 =
        flat::sandbox_load(sandbox_of(sandbox), bytes, len).handle;

    /// `sandbox_set_fuel`.
    pub extern "C" fn vais_wasm_set_fuel(sandbox: i64, fuel: i64) -> i64 =
        flat::sandbox_set_fuel(sandbox_of(sandbox), fuel);

    /// `sandbox_set_profile`.
    pub extern "C" fn vais_wasm_set_profile(sandbox: i64, profile: i64) -> i64 =
        flat::sandbox_set_profile(sandbox_of(sandbox), profile);

    /// `sandbox_set_memory64`.
    pub extern "C" fn vais_wasm_set_memory64(sandbox: i64, memory64: i64) -> i64 =
        flat::sandbox_set_memory64(sandbox_of(sandbox), memory64);

    /// `sandbox_set_imported_memory`.
    pub extern "C" fn vais_wasm_set_imported_memory(sandbox: i64, imported_memory: i64) -> i64 =
        flat::sandbox_set_imported_memory(sandbox_of(sandbox), imported_memory);

    /// `sandbox_set_module_limit`.
    pub unsafe extern "C" fn vais_wasm_set_module_limit(sandbox: i64, name: i64, most: i64) -> i64 =
        flat::sandbox_set_module_limit(sandbox_of(sandbox), name, most);

    /// `sandbox_allow_dir`.
    pub unsafe extern "C" fn vais_wasm_allow_dir(
        sandbox: i64,
        host_path: i64,
        guest_path: i64,
        writable: i64,
    ) -> i64 =
        flat::sandbox_allow_dir(sandbox_of(sandbox), host_path, guest_path, writable);

    /// `sandbox_allow_env`.
    pub unsafe extern "C" fn vais_wasm_allow_env(sandbox: i64, name: i64, value: i64) -> i64 =
        flat::sandbox_allow_env(sandbox_of(sandbox), name, value);

    /// `sandbox_allow_net`.
    pub unsafe extern "C" fn vais_wasm_allow_net(sandbox: i64, pattern: i64) -> i64 =
        flat::sandbox_allow_net(sandbox_of(sandbox), pattern);

    /// `sandbox_allow_program`.
    pub unsafe extern "C" fn vais_wasm_allow_program(sandbox: i64, path: i64) -> i64 =
        flat::sandbox_allow_program(sandbox_of(sandbox), path);

    /// `sandbox_allow_workers`.
    pub extern "C" fn vais_wasm_allow_workers(sandbox: i64, count: i64) -> i64 =
        flat::sandbox_allow_workers(sandbox_of(sandbox), count);

    /// `sandbox_allow_gpu`.
    pub unsafe extern "C" fn vais_wasm_allow_gpu(sandbox: i64, worker: i64, device: i64, max_memory_bytes: i64) -> i64 =
        flat::sandbox_allow_gpu(sandbox_of(sandbox), worker, device, max_memory_bytes);

    /// `sandbox_set_gpu_limits`.
    pub extern "C" fn vais_wasm_set_gpu_limits(sandbox: i64, max_invocations: i64, max_shader_bytes: i64) -> i64 =
        flat::sandbox_set_gpu_limits(sandbox_of(sandbox), max_invocations, max_shader_bytes);

    /// `sandbox_set_config`.
    pub unsafe extern "C" fn vais_wasm_set_config(sandbox: i64, name: i64, value: i64) -> i64 =
        flat::sandbox_set_config(sandbox_of(sandbox), name, value);

    /// `sandbox_set_args`.
    pub unsafe extern "C" fn vais_wasm_set_args(sandbox: i64, argv: i64, argc: i64) -> i64 =
        flat::sandbox_set_args(sandbox_of(sandbox), argv, argc);

    /// `sandbox_set_console`.
    pub unsafe extern "C" fn vais_wasm_set_console(sandbox: i64, callback: i64, userdata: i64) -> i64 =
        flat::sandbox_set_console(sandbox_of(sandbox), callback, userdata);

    /// `sandbox_host_function`.
    pub unsafe extern "C" fn vais_wasm_host_function(
        sandbox: i64,
        module: i64,
        name: i64,
        signature: i64,
        callback: i64,
        userdata: i64,
        capability: i64,
    ) -> i64 =
        flat::sandbox_host_function(sandbox_of(sandbox), module, name, signature, callback, userdata, capability);
}

// Instances of Wasm plugins.
primitives! {
    /// `wasm_call`.
    pub unsafe extern "C" fn vais_wasm_call_i64(instance: i64, name: i64) -> i64 =
        flat::wasm_call(instance_of(instance), name);

    /// `wasm_call1`.
    pub unsafe extern "C" fn vais_wasm_call_i64_i64(instance: i64, name: i64, arg: i64) -> i64 =
        flat::wasm_call1(instance_of(instance), name, arg);

    /// `wasm_call2`.
    pub unsafe extern "C" fn vais_wasm_call_i64_i64_i64(
        instance: i64,
        name: i64,
        arg1: i64,
        arg2: i64,
    ) -> i64 =
        flat::wasm_call2(instance_of(instance), name, arg1, arg2);

    /// `wasm_call_n`.
    pub unsafe extern "C" fn vais_wasm_call_n(
        instance: i64,
        name: i64,
        args: i64,
        nargs: i64,
        results: i64,
        nresults: i64,
    ) -> i64 =
        flat::wasm_call_n(instance_of(instance), name, args, nargs, results, nresults);

    /// `wasm_call_bytes`.
    pub unsafe extern "C" fn vais_wasm_call_bytes(instance: i64, name: i64, input: i64, len: i64) -> i64 =
        flat::wasm_call_bytes(instance_of(instance), name, input, len);

    /// `wasm_call_bytes_n`.
    pub unsafe extern "C" fn vais_wasm_call_bytes_n(
        instance: i64,
        name: i64,
        inputs: i64,
        lengths: i64,
        count: i64,
    ) -> i64 =
        flat::wasm_call_bytes_n(instance_of(instance), name, inputs, lengths, count);

    /// `wasm_bytes_size`.
    pub extern "C" fn vais_wasm_bytes_size(result: i64) -> i64 = flat::wasm_bytes_size(result);

    /// `wasm_bytes_free`.
    pub extern "C" fn vais_wasm_bytes_free(result: i64) -> i64 = flat::wasm_bytes_free(result);

    /// `wasm_is_valid`.
    pub extern "C" fn vais_wasm_is_valid(instance: i64) -> i64 = flat::wasm_is_valid(instance_of(instance));

    /// `wasm_fuel_used`.
    pub extern "C" fn vais_wasm_fuel_used(instance: i64) -> i64 = flat::wasm_fuel_used(instance_of(instance));

    /// `wasm_peak_memory`.
    pub extern "C" fn vais_wasm_peak_memory(instance: i64) -> i64 =
        flat::wasm_peak_memory(instance_of(instance));

    /// `wasm_peak_stack`.
    pub extern "C" fn vais_wasm_peak_stack(instance: i64) -> i64 =
        flat::wasm_peak_stack(instance_of(instance));

    /// `wasm_peak_depth`.
    pub extern "C" fn vais_wasm_peak_depth(instance: i64) -> i64 =
        flat::wasm_peak_depth(instance_of(instance));

    /// `wasm_gpu_memory`.
    pub extern "C" fn vais_wasm_gpu_memory(instance: i64) -> i64 =
        flat::wasm_gpu_memory(instance_of(instance));

    /// `wasm_memory_read`.
    pub unsafe extern "C" fn vais_wasm_memory_read(instance: i64, offset: i64, buf: i64, len: i64) -> i64 =
        flat::wasm_memory_read(instance_of(instance), offset, buf, len);

    /// `wasm_memory_write`.
    pub unsafe extern "C" fn vais_wasm_memory_write(instance: i64, offset: i64, buf: i64, len: i64) -> i64 =
        flat::wasm_memory_write(instance_of(instance), offset, buf, len);

    /// `wasm_interrupt`.
    pub extern "C" fn vais_wasm_interrupt(instance: i64) -> i64 = flat::wasm_interrupt(instance_of(instance));

    /// `wasm_reset`.
    pub extern "C" fn vais_wasm_reset(instance: i64) -> i64 = flat::wasm_reset(instance_of(instance));

    /// `wasm_instance_destroy`.
    pub extern "C" fn vais_wasm_instance_destroy(instance: i64) -> i64 =
        flat::wasm_instance_destroy(instance_of(instance));

    /// The sandbox of an instance, 0 on failure.
    pub extern "C" fn vais_wasm_instance_sandbox(instance: i64) -> i64 =
        guard(0, || instance::sandbox_of(instance));

    /// `wasm_required_capabilities`.
    pub unsafe extern "C" fn vais_wasm_required_capabilities(bytes: i64, len: i64) -> i64 =
        flat::wasm_required_capabilities(bytes, len);
}

// Hot reload.
primitives! {
    /// `hot_reloader_new`: the handle, 0 on failure.
    pub unsafe extern "C" fn vais_hot_reload_create(source_path: i64) -> i64 =
        flat::hot_reloader_new(source_path).handle;

    /// `hot_reloader_with_config`: the handle, 0 on failure.
    pub unsafe extern "C" fn vais_hot_reload_create_with_config(
        source_path: i64,
        output_dir: i64,
        debounce_ms: i64,
        verbose: i64,
    ) -> i64 =
        flat::hot_reloader_with_config(HotReloadConfig {
            source_path,
            output_dir,
            debounce_ms,
            verbose,
        })
        .handle;

    /// `hot_reloader_start`: the version that runs, 0 if the first build failed (it runs all the same), -1 on failure.
    pub extern "C" fn vais_hot_reload_start(handle: i64) -> i64 =
        guard_partial(|_| -1, || {
            let (started, failed) = reload::start(handle)?;
            Ok((started.version, failed))
        });

    /// `hot_reloader_stop`: 1 on success, 0 on failure.
    pub extern "C" fn vais_hot_reload_stop(handle: i64) -> i64 =
        guard(0, || reload::stop(handle).map(|_| 1));

    /// `hot_reloader_check`.
    pub extern "C" fn vais_hot_reload_check(handle: i64) -> i64 =
        flat::hot_reloader_check(reloader_of(handle));

    /// `hot_reloader_version`.
    pub extern "C" fn vais_hot_reload_get_version(handle: i64) -> i64 =
        flat::hot_reloader_version(reloader_of(handle));

    /// 1 if a hot reloader is started, 0 if not.
    pub extern "C" fn vais_hot_reload_is_running(handle: i64) -> i64 =
        guard(0, || Ok(reload::describe(handle)?.running));

    /// `hot_reloader_module`: the handle of the module, 0 on failure.
    pub extern "C" fn vais_hot_reload_module(handle: i64) -> i64 =
        flat::hot_reloader_module(reloader_of(handle)).handle;

    /// `hot_reloader_get_function`.
    pub unsafe extern "C" fn vais_hot_reload_get_function(handle: i64, name: i64) -> i64 =
        flat::hot_reloader_get_function(reloader_of(handle), name);

    /// `hot_reloader_wasm`: the handle of the instance, 0 on failure.
    pub extern "C" fn vais_hot_reload_wasm(handle: i64) -> i64 =
        flat::hot_reloader_wasm(reloader_of(handle)).handle;

    /// `hot_reloader_sandbox`: the handle of the sandbox, 0 on failure.
    pub extern "C" fn vais_hot_reload_sandbox(handle: i64) -> i64 =
        flat::hot_reloader_sandbox(reloader_of(handle)).handle;

    /// `hot_reloader_destroy`.
    pub extern "C" fn vais_hot_reload_destroy(handle: i64) -> i64 =
        flat::hot_reloader_destroy(reloader_of(handle));
}

// Plugin systems.
primitives! {
    /// `plugins_new`.
    pub unsafe extern "C" fn vais_plugins_new(dir: i64, capabilities: i64) -> i64 = flat::plugins_new(dir, capabilities);

    /// `plugins_set_config`.
    pub unsafe extern "C" fn vais_plugins_set_config(plugins: i64, id: i64, name: i64, value: i64) -> i64 =
        flat::plugins_set_config(plugins, id, name, value);

    /// `plugins_set_limits`.
    pub extern "C" fn vais_plugins_set_limits(
        plugins: i64,
        max_memory_bytes: i64,
        max_time_ms: i64,
        max_stack_bytes: i64,
        max_call_depth: i64,
    ) -> i64 =
        flat::plugins_set_limits(plugins, ResourceLimits {
            max_memory_bytes,
            max_time_ms,
            max_stack_bytes,
            max_call_depth,
        });

    /// `plugins_refresh`.
    pub extern "C" fn vais_plugins_refresh(plugins: i64) -> i64 = flat::plugins_refresh(plugins);

    /// `plugins_watch`.
    pub extern "C" fn vais_plugins_watch(plugins: i64, interval_ms: i64) -> i64 = flat::plugins_watch(plugins, interval_ms);

    /// `plugins_call_bytes`.
    pub unsafe extern "C" fn vais_plugins_call_bytes(plugins: i64, id: i64, name: i64, input: i64, len: i64) -> i64 =
        flat::plugins_call_bytes(plugins, id, name, input, len);

    /// `plugins_call_bytes_n`.
    pub unsafe extern "C" fn vais_plugins_call_bytes_n(
        plugins: i64,
        id: i64,
        name: i64,
        inputs: i64,
        lengths: i64,
        count: i64,
    ) -> i64 =
        flat::plugins_call_bytes_n(plugins, id, name, inputs, lengths, count);

    /// `plugins_next_event`.
    pub extern "C" fn vais_plugins_next_event(plugins: i64) -> i64 = flat::plugins_next_event(plugins);

    /// `plugins_close`.
    pub extern "C" fn vais_plugins_close(plugins: i64) -> i64 = flat::plugins_close(plugins);
}

// Discovery.
primitives! {
    /// The user's plugin directory, `~/.vais/plugins/`, with a separator at its end; 0 where there is no home
    /// directory. The text is never freed.
    pub extern "C" fn vais_get_user_plugin_dir() -> i64 = guard(0, plugins::user_dir);

    /// The system's plugin directory, `/usr/local/lib/vais/plugins/`, with a separator at its end. The text is never freed.
    pub extern "C" fn vais_get_system_plugin_dir() -> i64 = guard(0, plugins::system_dir);

    /// `discover_plugins`: the handle of the list, 0 on failure.
    pub extern "C" fn vais_discover_plugins() -> i64 = flat::discover_plugins().handle;

    /// `discover_plugins_in`: the handle of the list, 0 on failure.
    pub unsafe extern "C" fn vais_discover_plugins_in(dir: i64) -> i64 =
        flat::discover_plugins_in(dir).handle;

    /// How many plugins are in a list, -1 on failure.
    pub extern "C" fn vais_plugin_count(list: i64) -> i64 = guard(-1, || plugins::count(list));

    /// `plugin_id`.
    pub extern "C" fn vais_plugin_id(list: i64, i: i64) -> i64 = flat::plugin_id(list_of(list), i);

    /// `plugin_name`.
    pub extern "C" fn vais_plugin_name(list: i64, i: i64) -> i64 = flat::plugin_name(list_of(list), i);

    /// `plugin_version`.
    pub extern "C" fn vais_plugin_version(list: i64, i: i64) -> i64 = flat::plugin_version(list_of(list), i);

    /// `plugin_path`.
    pub extern "C" fn vais_plugin_path(list: i64, i: i64) -> i64 = flat::plugin_path(list_of(list), i);

    /// `plugin_format`.
    pub extern "C" fn vais_plugin_format(list: i64, i: i64) -> i64 = flat::plugin_format(list_of(list), i);

    /// `plugin_capabilities`.
    pub extern "C" fn vais_plugin_capabilities(list: i64, i: i64) -> i64 =
        flat::plugin_capabilities(list_of(list), i);

    /// `plugin_problem_count`.
    pub extern "C" fn vais_plugin_problem_count(list: i64) -> i64 = flat::plugin_problem_count(list_of(list));

    /// `plugin_problem`.
    pub extern "C" fn vais_plugin_problem(list: i64, i: i64) -> i64 = flat::plugin_problem(list_of(list), i);

    /// `plugin_set_config`.
    pub unsafe extern "C" fn vais_plugin_set_config(list: i64, i: i64, name: i64, value: i64) -> i64 =
        flat::plugin_set_config(list_of(list), i, name, value);

    /// `plugin_admit`.
    pub extern "C" fn vais_plugin_admit(list: i64, i: i64, sandbox: i64) -> i64 =
        flat::plugin_admit(list_of(list), i, sandbox_of(sandbox));

    /// `plugin_load_module`: the handle of the module, 0 on failure.
    pub unsafe extern "C" fn vais_plugin_load_module(list: i64, i: i64) -> i64 =
        flat::plugin_load_module(list_of(list), i).handle;

    /// `plugin_list_destroy`.
    pub extern "C" fn vais_plugin_list_destroy(list: i64) -> i64 = flat::plugin_list_destroy(list_of(list));
}

/// The struct of a sandbox; the flat functions read its handle only.
fn sandbox_of(handle: i64) -> WasmSandbox {
    WasmSandbox {
        handle,
        capabilities: 0,
    }
}

/// The struct of an instance; the flat functions read its handle only.
fn instance_of(handle: i64) -> WasmInstance {
    WasmInstance { handle, sandbox: 0 }
}

/// The struct of a list of plugins; the flat functions read its handle only.
fn list_of(handle: i64) -> PluginList {
    PluginList { handle, count: 0 }
}

/// The struct of a hot reloader; the flat functions read its handle only.
fn reloader_of(handle: i64) -> HotReloader {
    HotReloader {
        handle,
        version: 0,
        running: 0,
    }
}
