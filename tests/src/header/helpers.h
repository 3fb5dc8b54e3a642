
/* ---- The same functions with const char * ---- */

static inline int64_t dynload_address(const void *pointer) { return (int64_t)(intptr_t)pointer; }

static inline const char *dynload_text(int64_t address) { return (const char *)(intptr_t)address; }

static inline const char *get_load_error_str(void) { return dynload_text(get_load_error()); }

static inline ModuleHandle load_module_str(const char *path) { return load_module(dynload_address(path)); }

static inline ModuleHandle load_module_lazy_str(const char *path) { return load_module_lazy(dynload_address(path)); }

static inline int64_t get_function_str(ModuleHandle m, const char *name) { return get_function(m, dynload_address(name)); }

static inline int64_t get_function_in_scope_str(ModuleHandle m, const char *name) {
    return get_function_in_scope(m, dynload_address(name));
}

static inline int64_t is_plugin_library_str(const char *path) { return is_plugin_library(dynload_address(path)); }

static inline int64_t load_wasm_file_str(const char *path) { return load_wasm_file(dynload_address(path)); }

static inline int64_t sandbox_allow_dir_str(WasmSandbox s, const char *host_path, const char *guest_path, int64_t writable) {
    return sandbox_allow_dir(s, dynload_address(host_path), dynload_address(guest_path), writable);
}

/* With a value of NULL, plugins see the host's value. */
static inline int64_t sandbox_allow_env_str(WasmSandbox s, const char *name, const char *value) {
    return sandbox_allow_env(s, dynload_address(name), dynload_address(value));
}

static inline int64_t sandbox_allow_net_str(WasmSandbox s, const char *pattern) {
    return sandbox_allow_net(s, dynload_address(pattern));
}

static inline int64_t sandbox_set_module_limit_str(WasmSandbox s, const char *name, int64_t most) {
    return sandbox_set_module_limit(s, dynload_address(name), most);
}

static inline int64_t sandbox_allow_program_str(WasmSandbox s, const char *path) {
    return sandbox_allow_program(s, dynload_address(path));
}

static inline int64_t sandbox_set_args_str(WasmSandbox s, const char *const *argv, int64_t argc) {
    return sandbox_set_args(s, dynload_address(argv), argc);
}

static inline int64_t sandbox_set_console_fn(WasmSandbox s, dynload_console_function callback, int64_t userdata) {
    return sandbox_set_console(s, (int64_t)(intptr_t)callback, userdata);
}

static inline int64_t sandbox_host_function_str(WasmSandbox s, const char *module, const char *name, const char *signature,
                                                dynload_host_function callback, int64_t userdata, int64_t capability) {
    return sandbox_host_function(s, dynload_address(module), dynload_address(name), dynload_address(signature),
                                 (int64_t)(intptr_t)callback, userdata, capability);
}

static inline int64_t wasm_call_str(WasmInstance inst, const char *name) { return wasm_call(inst, dynload_address(name)); }

static inline int64_t wasm_call1_str(WasmInstance inst, const char *name, int64_t arg) {
    return wasm_call1(inst, dynload_address(name), arg);
}

static inline int64_t wasm_call2_str(WasmInstance inst, const char *name, int64_t arg1, int64_t arg2) {
    return wasm_call2(inst, dynload_address(name), arg1, arg2);
}

static inline int64_t wasm_call_n_str(WasmInstance inst, const char *name, const int64_t *args, int64_t nargs, int64_t *results,
                                      int64_t nresults) {
    return wasm_call_n(inst, dynload_address(name), dynload_address(args), nargs, dynload_address(results), nresults);
}

static inline int64_t wasm_call_bytes_str(WasmInstance inst, const char *name, const void *input, int64_t len) {
    return wasm_call_bytes(inst, dynload_address(name), dynload_address(input), len);
}

/* Calls a function with a text. Returns its result, or NULL; free it with wasm_bytes_free. */
static inline const char *wasm_call_text(WasmInstance inst, const char *name, const char *text) {
    return dynload_text(wasm_call_bytes(inst, dynload_address(name), dynload_address(text), (int64_t)strlen(text)));
}

static inline int64_t sandbox_allow_gpu_str(WasmSandbox s, const char *worker, const char *device,
                                            int64_t max_memory_bytes) {
    return sandbox_allow_gpu(s, dynload_address(worker), dynload_address(device), max_memory_bytes);
}

static inline int64_t sandbox_set_config_str(WasmSandbox s, const char *name, const char *value) {
    return sandbox_set_config(s, dynload_address(name), dynload_address(value));
}

static inline HotReloadConfig hot_reload_config_str(const char *source_path) {
    return hot_reload_config(dynload_address(source_path));
}

static inline HotReloader hot_reloader_new_str(const char *source_path) {
    return hot_reloader_new(dynload_address(source_path));
}

static inline int64_t hot_reloader_get_function_str(HotReloader r, const char *name) {
    return hot_reloader_get_function(r, dynload_address(name));
}

static inline int64_t plugins_new_str(const char *dir, int64_t capabilities) {
    return plugins_new(dynload_address(dir), capabilities);
}

static inline int64_t plugins_set_config_str(int64_t plugins, const char *id, const char *name, const char *value) {
    return plugins_set_config(plugins, dynload_address(id), dynload_address(name), dynload_address(value));
}

/* Calls a function of a plugin with a text. Returns its result, or NULL; free it with wasm_bytes_free. */
static inline const char *plugins_call_text(int64_t plugins, const char *id, const char *name, const char *text) {
    return dynload_text(plugins_call_bytes(plugins, dynload_address(id), dynload_address(name), dynload_address(text),
                                           (int64_t)strlen(text)));
}

static inline const char *plugins_next_event_str(int64_t plugins) { return dynload_text(plugins_next_event(plugins)); }

static inline int64_t plugin_set_config_str(PluginList list, int64_t i, const char *name, const char *value) {
    return plugin_set_config(list, i, dynload_address(name), dynload_address(value));
}

static inline const char *plugin_admit_str(PluginList list, int64_t i, WasmSandbox s) {
    return dynload_text(plugin_admit(list, i, s));
}

static inline PluginList discover_plugins_in_str(const char *dir) { return discover_plugins_in(dynload_address(dir)); }
