//! The names of the flat functions for C.
//!
//! A program that defines one of these names itself must still link, against the shared library and against the
//! static one, and then every use of the name must refer to the program's own function. With a shared library,
//! linkers work that way. In a static library the names have to be weak, and stable Rust has no weak functions; so
//! there they are labels in assembly, each followed by one jump to the Rust function. `dynload-shared` and
//! `dynload-static` implement the two variants with this list.

/// Calls the macro `$then` with the names of all functions in [`flat`](crate::flat).
#[macro_export]
macro_rules! flat_names {
    ($then:ident) => {
        $then! {
            module_handle_new
            module_is_loaded
            module_version
            load_module
            load_module_lazy
            unload_module
            reload_module
            get_function
            get_function_in_scope
            default_limits
            restrictive_limits
            permissive_limits
            sandbox_new
            sandbox_restrictive
            sandbox_with_limits
            sandbox_destroy
            sandbox_grant
            sandbox_revoke
            sandbox_load
            sandbox_set_fuel
            sandbox_set_profile
            sandbox_set_memory64
            sandbox_set_imported_memory
            sandbox_set_module_limit
            sandbox_allow_dir
            sandbox_allow_env
            sandbox_allow_net
            sandbox_allow_program
            sandbox_allow_workers
            sandbox_allow_gpu
            sandbox_set_gpu_limits
            sandbox_set_args
            sandbox_set_config
            sandbox_set_console
            sandbox_host_function
            wasm_call
            wasm_call1
            wasm_call2
            wasm_call_n
            wasm_call_bytes
            wasm_call_bytes_n
            wasm_bytes_size
            wasm_bytes_free
            wasm_is_valid
            wasm_fuel_used
            wasm_peak_memory
            wasm_peak_stack
            wasm_peak_depth
            wasm_gpu_memory
            wasm_memory_read
            wasm_memory_write
            wasm_interrupt
            wasm_reset
            wasm_instance_destroy
            wasm_required_capabilities
            hot_reload_config
            hot_reloader_new
            hot_reloader_with_config
            hot_reloader_start
            hot_reloader_stop
            hot_reloader_check
            hot_reloader_version
            hot_reloader_module
            hot_reloader_get_function
            hot_reloader_wasm
            hot_reloader_sandbox
            hot_reloader_destroy
            has_capability
            add_capability
            remove_capability
            has_dangerous_capabilities
            get_library_extension
            is_plugin_library
            load_wasm_file
            get_wasm_size
            free_wasm_file
            get_load_error
            get_load_error_code
            get_load_error_copy
            plugins_new
            plugins_set_config
            plugins_set_limits
            plugins_refresh
            plugins_watch
            plugins_call_bytes
            plugins_call_bytes_n
            plugins_next_event
            plugins_close
            discover_plugins
            discover_plugins_in
            plugin_id
            plugin_name
            plugin_version
            plugin_path
            plugin_format
            plugin_capabilities
            plugin_problem_count
            plugin_problem
            plugin_set_config
            plugin_admit
            plugin_load_module
            plugin_list_destroy
        }
    };
}

/// The instruction that jumps to another function with all arguments unchanged.
#[doc(hidden)]
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
#[macro_export]
macro_rules! jump_to_target {
    () => {
        "jmp {target}"
    };
}

/// The instruction that jumps to another function with all arguments unchanged.
#[doc(hidden)]
#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
#[macro_export]
macro_rules! jump_to_target {
    () => {
        "b {target}"
    };
}

/// The instruction that jumps to another function with all arguments unchanged.
#[doc(hidden)]
#[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
#[macro_export]
macro_rules! jump_to_target {
    () => {
        "tail {target}"
    };
}
