/* Hostile input to every function: null, stale, forged and foreign handles, texts that are not UTF-8, nonsensical lengths.
   Whatever the input, a function must fail, report it, and not crash. Arguments: a native plugin, a Wasm plugin. */
#include "check.h"

static const char *const NOT_UTF8 = "\xff\xfe\x80plugin";

/* A call that must fail: it returns its failure value and sets an error. */
#define REFUSES(call, failure)                                                                                         \
    do {                                                                                                               \
        CHECK((call) == (failure));                                                                                    \
        CHECK(get_load_error_code() != DYNLOAD_OK && get_load_error() != 0);                                           \
    } while (0)

/* Every function that accepts a sandbox, with a handle that is not one. */
static void no_sandbox(int64_t handle) {
    WasmSandbox s = {handle, -1};
    int64_t seven = ADDRESS("\0asm\1\0\0\0");
    REFUSES(sandbox_grant(s, CAP_TIME).handle, 0);
    REFUSES(sandbox_revoke(s, CAP_TIME).handle, 0);
    REFUSES(sandbox_load(s, seven, 8).handle, 0);
    REFUSES(sandbox_set_fuel(s, 1), 0);
    REFUSES(sandbox_set_profile(s, 1), 0);
    REFUSES(sandbox_set_memory64(s, 1), 0);
    REFUSES(sandbox_set_imported_memory(s, 1), 0);
    REFUSES(sandbox_set_config_str(s, "name", "value"), 0);
    REFUSES(sandbox_set_module_limit_str(s, "locals", 1), 0);
    REFUSES(sandbox_allow_dir_str(s, "/tmp", "/t", 0), 0);
    REFUSES(sandbox_allow_env_str(s, "A", NULL), 0);
    REFUSES(sandbox_allow_net_str(s, "localhost:80"), 0);
    REFUSES(sandbox_allow_program_str(s, "/bin/true"), 0);
    REFUSES(sandbox_allow_workers(s, 1), 0);
    REFUSES(sandbox_allow_gpu_str(s, "/bin/true", "*", 1), 0);
    REFUSES(sandbox_set_gpu_limits(s, 1, 1), 0);
    REFUSES(sandbox_set_args(s, 0, 0), 0);
    REFUSES(sandbox_set_console(s, 0, 0), 0);
    REFUSES(sandbox_host_function(s, TEXT("m"), TEXT("n"), TEXT("i32"), 0, 0, 0), 0);
    REFUSES(sandbox_destroy(s), 0);
    REFUSES(vais_wasm_sandbox_destroy(handle), 0);
    REFUSES(vais_wasm_grant_capability(handle, 1), 0);
    REFUSES(vais_wasm_revoke_capability(handle, 1), 0);
    REFUSES(vais_wasm_capabilities(handle), -1);
    REFUSES(vais_wasm_load(handle, seven, 8), 0);
}

/* Every function that accepts an instance, with a handle that is not one. */
static void no_instance(int64_t handle) {
    WasmInstance p = {handle, handle};
    char buffer[8];
    int64_t one = 1;
    CHECK(wasm_is_valid(p) == 0 && vais_wasm_is_valid(handle) == 0);
    REFUSES(wasm_call_str(p, "answer"), 0);
    REFUSES(wasm_call1_str(p, "process", 1), 0);
    REFUSES(wasm_call2_str(p, "add", 1, 1), 0);
    REFUSES(wasm_call_n_str(p, "answer", NULL, 0, &one, 1), DYNLOAD_ERROR_INVALID_HANDLE);
    REFUSES(wasm_call_bytes_str(p, "shout", "x", 1), 0);
    REFUSES(wasm_call_bytes_n(p, TEXT("shout"), 0, 0, 0), 0);
    REFUSES(wasm_bytes_size(handle), -1);
    if (handle != 0) REFUSES(wasm_bytes_free(handle), 0);
    REFUSES(wasm_fuel_used(p), -1);
    REFUSES(wasm_peak_memory(p), -1);
    REFUSES(wasm_peak_stack(p), -1);
    REFUSES(wasm_peak_depth(p), -1);
    REFUSES(wasm_gpu_memory(p), -1);
    REFUSES(wasm_memory_read(p, 0, ADDRESS(buffer), 8), 0);
    REFUSES(wasm_memory_write(p, 0, ADDRESS(buffer), 8), 0);
    CHECK(wasm_interrupt(p) == 0);
    REFUSES(wasm_reset(p), 0);
    REFUSES(wasm_instance_destroy(p), 0);
    REFUSES(vais_wasm_call_i64(handle, TEXT("answer")), 0);
    REFUSES(vais_wasm_call_i64_i64(handle, TEXT("process"), 1), 0);
    REFUSES(vais_wasm_call_i64_i64_i64(handle, TEXT("add"), 1, 1), 0);
    REFUSES(vais_wasm_instance_sandbox(handle), 0);
}

/* Every function that accepts a plugin system, with a handle that is not one. */
static void no_plugins(int64_t handle) {
    REFUSES(plugins_set_config_str(handle, "id", "name", "value"), 0);
    REFUSES(plugins_set_limits(handle, default_limits()), 0);
    REFUSES(plugins_refresh(handle), 0);
    REFUSES(plugins_watch(handle, 100), 0);
    REFUSES(plugins_call_bytes(handle, TEXT("id"), TEXT("name"), 0, 0), 0);
    REFUSES(plugins_call_bytes_n(handle, TEXT("id"), TEXT("name"), 0, 0, 0), 0);
    REFUSES(plugins_next_event(handle), 0);
    REFUSES(plugins_close(handle), 0);
}

/* Calls that are refused before anything is called. */
static void no_call(void) {
    int64_t arguments[9] = {0};
    int64_t function = (int64_t)(intptr_t)no_call;
    REFUSES(vais_call(0, ADDRESS(arguments), 1), 0);
    REFUSES(vais_call(function, ADDRESS(arguments), 9), 0);
    REFUSES(vais_call(function, ADDRESS(arguments), -1), 0);
    REFUSES(vais_call(function, ADDRESS(arguments) + 1, 1), 0);
    REFUSES(vais_call(function, 0, 1), 0);
}

/* Every function that accepts a hot reloader, with a handle that is not one. */
static void no_reloader(int64_t handle) {
    HotReloader r = {handle, 1, 1};
    REFUSES(hot_reloader_start(r).handle, 0);
    REFUSES(hot_reloader_stop(r).handle, 0);
    REFUSES(hot_reloader_check(r), 0);
    REFUSES(hot_reloader_version(r), 0);
    REFUSES(hot_reloader_module(r).handle, 0);
    REFUSES(hot_reloader_get_function_str(r, "f"), 0);
    REFUSES(hot_reloader_wasm(r).handle, 0);
    REFUSES(hot_reloader_sandbox(r).handle, 0);
    REFUSES(hot_reloader_destroy(r), 0);
    REFUSES(vais_hot_reload_start(handle), -1);
    REFUSES(vais_hot_reload_stop(handle), 0);
    REFUSES(vais_hot_reload_check(handle), 0);
    REFUSES(vais_hot_reload_get_version(handle), 0);
    REFUSES(vais_hot_reload_is_running(handle), 0);
    REFUSES(vais_hot_reload_destroy(handle), 0);
}

/* Every function that accepts a module, with a handle that is not one. */
static void no_module(int64_t handle, int64_t path) {
    ModuleHandle m = {handle, path, 1, 1};
    REFUSES(get_function_str(m, "add"), 0);
    REFUSES(get_function_in_scope_str(m, "add"), 0);
    REFUSES(reload_module(m).handle, 0);
    REFUSES(unload_module(m), 0);
    REFUSES(vais_module_symbol(handle, path, TEXT("add")), 0);
    REFUSES(vais_module_symbol_in_scope(handle, path, TEXT("add")), 0);
    REFUSES(vais_module_reload(handle, path), 0);
    REFUSES(vais_module_unload(handle, path), 0);
    if (path == 0) {
        REFUSES(vais_module_path(handle), 0);
        REFUSES(vais_module_version(handle), 0);
    }
}

/* Every function that accepts a list of plugins, with a handle that is not one. */
static void no_list(int64_t handle) {
    PluginList list = {handle, 1};
    REFUSES(plugin_id(list, 0), 0);
    REFUSES(plugin_name(list, 0), 0);
    REFUSES(plugin_version(list, 0), 0);
    REFUSES(plugin_path(list, 0), 0);
    REFUSES(plugin_format(list, 0), 0);
    REFUSES(plugin_capabilities(list, 0), -1);
    REFUSES(plugin_problem_count(list), -1);
    REFUSES(plugin_problem(list, 0), 0);
    REFUSES(plugin_set_config_str(list, 0, "name", "value"), 0);
    REFUSES(plugin_admit(list, 0, (WasmSandbox){0, 0}), 0);
    REFUSES(plugin_load_module(list, 0).handle, 0);
    REFUSES(plugin_list_destroy(list), 0);
    REFUSES(vais_plugin_count(handle), -1);
}

/* Every function that accepts a text, with one that is not. Paths may have any bytes, but none of these exists. */
static void no_text(WasmSandbox s, WasmInstance p, ModuleHandle m, HotReloader r, int64_t text) {
    int64_t good = TEXT("good");
    REFUSES(load_module(text).handle, 0);
    REFUSES(load_module_lazy(text).handle, 0);
    REFUSES(get_function(m, text), 0);
    REFUSES(get_function_in_scope(m, text), 0);
    REFUSES(load_wasm_file(text), 0);
    if (text == 0) REFUSES(is_plugin_library(text), 0);
    REFUSES(sandbox_set_module_limit(s, text, 1), 0);
    REFUSES(sandbox_allow_dir(s, text, good, 0), 0);
    REFUSES(sandbox_allow_dir(s, good, text, 0), 0);
    REFUSES(sandbox_allow_env(s, text, good), 0);
    if (text != 0) REFUSES(sandbox_allow_env(s, good, text), 0);
    REFUSES(sandbox_allow_net(s, text), 0);
    REFUSES(sandbox_allow_program(s, text), 0);
    REFUSES(sandbox_allow_gpu(s, text, text, 1), 0);
    int64_t args[1];
    args[0] = text;
    REFUSES(sandbox_set_args(s, ADDRESS(args), 1), 0);
    REFUSES(sandbox_host_function(s, text, good, TEXT("i32"), ADDRESS(args), 0, 0), 0);
    REFUSES(sandbox_host_function(s, good, text, TEXT("i32"), ADDRESS(args), 0, 0), 0);
    REFUSES(sandbox_host_function(s, good, good, text, ADDRESS(args), 0, 0), 0);
    REFUSES(wasm_call(p, text), 0);
    REFUSES(wasm_call1(p, text, 1), 0);
    REFUSES(wasm_call2(p, text, 1, 1), 0);
    REFUSES(wasm_call_n(p, text, 0, 0, 0, 0), DYNLOAD_ERROR_INVALID_ARGUMENT);
    REFUSES(hot_reloader_get_function(r, text), 0);
    if (text == 0) {
        REFUSES(hot_reloader_new(text).handle, 0);
        REFUSES(discover_plugins_in(text).handle, 0);
    }
    REFUSES(vais_module_load(text, 2), 0);
    REFUSES(vais_wasm_call_i64(p.handle, text), 0);
}

/* Nonsensical lengths and numbers. */
static void no_number(WasmSandbox s, WasmInstance p, int64_t number) {
    char buffer[16] = "";
    int64_t results[2] = {0, 0};
    REFUSES(sandbox_load(s, ADDRESS(buffer), number).handle, 0);
    REFUSES(wasm_required_capabilities(ADDRESS(buffer), number), -1);
    REFUSES(wasm_memory_read(p, 0, ADDRESS(buffer), number), 0);
    REFUSES(wasm_memory_write(p, 0, ADDRESS(buffer), number), 0);
    REFUSES(wasm_memory_read(p, number, ADDRESS(buffer), 1), 0);
    REFUSES(wasm_memory_write(p, number, ADDRESS(buffer), 1), 0);
    CHECK(wasm_call_n_str(p, "answer", results, number, results, 1) != DYNLOAD_OK);
    CHECK(wasm_call_n_str(p, "answer", results, 0, results, number) != DYNLOAD_OK);
    REFUSES(sandbox_set_args(s, ADDRESS(results), number), 0);
    REFUSES(get_wasm_size(number), 0);
    REFUSES(free_wasm_file(number), 0);
    REFUSES(vais_module_load(TEXT("x.so"), number), 0);
    if (number < -1) REFUSES(sandbox_set_fuel(s, number), 0);
    if (number < 0) {
        ResourceLimits limits = default_limits();
        limits.max_call_depth = number;
        REFUSES(sandbox_with_limits(limits).handle, 0);
        REFUSES(sandbox_allow_workers(s, number), 0);
        REFUSES(sandbox_set_gpu_limits(s, number, 1), 0);
        REFUSES(sandbox_set_gpu_limits(s, 1, number), 0);
    }
    CHECK(sandbox_grant(s, number).handle == s.handle && get_load_error_code() != DYNLOAD_OK);
    CHECK(add_capability(5, number) == 5 && get_load_error_code() != DYNLOAD_OK);
    CHECK(has_capability(number, number) == 0);
    CHECK(get_load_error_copy(0, number) > 0);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    int64_t wasm = load_wasm_file_str(argv[2]);
    WasmSandbox s = sandbox_new();
    WasmInstance p = sandbox_load(s, wasm, get_wasm_size(wasm));
    ModuleHandle m = load_module_str(argv[1]);
    HotReloader r = hot_reloader_new_str("nothing.c");
    PluginList list = discover_plugins_in_str("/nowhere");
    CHECK(p.handle != 0 && m.handle != 0 && r.handle != 0 && list.handle != 0);

    /* Stale handles: destroyed, and their slots reused. */
    WasmSandbox stale_s = sandbox_new();
    WasmInstance stale_p = sandbox_load(stale_s, wasm, get_wasm_size(wasm));
    HotReloader stale_r = hot_reloader_new_str("nothing.c");
    PluginList stale_list = discover_plugins_in_str("/nowhere");
    ModuleHandle stale_m = load_module_str(argv[1]);
    sandbox_destroy(stale_s);
    hot_reloader_destroy(stale_r);
    plugin_list_destroy(stale_list);
    stale_m = reload_module(stale_m);
    unload_module(stale_m);
    WasmSandbox again_s = sandbox_new();
    WasmInstance again_p = sandbox_load(again_s, wasm, get_wasm_size(wasm));
    HotReloader again_r = hot_reloader_new_str("nothing.c");
    PluginList again_list = discover_plugins_in_str("/nowhere");
    CHECK(again_s.handle != stale_s.handle && again_p.handle != stale_p.handle);
    CHECK(again_r.handle != stale_r.handle && again_list.handle != stale_list.handle);

    const int64_t forged[] = {0, 1, -1, 42, INT64_MIN, INT64_MAX, INT64_C(1) << 56, INT64_C(2) << 56, INT64_C(3) << 56,
                              INT64_C(4) << 56, INT64_C(0x0100000010ffffff), INT64_C(0x02fffffffffffff0), ADDRESS(&s),
                              s.handle + 1000, p.handle + 1000, r.handle + 1000, -s.handle, -p.handle};
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
        no_sandbox(forged[i]);
        no_instance(forged[i]);
        no_reloader(forged[i]);
        no_list(forged[i]);
        no_plugins(forged[i]);
        no_module(forged[i], 0);
        no_module(forged[i], m.path);
    }
    no_call();
    no_sandbox(stale_s.handle);
    no_instance(stale_p.handle);
    no_reloader(stale_r.handle);
    no_list(stale_list.handle);
    no_module(stale_m.handle, stale_m.path);
    /* Handles of another kind. */
    const int64_t others[] = {p.handle, r.handle, list.handle, m.handle, wasm};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        no_sandbox(others[i]);
        no_plugins(others[i]);
    }
    const int64_t not_p[] = {s.handle, r.handle, list.handle, m.handle, wasm};
    for (size_t i = 0; i < sizeof not_p / sizeof *not_p; i++) no_instance(not_p[i]);
    const int64_t not_r[] = {s.handle, p.handle, list.handle, m.handle, wasm};
    for (size_t i = 0; i < sizeof not_r / sizeof *not_r; i++) no_reloader(not_r[i]);
    const int64_t not_list[] = {s.handle, p.handle, r.handle, m.handle, wasm};
    for (size_t i = 0; i < sizeof not_list / sizeof *not_list; i++) no_list(not_list[i]);
    const int64_t not_m[] = {s.handle, p.handle, r.handle, list.handle, wasm};
    for (size_t i = 0; i < sizeof not_m / sizeof *not_m; i++) no_module(not_m[i], 0);
    /* The right handle with the wrong path. */
    ModuleHandle wrong = m;
    wrong.path = ADDRESS("other");
    REFUSES(get_function_str(wrong, "add"), 0);
    REFUSES(unload_module(wrong), 0);
    /* A handle from dlopen that did not come from load_module. */
    void *self = dlopen(NULL, RTLD_NOW);
    no_module((int64_t)(intptr_t)self, 0);
    dlclose(self);

    no_text(s, p, m, r, 0);
    no_text(s, p, m, r, TEXT(NOT_UTF8));
    const int64_t numbers[] = {-1, -2, INT64_MIN, INT64_MAX, INT64_MAX - 7, -4096, INT64_C(1) << 62};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) no_number(s, p, numbers[i]);

    /* Valid objects still work. */
    CHECK(wasm_call2_str(p, "add", 40, 2) == 42 && wasm_call2_str(again_p, "add", 1, 1) == 2);
    CHECK(((int64_t(*)(int64_t, int64_t))(intptr_t)get_function_str(m, "add"))(20, 22) == 42);
    CHECK(hot_reloader_destroy(r) == 1 && hot_reloader_destroy(again_r) == 1);
    CHECK(plugin_list_destroy(list) == 1 && plugin_list_destroy(again_list) == 1);
    CHECK(unload_module(m) == 1 && sandbox_destroy(s) == 1 && sandbox_destroy(again_s) == 1 && free_wasm_file(wasm) == 1);
    printf("%d failures\n", failures);
    return failures != 0;
}
