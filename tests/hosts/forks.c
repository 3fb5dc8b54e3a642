/* What a child of fork can do if no other thread was inside the library: everything keeps working in both processes, including
   time limits. Arguments: a native plugin, a Wasm plugin. */
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

static WasmSandbox sandbox;
static WasmInstance plugin;
static ModuleHandle module;
static int64_t wasm;

static void use(void) {
    CHECK(wasm_call_str(plugin, "answer") == 42);
    CHECK(get_function_str(module, "add") != 0);
    WasmInstance another = sandbox_load(sandbox, wasm, get_wasm_size(wasm));
    CHECK(wasm_call2_str(another, "add", 40, 2) == 42);
    /* The time limit works in the child too. */
    CHECK(wasm_call_str(another, "spin") == 0);
    FAILS(DYNLOAD_ERROR_TIME_LIMIT);
    CHECK(wasm_instance_destroy(another) == 1);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    ResourceLimits limits = default_limits();
    limits.max_time_ms = 100;
    sandbox = sandbox_with_limits(limits);
    module = load_module_str(argv[1]);
    wasm = load_wasm_file_str(argv[2]);
    plugin = sandbox_load(sandbox, wasm, get_wasm_size(wasm));
    FINE;
    use();
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        if (child == 0) {
            use();
            CHECK(unload_module(module) == 1 && sandbox_destroy(sandbox) == 1);
            _exit(failures);
        }
        int status = -1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
        use();
    }
    CHECK(unload_module(module) == 1 && sandbox_destroy(sandbox) == 1);
    printf("%d failures\n", failures);
    return failures != 0;
}
