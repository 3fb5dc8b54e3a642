/* Calls at the edges of a program's life: from an atexit handler, from a destructor of thread-specific data, and from a
   constructor of a library that is being loaded. Arguments: a Wasm plugin, the source of a native one that starts the reloader
   that loads it, the source of one that stops it. */
#include "check.h"
#include <pthread.h>

static WasmSandbox sandbox;
static WasmInstance plugin;

static void use(void) {
    CHECK(wasm_call2_str(plugin, "add", 40, 2) == 42);
    FINE;
    CHECK(wasm_call_str(plugin, "no such function") == 0);
    FAILS(DYNLOAD_ERROR_NOT_FOUND);
    CHECK(load_module_str("/no/such/library").handle == 0);
    FAILS(DYNLOAD_ERROR_IO);
}

static void at_exit(void) {
    use();
    CHECK(sandbox_destroy(sandbox) == 1);
    printf("%d failures\n", failures);
}

static void at_end_of_thread(void *unused) {
    (void)unused;
    use();
}

static void *work(void *key) {
    use();
    CHECK(pthread_setspecific(*(pthread_key_t *)key, key) == 0);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    CHECK(atexit(at_exit) == 0);
    int64_t wasm = load_wasm_file_str(argv[1]);
    sandbox = sandbox_new();
    plugin = sandbox_load(sandbox, wasm, get_wasm_size(wasm));
    FINE;

    pthread_key_t key;
    pthread_t thread;
    CHECK(pthread_key_create(&key, at_end_of_thread) == 0);
    CHECK(pthread_create(&thread, NULL, work, &key) == 0 && pthread_join(thread, NULL) == 0);

    HotReloader r = hot_reloader_new_str(argv[2]);
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)r.handle);
    CHECK(setenv("RELOADER", number, 1) == 0);
    r = hot_reloader_start(r);
    FINE;
    CHECK(r.version == 1 && r.running == 1);
    int64_t (*code)(void) = (int64_t(*)(void))hot_reloader_get_function_str(r, "code_of_start");
    CHECK(code != NULL && code() == DYNLOAD_OK);
    CHECK(hot_reloader_destroy(r) == 1);

    r = hot_reloader_new_str(argv[3]);
    snprintf(number, sizeof number, "%lld", (long long)r.handle);
    CHECK(setenv("RELOADER", number, 1) == 0);
    r = hot_reloader_start(r);
    FAILS(DYNLOAD_ERROR_INTERRUPTED);
    CHECK(r.version == 1 && r.running == 0);
    int64_t (*stopped)(void) = (int64_t(*)(void))hot_reloader_get_function_str(r, "result_of_stop");
    CHECK(stopped != NULL && stopped() == 0);
    code = (int64_t(*)(void))hot_reloader_get_function_str(r, "code_of_stop");
    CHECK(code != NULL && code() == DYNLOAD_ERROR_BUSY);
    int64_t (*running)(void) = (int64_t(*)(void))hot_reloader_get_function_str(r, "running_after_stop");
    CHECK(running != NULL && running() == 1);
    CHECK(hot_reloader_check(r) == 0);
    CHECK(hot_reloader_stop(r).running == 0);
    FINE;
    CHECK(hot_reloader_destroy(r) == 1);
    return 0;
}
