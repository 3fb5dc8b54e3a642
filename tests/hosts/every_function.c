/* Calls every function of the header with good and with bad arguments. Arguments: a native plugin, a Wasm plugin, one that
   imports env.twice, a C source with `answer`, a Wasm source, a directory of plugins. */
#include "check.h"

static char console[256];

static void on_console(int64_t userdata, int64_t stream, const uint8_t *bytes, int64_t len) {
    CHECK(userdata == 5);
    CHECK(stream == 1);
    size_t used = strlen(console);
    CHECK(used + (size_t)len < sizeof console);
    memcpy(console + used, bytes, (size_t)len);
}

/* Doubles its argument by calling back into the guest, and accesses the guest's memory. */
static int64_t twice(int64_t userdata, int64_t instance, const int64_t *args, int64_t nargs, int64_t *results,
                     int64_t nresults) {
    CHECK(userdata == 7 && nargs == 1 && nresults == 1);
    if (args[0] < 0) return 3;
    WasmInstance guest = {instance, 0};
    CHECK(wasm_is_valid(guest) == 1);
    char text[6];
    CHECK(wasm_memory_read(guest, 0, ADDRESS(text), 5) == 1);
    FINE;
    text[5] = '\0';
    CHECK(strcmp(text, "guest") == 0);
    CHECK(wasm_memory_write(guest, 0, ADDRESS("GUEST"), 5) == 1);
    results[0] = 2 * (wasm_call1_str(guest, "inner", args[0]) - 1);
    FINE;
    int64_t out[1];
    CHECK(wasm_call_n_str(guest, "inner", args, 1, out, 1) == DYNLOAD_OK && out[0] == args[0] + 1);
    /* A bad call back into the guest is an error, and the outer call continues. */
    CHECK(wasm_call_str(guest, "no such function") == 0);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(wasm_call_str(guest, "inner") == 0);
    FAILS(DYNLOAD_ERROR_SIGNATURE);
    CHECK(wasm_reset(guest) == 0);
    FAILS(DYNLOAD_ERROR_BUSY);
    CHECK(wasm_fuel_used(guest) == -1);
    FAILS(DYNLOAD_ERROR_BUSY);
    return 0;
}

/* Functions whose result shows which arguments they got. */
static int64_t with_0(void) { return 0; }
static int64_t with_1(int64_t a) { return 1 + 10 * a; }
static int64_t with_2(int64_t a, int64_t b) { return 2 + 10 * a + 100 * b; }
static int64_t with_3(int64_t a, int64_t b, int64_t c) { return 3 + 10 * a + 100 * b + 1000 * c; }
static int64_t with_4(int64_t a, int64_t b, int64_t c, int64_t d) { return 4 + 10 * a + 100 * b + 1000 * c + 10000 * d; }
static int64_t with_5(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e) { return 5 + 10 * a + 100 * b + 1000 * c + 10000 * d + 100000 * e; }
static int64_t with_6(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f) { return 6 + 10 * a + 100 * b + 1000 * c + 10000 * d + 100000 * e + 1000000 * f; }
static int64_t with_7(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, int64_t g) { return 7 + 10 * a + 100 * b + 1000 * c + 10000 * d + 100000 * e + 1000000 * f + 10000000 * g; }
static int64_t with_8(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, int64_t g, int64_t h) { return 8 + 10 * a + 100 * b + 1000 * c + 10000 * d + 100000 * e + 1000000 * f + 10000000 * g + 100000000 * h; }

/* Changes the array of its own arguments. */
static int64_t clears(int64_t array, int64_t n) {
    for (int64_t i = 0; i < n; i++) ((int64_t *)(intptr_t)array)[i] = 0;
    return array;
}

/* Fails, and so sets the error. */
static int64_t fails_inside(void) { return load_module_str("/nowhere").handle; }

static void calls_by_address(void) {
    const int64_t arguments[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const int64_t functions[] = {
        (int64_t)(intptr_t)with_0, (int64_t)(intptr_t)with_1, (int64_t)(intptr_t)with_2, (int64_t)(intptr_t)with_3,
        (int64_t)(intptr_t)with_4, (int64_t)(intptr_t)with_5, (int64_t)(intptr_t)with_6, (int64_t)(intptr_t)with_7,
        (int64_t)(intptr_t)with_8,
    };
    const int64_t results[] = {0, 11, 212, 3213, 43214, 543215, 6543216, 76543217, 876543218};
    for (int64_t n = 0; n <= 8; n++) {
        CHECK(vais_call(functions[n], ADDRESS(arguments), n) == results[n]);
        FINE;
    }
    int64_t own[2] = {0, 2};
    own[0] = ADDRESS(own);
    CHECK(vais_call((int64_t)(intptr_t)clears, ADDRESS(own), 2) == ADDRESS(own));
    CHECK(own[0] == 0 && own[1] == 0);
    FINE;
    CHECK(vais_call((int64_t)(intptr_t)fails_inside, 0, 0) == 0);
    FINE;
}

static void bytes(WasmInstance plugin, WasmSandbox s, int64_t wasm) {
    const char *loud = wasm_call_text(plugin, "shout", "hello");
    FINE;
    CHECK(strcmp(loud, "HELLO") == 0 && wasm_bytes_size(ADDRESS(loud)) == 5);
    int64_t empty = wasm_call_bytes_str(plugin, "shout", NULL, 0);
    CHECK(empty != 0 && wasm_bytes_size(empty) == 0 && *dynload_text(empty) == 0);
    CHECK(wasm_bytes_free(ADDRESS(loud)) == 1 && wasm_bytes_free(empty) == 1);
    CHECK(wasm_bytes_size(empty) == -1);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    int64_t inputs[2] = {ADDRESS("ab"), ADDRESS("cde")}, lengths[2] = {2, 3};
    int64_t joined = wasm_call_bytes_n(plugin, ADDRESS("join"), ADDRESS(inputs), ADDRESS(lengths), 2);
    CHECK(joined != 0 && strcmp(dynload_text(joined), "abcde") == 0);
    CHECK(vais_wasm_bytes_size(joined) == 5 && vais_wasm_bytes_free(joined) == 1);
    CHECK(wasm_call_text(plugin, "refuse", "no") == NULL);
    CHECK(wasm_bytes_free(0) == 1);
    FAILS(DYNLOAD_ERROR_PLUGIN);
    CHECK(strcmp(get_load_error_str(), "`refuse` failed: no") == 0);
    CHECK(wasm_is_valid(plugin) == 1);
    CHECK(wasm_call_text(plugin, "add", "x") == NULL);
    FAILS(DYNLOAD_ERROR_SIGNATURE);
    CHECK(wasm_call_bytes_str(plugin, "shout", "x", -1) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(wasm_call_bytes_n(plugin, ADDRESS("join"), ADDRESS(inputs), 0, 2) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);

    CHECK(sandbox_set_config_str(s, "greeting", "good morning") == 1);
    CHECK(sandbox_set_config_str(s, NULL, "x") == 0);
    WasmInstance greeter = sandbox_load(s, wasm, get_wasm_size(wasm));
    const char *greeting = wasm_call_text(greeter, "greeting", "");
    CHECK(greeting != NULL && strcmp(greeting, "good morning") == 0);
    wasm_bytes_free(ADDRESS(greeting));
    CHECK(sandbox_set_config_str(s, "greeting", NULL) == 1);
    CHECK(wasm_call_text(sandbox_load(s, wasm, get_wasm_size(wasm)), "greeting", "") == NULL);
    CHECK(wasm_instance_destroy(greeter) == 1);
    FAILS(DYNLOAD_ERROR_PLUGIN);
    char text[4] = "abc";
    CHECK(get_load_error_copy(ADDRESS(text), 4) > 0 && text[0] == '`');
    FAILS(DYNLOAD_ERROR_PLUGIN);
    CHECK(sandbox_set_config_str(s, "greeting", NULL) == 1);
    CHECK(get_load_error_copy(ADDRESS(text), 4) == 0 && text[0] == 0);
}

static void modules(const char *plugin) {
    ModuleHandle none = module_handle_new();
    CHECK(none.handle == 0 && none.path == 0 && none.version == 0 && none.loaded == 0);
    CHECK(module_is_loaded(none) == 0 && module_version(none) == 0);

    ModuleHandle m = load_module_str(plugin);
    FINE;
    CHECK(module_is_loaded(m) == 1 && module_version(m) == 1 && strcmp(dynload_text(m.path), plugin) == 0);
    int64_t (*add)(int64_t, int64_t) = (int64_t (*)(int64_t, int64_t))get_function_str(m, "add");
    FINE;
    CHECK(add != NULL && add(2, 3) == 5);
    CHECK(*(int64_t *)(intptr_t)get_function_str(m, "plugin_answer") == 42);
    CHECK(get_function_str(m, "no_such_function") == 0);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(get_function_in_scope_str(m, "add") == (int64_t)(intptr_t)add);
    FINE;
    CHECK(get_function_in_scope_str(m, "no_such_function") == 0);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(module_is_loaded(m) == 1);
    FAILS(DYNLOAD_ERROR_NOT_FOUND); /* a query does not clear it */
    ModuleHandle again = reload_module(m);
    FINE;
    CHECK(module_version(again) == 2 && again.path == m.path && again.handle != m.handle);
    CHECK(get_function_str(m, "add") == 0); /* the old handle is stale */
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(add(4, 5) == 9); /* but its code stays loaded */
    CHECK(unload_module(again) == 1);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE); /* cleaning up keeps it */
    CHECK(unload_module(again) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(reload_module(again).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);

    ModuleHandle lazy = load_module_lazy_str(plugin);
    FINE;
    CHECK(module_is_loaded(lazy) == 1 && unload_module(lazy) == 1);
    CHECK(load_module_str("/no/such/file.so").handle == 0);
    CHECK(get_load_error_code() != DYNLOAD_OK);
    CHECK(load_module_lazy_str("").handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(load_module(0).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);

    char message[8];
    int64_t needed = get_load_error_copy(ADDRESS(message), sizeof message);
    CHECK(needed == (int64_t)strlen(get_load_error_str()) + 1);
    CHECK(strlen(message) == sizeof message - 1 && strncmp(message, get_load_error_str(), sizeof message - 1) == 0);
    CHECK(get_load_error_copy(0, 0) == needed && get_load_error_copy(0, 100) == needed);
    CHECK(get_load_error_copy(ADDRESS(message), -1) == needed);
}

static void capabilities(void) {
    CHECK(has_capability(CAP_CONSOLE | CAP_TIME, CAP_TIME) == 1 && has_capability(CAP_CONSOLE, CAP_TIME) == 0);
    CHECK(add_capability(CAP_CONSOLE, CAP_TIME) == 3);
    FINE;
    CHECK(add_capability(CAP_CONSOLE, 4096) == CAP_CONSOLE);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(remove_capability(3, CAP_TIME) == CAP_CONSOLE);
    CHECK(has_dangerous_capabilities(CAP_ENV) == 1 && has_dangerous_capabilities(CAP_CONSOLE | CAP_GPU) == 0);
    CHECK(has_capability(-1, 4096) == 0);
}

static void limits(void) {
    ResourceLimits usual = default_limits(), tight = restrictive_limits(), wide = permissive_limits();
    CHECK(usual.max_memory_bytes == 67108864 && usual.max_time_ms == 5000);
    CHECK(usual.max_stack_bytes == 1048576 && usual.max_call_depth == 1000);
    CHECK(tight.max_memory_bytes == 16777216 && tight.max_time_ms == 1000);
    CHECK(tight.max_stack_bytes == 262144 && tight.max_call_depth == 500);
    CHECK(wide.max_memory_bytes == 268435456 && wide.max_time_ms == 60000);
    CHECK(wide.max_stack_bytes == 4194304 && wide.max_call_depth == 5000);
}

static void sandboxes(int64_t wasm, int64_t len, int64_t imports, int64_t imports_len) {
    WasmSandbox none = {0, 0}, s = sandbox_new();
    FINE;
    CHECK(s.handle > 0 && s.capabilities == CAP_CONSOLE);
    s = sandbox_grant(s, CAP_TIME);
    FINE;
    CHECK(s.capabilities == (CAP_CONSOLE | CAP_TIME));
    WasmSandbox same = sandbox_grant(s, 1 << 20);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(same.handle == s.handle && same.capabilities == s.capabilities);
    s = sandbox_revoke(s, CAP_CONSOLE);
    FINE;
    CHECK(s.capabilities == CAP_TIME);
    CHECK(sandbox_revoke(none, CAP_TIME).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(sandbox_grant(none, CAP_TIME).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);

    CHECK(sandbox_set_fuel(s, 1000) == 1 && sandbox_set_fuel(s, -1) == 1);
    FINE;
    CHECK(sandbox_set_fuel(s, -2) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_set_profile(s, 1) == 1 && sandbox_set_profile(s, 0) == 1);
    CHECK(sandbox_set_profile(s, 2) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_set_memory64(s, 1) == 1 && sandbox_set_memory64(s, 0) == 1);
    CHECK(sandbox_set_memory64(s, 2) == 0);
    CHECK(sandbox_set_imported_memory(s, 1) == 1 && sandbox_set_imported_memory(s, 0) == 1);
    CHECK(sandbox_set_imported_memory(s, 2) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_set_module_limit_str(s, "locals", 20000) == 1);
    FINE;
    CHECK(sandbox_set_module_limit_str(s, "local", 20000) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_set_module_limit_str(s, "locals", -1) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_dir_str(s, "/tmp", "/data", 1) == 1);
    FINE;
    CHECK(sandbox_allow_dir_str(s, "/tmp", "../data", 0) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_dir_str(s, "/tmp", "/data", 0) == 0); /* a duplicate guest name */
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_dir_str(s, "/tmp/is/not/there", "/missing", 0) == 0);
    FAILS(DYNLOAD_ERROR_IO);
    CHECK(sandbox_allow_dir_str(s, "/tmp", "/missing", 0) == 1); /* the failed call left nothing behind */
    FINE;
    CHECK(sandbox_allow_env_str(s, "LANG", NULL) == 1 && sandbox_allow_env_str(s, "MODE", "test") == 1);
    FINE;
    CHECK(sandbox_allow_env_str(s, "A=B", "x") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_net_str(s, "*.example.com:443") == 1);
    FINE;
    CHECK(sandbox_allow_net_str(s, "no port") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_program_str(s, "/bin/true") == 1);
    FINE;
    CHECK(sandbox_allow_program_str(s, "true") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_workers(s, 4) == 1);
    FINE;
    CHECK(sandbox_allow_workers(s, -4) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_set_gpu_limits(s, 1000000, 1 << 20) == 1);
    FINE;
    CHECK(sandbox_set_gpu_limits(s, 1000000, (1 << 20) + 1) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_gpu_str(s, NULL, "*", 1 << 20) == 0); /* without a worker */
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_gpu_str(s, "/bin/true", "gpu", 1 << 20) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_allow_gpu_str(s, "dynload-gpu-worker", "*", 1 << 20) == 0); /* it is never searched for */
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
#ifndef _WIN32
    CHECK(sandbox_allow_gpu_str(s, "/bin/true", "*", 1 << 20) == 0);
    FAILS(DYNLOAD_ERROR_IO);
#endif
    const char *args[] = {"plugin", "--fast"};
    CHECK(sandbox_set_args_str(s, args, 2) == 1 && sandbox_set_args_str(s, NULL, 0) == 1);
    FINE;
    CHECK(sandbox_set_args_str(s, args, -1) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_set_console_fn(s, on_console, 5) == 1 && sandbox_set_console(s, 0, 0) == 1);
    FINE;
    CHECK(sandbox_set_console_fn(none, on_console, 5) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(sandbox_host_function_str(s, "env", "twice", "(i64) -> (i64)", twice, 7, CAP_NONE) == 1);
    FINE;
    CHECK(sandbox_host_function_str(s, "env", "twice", "(i65)", twice, 7, CAP_NONE) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_host_function_str(s, "env", "twice", "(i64)", NULL, 7, CAP_NONE) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);

    WasmInstance guest = sandbox_load(s, imports, imports_len);
    FINE;
    CHECK(guest.handle > 0 && guest.sandbox == s.handle);
    CHECK(wasm_call1_str(guest, "run", 21) == 42);
    FINE;
    char text[6] = "";
    CHECK(wasm_memory_read(guest, 0, ADDRESS(text), 5) == 1 && strcmp(text, "GUEST") == 0);
    CHECK(wasm_call1_str(guest, "run", -1) == 0);
    FAILS(DYNLOAD_ERROR_HOST_FUNCTION);
    CHECK(strstr(get_load_error_str(), "env.twice` returned 3") != NULL);
    CHECK(wasm_instance_destroy(guest) == 1);
    FAILS(DYNLOAD_ERROR_HOST_FUNCTION); /* cleaning up keeps it */
    CHECK(wasm_instance_destroy(guest) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);

    CHECK(sandbox_load(s, ADDRESS("no wasm"), 7).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_MODULE);
    CHECK(sandbox_load(s, wasm, len + 1).handle == 0); /* a length that is too large */
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    WasmSandbox bare = sandbox_restrictive();
    FINE;
    CHECK(bare.handle > 0 && bare.capabilities == CAP_NONE);
    CHECK(sandbox_load(bare, imports, imports_len).handle == 0);
    FAILS(DYNLOAD_ERROR_MISSING_IMPORT);
    CHECK(sandbox_destroy(bare) == 1 && sandbox_destroy(s) == 1);
    FAILS(DYNLOAD_ERROR_MISSING_IMPORT); /* cleaning up keeps it */
    CHECK(sandbox_destroy(s) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(sandbox_load(s, wasm, len).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);

    ResourceLimits limits = default_limits();
    limits.max_time_ms = -1;
    CHECK(sandbox_with_limits(limits).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
}

static void instances(int64_t wasm, int64_t len) {
    ResourceLimits limits = default_limits();
    limits.max_time_ms = 100;
    limits.max_memory_bytes = 3 * 65536;
    limits.max_call_depth = 50;
    WasmSandbox s = sandbox_with_limits(limits);
    FINE;
    CHECK(sandbox_set_console_fn(s, on_console, 5) == 1 && sandbox_set_profile(s, 1) == 1);
    WasmInstance p = sandbox_load(s, wasm, len);
    FINE;
    CHECK(wasm_is_valid(p) == 1);
    CHECK(wasm_call_str(p, "answer") == 42);
    FINE;
    CHECK(wasm_call_str(p, "nothing") == 0);
    FINE;
    CHECK(wasm_call1_str(p, "process", 21) == 42 && strcmp(console, "hello from the plugin\n") == 0);
    CHECK(wasm_call2_str(p, "add", 40, 2) == 42 && wasm_fuel_used(p) == 4);
    FINE;
    CHECK(wasm_call2_str(p, "add32", -1, -1) == -2);
    FINE;
    CHECK(wasm_call2_str(p, "add32", INT64_C(1) << 40, 0) == 0);
    FAILS(DYNLOAD_ERROR_SIGNATURE);
    CHECK(wasm_call1_str(p, "half", 1) == 0);
    FAILS(DYNLOAD_ERROR_SIGNATURE);
    CHECK(wasm_call_str(p, "anwser") == 0);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(strstr(get_load_error_str(), "did you mean `answer`?") != NULL);
    CHECK(wasm_is_valid(p) == 1);

    double half = 3.0;
    int64_t in[2] = {5, -6}, out[2] = {0, 0}, bits;
    memcpy(&bits, &half, sizeof bits);
    CHECK(wasm_call_n_str(p, "half", &bits, 1, out, 1) == DYNLOAD_OK);
    memcpy(&half, out, sizeof half);
    CHECK(half > 1.49 && half < 1.51);
    CHECK(wasm_call_n_str(p, "swap", in, 2, out, 2) == DYNLOAD_OK && out[0] == -6 && out[1] == 5);
    FINE;
    CHECK(wasm_call_n_str(p, "swap", in, 2, in, 2) == DYNLOAD_OK && in[0] == -6 && in[1] == 5);
    CHECK(wasm_call_n_str(p, "swap", in, 2, out, 1) == DYNLOAD_ERROR_SIGNATURE);
    FAILS(DYNLOAD_ERROR_SIGNATURE);
    CHECK(wasm_call_n_str(p, "swap", in, -1, out, 1) == DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(wasm_call_n_str(p, "swap", NULL, 2, out, 2) == DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(wasm_call_n_str(p, "swap", in, 2, NULL, 2) == DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(wasm_call_n_str(p, "nothing", NULL, 0, NULL, 0) == DYNLOAD_OK);

    CHECK(wasm_call1_str(p, "deep", 9) == 9 && wasm_peak_depth(p) == 10 && wasm_peak_stack(p) > 0);
    CHECK(wasm_gpu_memory(p) == 0);
    FINE;
    CHECK(wasm_peak_memory(p) == 65536);
    bytes(p, s, wasm);
    CHECK(wasm_call1_str(p, "grow", 1) == 1 && wasm_peak_memory(p) == 2 * 65536);
    CHECK(wasm_call1_str(p, "grow", 5) == -1);

    char back[6] = "";
    CHECK(wasm_memory_write(p, 16, ADDRESS("hello"), 6) == 1 && wasm_memory_read(p, 16, ADDRESS(back), 6) == 1);
    FINE;
    CHECK(strcmp(back, "hello") == 0);
    CHECK(wasm_memory_read(p, 2 * 65536 - 3, ADDRESS(back), 4) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(wasm_memory_write(p, INT64_MAX, ADDRESS(back), 1) == 0 && wasm_memory_read(p, -1, ADDRESS(back), 1) == 0);
    CHECK(wasm_memory_read(p, 0, 0, 1) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);

    CHECK(wasm_call1_str(p, "deep", 60) == 0);
    FAILS(DYNLOAD_ERROR_DEPTH_LIMIT);
    CHECK(wasm_is_valid(p) == 0);
    CHECK(wasm_call_str(p, "answer") == 0);
    FAILS(DYNLOAD_ERROR_POISONED);
    CHECK(wasm_reset(p) == 1);
    FINE;
    CHECK(wasm_is_valid(p) == 1 && wasm_call_str(p, "answer") == 42);
    CHECK(wasm_call_str(p, "spin") == 0);
    FAILS(DYNLOAD_ERROR_TIME_LIMIT);
    CHECK(wasm_reset(p) == 1 && wasm_call_str(p, "trap") == 0);
    FAILS(DYNLOAD_ERROR_TRAP);
    CHECK(wasm_reset(p) == 1 && wasm_call_str(p, "now") == 0);
    FAILS(DYNLOAD_ERROR_CAPABILITY_DENIED);
    CHECK(wasm_reset(p) == 1);
    /* Nothing runs, so nothing is interrupted. */
    CHECK(wasm_interrupt(p) == 1);
    FINE;
    CHECK(wasm_call_str(p, "answer") == 42);
    CHECK(sandbox_destroy(s) == 1);
    CHECK(wasm_is_valid(p) == 0);
    WasmInstance none = {0, 0};
    CHECK(wasm_interrupt(p) == 0 && wasm_interrupt(none) == 0 && wasm_reset(p) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(wasm_fuel_used(p) == -1 && wasm_peak_memory(p) == -1 && wasm_peak_stack(none) == -1 && wasm_peak_depth(p) == -1);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(wasm_call1_str(p, "deep", 1) == 0 && wasm_call2_str(p, "add", 1, 2) == 0 && wasm_call_str(none, "answer") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);

    /* Fuel, and no peaks without profiling. */
    s = sandbox_new();
    CHECK(sandbox_set_fuel(s, 1000) == 1);
    p = sandbox_load(s, wasm, len);
    CHECK(wasm_call_str(p, "answer") == 42 && wasm_peak_stack(p) == -1);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(wasm_call_str(p, "spin") == 0);
    FAILS(DYNLOAD_ERROR_FUEL_LIMIT);
    CHECK(sandbox_destroy(s) == 1);
}

static void files(const char *plugin, const char *wasm_path) {
    CHECK(strcmp(dynload_text(get_library_extension()), "so") == 0);
    CHECK(is_plugin_library_str(plugin) == 1 && is_plugin_library_str("x.so.1.2") == 1 && is_plugin_library_str("x.txt") == 0);
    FINE;
    CHECK(is_plugin_library(0) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    int64_t bytes = load_wasm_file_str(wasm_path);
    FINE;
    CHECK(bytes != 0 && get_wasm_size(bytes) > 8 && memcmp(dynload_text(bytes), "\0asm", 4) == 0);
    CHECK(wasm_required_capabilities(bytes, get_wasm_size(bytes)) == (CAP_CONSOLE | CAP_TIME));
    FINE;
    CHECK(wasm_required_capabilities(ADDRESS("x"), 1) == -1);
    FAILS(DYNLOAD_ERROR_INVALID_MODULE);
    CHECK(free_wasm_file(bytes) == 1);
    FAILS(DYNLOAD_ERROR_INVALID_MODULE); /* cleaning up keeps it */
    CHECK(free_wasm_file(bytes) == 0 && get_wasm_size(bytes) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(load_wasm_file_str("/no/such.wasm") == 0 && load_wasm_file_str("/tmp") == 0);
    FAILS(DYNLOAD_ERROR_IO);
}

static void hot_reload(const char *source, const char *wasm_source) {
    HotReloadConfig config = hot_reload_config_str(source);
    CHECK(config.source_path == ADDRESS(source) && config.output_dir == 0 && config.debounce_ms == 100 && config.verbose == 0);
    HotReloader r = hot_reloader_new_str(source);
    FINE;
    CHECK(r.handle > 0 && r.version == 0 && r.running == 0 && hot_reloader_version(r) == 0);
    CHECK(hot_reloader_module(r).handle == 0 && hot_reloader_get_function_str(r, "answer") == 0);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    r = hot_reloader_start(r);
    FINE;
    CHECK(r.version == 1 && r.running == 1 && hot_reloader_version(r) == 1 && hot_reloader_check(r) == 0);
    ModuleHandle m = hot_reloader_module(r);
    FINE;
    CHECK(m.loaded == 1 && m.version == 1 && strcmp(dynload_text(m.path), source) == 0);
    CHECK(get_function_str(m, "answer") == hot_reloader_get_function_str(r, "answer"));
    FINE;
    CHECK(hot_reloader_get_function_str(r, "no_such") == 0);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(reload_module(m).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(hot_reloader_wasm(r).handle == 0);
    FAILS(DYNLOAD_ERROR_SIGNATURE);
    r = hot_reloader_stop(r);
    FINE;
    CHECK(r.running == 0 && r.version == 1);
    CHECK(hot_reloader_destroy(r) == 1);
    FINE;
    CHECK(hot_reloader_destroy(r) == 0 && hot_reloader_check(r) == 0 && hot_reloader_version(r) == 0);
    CHECK(hot_reloader_start(r).handle == 0 && hot_reloader_stop(r).handle == 0 && hot_reloader_sandbox(r).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(get_function_str(m, "answer") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);

    config = hot_reload_config_str(wasm_source);
    config.debounce_ms = 10;
    r = hot_reloader_with_config(config);
    FINE;
    WasmSandbox s = hot_reloader_sandbox(r);
    FINE;
    CHECK(s.capabilities == CAP_CONSOLE && sandbox_host_function_str(s, "env", "twice", "i64 -> i64", twice, 7, 0) == 1);
    r = hot_reloader_start(r);
    FINE;
    WasmInstance guest = hot_reloader_wasm(r);
    FINE;
    CHECK(guest.sandbox == s.handle && wasm_call1_str(guest, "run", 4) == 8);
    CHECK(hot_reloader_module(r).handle == 0);
    FAILS(DYNLOAD_ERROR_SIGNATURE);
    CHECK(hot_reloader_destroy(r) == 1);
    CHECK(wasm_is_valid(guest) == 0 && sandbox_grant(s, CAP_TIME).handle == 0);
    config.debounce_ms = -1;
    CHECK(hot_reloader_with_config(config).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(hot_reloader_new(0).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    /* No source yet: it either does not run, or runs and waits for one. */
    r = hot_reloader_start(hot_reloader_new_str("/no/such/source.c"));
    CHECK(r.running == 0 || (r.running == 1 && r.version == 0));
    CHECK(get_load_error_code() != DYNLOAD_OK);
    CHECK(hot_reloader_destroy(r) == 1);
}

static void plugins(const char *dir) {
    PluginList list = discover_plugins_in_str(dir);
    FINE;
    CHECK(list.handle > 0 && list.count == 2);
    CHECK(strcmp(dynload_text(plugin_id(list, 0)), "greeter") == 0 && strcmp(dynload_text(plugin_name(list, 0)), "Greeter") == 0);
    CHECK(strcmp(dynload_text(plugin_version(list, 0)), "1.2.0") == 0 && strcmp(dynload_text(plugin_format(list, 0)), "wasm") == 0);
    CHECK(plugin_capabilities(list, 0) == (CAP_CONSOLE | CAP_TIME));
    FINE;
    CHECK(strstr(dynload_text(plugin_path(list, 0)), "greeter.wasm") != NULL);
    CHECK(strcmp(dynload_text(plugin_id(list, 1)), "lone") == 0 && *dynload_text(plugin_version(list, 1)) == '\0');
    CHECK(plugin_capabilities(list, 1) == 0);
    CHECK(plugin_problem_count(list) == 1 && strstr(dynload_text(plugin_problem(list, 0)), "plugin.toml") != NULL);
    FINE;
    CHECK(plugin_id(list, 2) == 0 && plugin_name(list, -1) == 0 && plugin_version(list, 9) == 0 && plugin_path(list, 2) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(plugin_format(list, 2) == 0 && plugin_capabilities(list, 2) == -1 && plugin_problem(list, 1) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(plugin_list_destroy(list) == 1);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT); /* cleaning up keeps it */
    CHECK(plugin_list_destroy(list) == 0 && plugin_id(list, 0) == 0 && plugin_problem_count(list) == -1);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(discover_plugins_in(0).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    list = discover_plugins_in_str("/no/such/directory");
    FINE;
    CHECK(list.count == 0 && plugin_list_destroy(list) == 1);
    list = discover_plugins();
    FINE;
    CHECK(plugin_list_destroy(list) == 1);
    CHECK(strstr(dynload_text(vais_get_user_plugin_dir()), "/.vais/plugins/") != NULL);
    CHECK(strcmp(dynload_text(vais_get_system_plugin_dir()), "/usr/local/lib/vais/plugins/") == 0);
}

static void plugin_system(const char *dir) {
    int64_t p = plugins_new_str(dir, CAP_CONSOLE | CAP_TIME);
    FINE;
    CHECK(plugins_set_config_str(p, "shout", "greeting", "good day") == 1);
    CHECK(plugins_set_limits(p, restrictive_limits()) == 1);
    CHECK(plugins_refresh(p) == 1);
    const char *event = plugins_next_event_str(p);
    CHECK(event != NULL && strcmp(event, "shout: version 1.0.0 is loaded") == 0);
    CHECK(wasm_bytes_free(ADDRESS(event)) == 1);
    CHECK(plugins_next_event(p) == 0);
    FINE;
    CHECK(plugins_set_config_str(p, "shout", "greeting", "too late") == 0);
    FAILS(DYNLOAD_ERROR_BUSY);
    const char *greeting = plugins_call_text(p, "shout", "greeting", "");
    CHECK(greeting != NULL && strcmp(greeting, "good day") == 0);
    wasm_bytes_free(ADDRESS(greeting));
    int64_t loud = plugins_call_bytes(p, ADDRESS("shout"), ADDRESS("shout"), ADDRESS("abc"), 2);
    CHECK(loud != 0 && wasm_bytes_size(loud) == 2 && strcmp(dynload_text(loud), "AB") == 0);
    wasm_bytes_free(loud);
    int64_t inputs[2] = {ADDRESS("ab"), ADDRESS("cde")}, lengths[2] = {2, 3};
    int64_t joined = plugins_call_bytes_n(p, ADDRESS("shout"), ADDRESS("join"), ADDRESS(inputs), ADDRESS(lengths), 2);
    CHECK(joined != 0 && strcmp(dynload_text(joined), "abcde") == 0);
    wasm_bytes_free(joined);
    CHECK(plugins_call_bytes_n(p, ADDRESS("shout"), ADDRESS("join"), ADDRESS(inputs), 0, 2) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(plugins_call_text(p, "shut", "shout", "") == NULL);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(plugins_call_text(p, "shout", "refuse", "never") == NULL);
    FAILS(DYNLOAD_ERROR_PLUGIN);
    CHECK(strstr(get_load_error_str(), "`refuse` failed: never") != NULL);
    CHECK(plugins_watch(p, -1) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(plugins_watch(p, 50) == 1 && plugins_refresh(p) == 1);
    CHECK(plugins_close(p) == 1 && plugins_close(p) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(plugins_new_str(dir, 1 << 20) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(plugins_new_str("", CAP_NONE) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    int64_t denied = plugins_new_str(dir, CAP_NONE);
    CHECK(plugins_call_text(denied, "shout", "shout", "") == NULL);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    const char *why = plugins_next_event_str(denied);
    CHECK(why != NULL && strstr(why, "needs console|time") != NULL);
    wasm_bytes_free(ADDRESS(why));
    CHECK(plugins_close(denied) == 1);
}

static void admissions(const char *dir) {
    PluginList list = discover_plugins_in_str(dir);
    CHECK(list.count == 2);
    CHECK(strcmp(dynload_text(plugin_id(list, 0)), "native") == 0 && strcmp(dynload_text(plugin_id(list, 1)), "wishes") == 0);

    /* A capability that the plugin needs. */
    WasmSandbox s = sandbox_restrictive();
    CHECK(plugin_admit(list, 1, s) == 0);
    FAILS(DYNLOAD_ERROR_CAPABILITY_DENIED);
    /* A required setting, one that does not exist, and one of another type. */
    s = sandbox_grant(s, CAP_CONSOLE | CAP_ENV | CAP_NETWORK | CAP_RANDOM);
    CHECK(plugin_admit(list, 1, s) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(strstr(get_load_error_str(), "`account`") != NULL);
    CHECK(plugin_set_config_str(list, 1, "acount", "ada") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(strstr(get_load_error_str(), "did you mean `account`") != NULL);
    CHECK(plugin_set_config_str(list, 1, "count", "many") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(plugin_set_config_str(list, 1, "account", "ada") == 1 && plugin_set_config_str(list, 1, "count", "7") == 1);
    FINE;
    CHECK(plugin_set_config(list, 1, ADDRESS("count"), 0) == 1);
    /* A failure changed nothing: the scopes of the host are still there, and what it does not allow is listed. */
    CHECK(sandbox_allow_env_str(s, "LANG", "C") == 1 && sandbox_allow_net_str(s, "a.example:1-9") == 1);
    CHECK(sandbox_set_config_str(s, "greeting", "good day") == 1);
    const char *missing = plugin_admit_str(list, 1, s);
    FINE;
    CHECK(missing != NULL && strcmp(missing, "the optional capabilities time are not granted\n"
                                             "the variable `HOME` is not granted\n"
                                             "the hosts `a.example:5-20` are not granted as requested") == 0);
    CHECK(wasm_bytes_free(ADDRESS(missing)) == 1);
    /* CAP_RANDOM is not requested; the limits are the lower ones. */
    CHECK(sandbox_grant(s, CAP_NONE).capabilities == (CAP_CONSOLE | CAP_ENV | CAP_NETWORK));
    int64_t wasm = load_wasm_file(plugin_path(list, 1));
    WasmInstance plugin = sandbox_load(s, wasm, get_wasm_size(wasm));
    FINE;
    CHECK(free_wasm_file(wasm) == 1);
    const char *greeting = wasm_call_text(plugin, "greeting", "");
    CHECK(greeting != NULL && strcmp(greeting, "good day") == 0);
    wasm_bytes_free(ADDRESS(greeting));
    CHECK(wasm_call1_str(plugin, "deep", 8) == 8);
    FINE;
    wasm_call1_str(plugin, "deep", 9);
    FAILS(DYNLOAD_ERROR_DEPTH_LIMIT);
    /* What runs would lose what it has. */
    CHECK(plugin_admit(list, 1, s) == 0);
    FAILS(DYNLOAD_ERROR_BUSY);
    CHECK(sandbox_destroy(s) == 1 && plugin_admit(list, 1, s) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    /* A setting of the host that the plugin does not declare. */
    s = sandbox_grant(sandbox_new(), CAP_CONSOLE);
    CHECK(sandbox_set_config_str(s, "colour", "red") == 1 && plugin_admit(list, 1, s) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_set_config(s, ADDRESS("colour"), 0) == 1);
    int64_t all = plugin_admit(list, 1, s);
    CHECK(all != 0 && wasm_bytes_size(all) > 0 && wasm_bytes_free(all) == 1);
    CHECK(plugin_admit(list, 0, s) == 0 && plugin_admit(list, 2, s) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(sandbox_destroy(s) == 1);

    /* A native plugin, whose settings are passed to it at each load. */
    int64_t (*total)(void);
    ModuleHandle m = plugin_load_module(list, 0);
    FINE;
    total = (int64_t (*)(void))get_function_str(m, "total");
    CHECK(total != NULL && total() == 1);
    CHECK(unload_module(m) == 1);
    CHECK(plugin_set_config_str(list, 0, "a", "20") == 1);
    m = plugin_load_module(list, 0);
    total = (int64_t (*)(void))get_function_str(m, "total");
    CHECK(total != NULL && total() == 20);
    m = reload_module(m);
    FINE;
    total = (int64_t (*)(void))get_function_str(m, "total");
    CHECK(module_version(m) == 2 && total != NULL && total() == 20);
    CHECK(unload_module(m) == 1);
    CHECK(plugin_set_config_str(list, 0, "a", "13") == 1 && plugin_load_module(list, 0).handle == 0);
    FAILS(DYNLOAD_ERROR_LOAD);
    CHECK(strstr(get_load_error_str(), "refused its setting `a`") != NULL);
    CHECK(plugin_load_module(list, 1).handle == 0 && plugin_load_module(list, 9).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_ARGUMENT);
    CHECK(plugin_list_destroy(list) == 1 && plugin_load_module(list, 0).handle == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
}

int main(int argc, char **argv) {
    if (argc != 9) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    int64_t wasm = load_wasm_file_str(argv[2]), imports = load_wasm_file_str(argv[3]);
    calls_by_address();
    modules(argv[1]);
    capabilities();
    limits();
    sandboxes(wasm, get_wasm_size(wasm), imports, get_wasm_size(imports));
    instances(wasm, get_wasm_size(wasm));
    files(argv[1], argv[2]);
    hot_reload(argv[4], argv[5]);
    plugins(argv[6]);
    plugin_system(argv[7]);
    admissions(argv[8]);
    CHECK(free_wasm_file(wasm) == 1 && free_wasm_file(imports) == 1);
    printf("%d failures\n", failures);
    return failures != 0;
}
