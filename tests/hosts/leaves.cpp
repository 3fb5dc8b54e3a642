// A callback that does not return. Arguments: how it leaves, the export to call, a Wasm plugin whose export calls the host
// function or the console.
#include "check.h"
#include <pthread.h>
#include <stdexcept>

static const char *way;

static void leave() {
    if (strcmp(way, "throw") == 0) throw std::runtime_error("out of the callback");
    if (strcmp(way, "exit") == 0) pthread_exit(NULL);
    if (strcmp(way, "cancel") == 0) {
        pthread_cancel(pthread_self());
        pthread_testcancel();
    }
}

static int64_t function(int64_t, int64_t, const int64_t *args, int64_t, int64_t *results, int64_t) {
    leave();
    results[0] = args[0];
    return 0;
}

static void console(int64_t, int64_t, const uint8_t *, int64_t) { leave(); }

static void *run(void *argument) {
    const char *export_name = *static_cast<const char **>(argument);
    WasmSandbox s = sandbox_grant(sandbox_new(), CAP_CONSOLE);
    bool is_console = strcmp(export_name, "process") == 0;
    if (is_console) sandbox_set_console_fn(s, console, 0);
    else sandbox_host_function_str(s, "env", "twice", "i64 -> i64", function, 0, CAP_NONE);
    int64_t wasm = load_wasm_file_str(static_cast<const char **>(argument)[1]);
    WasmInstance p = sandbox_load(s, wasm, get_wasm_size(wasm));
    CHECK(p.handle != 0);
    try {
        wasm_call1_str(p, export_name, 1);
    } catch (...) {
        printf("caught by the caller\n");
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    way = argv[1];
    pthread_t thread;
    pthread_create(&thread, NULL, run, argv + 2);
    pthread_join(thread, NULL);
    printf("still here\n");
    return 0;
}
