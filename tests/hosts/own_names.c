/* A program that defines flat functions itself, as a compiled Vais program does, and uses the primitives. Argument: a Wasm
   plugin. */
#define DYNLOAD_ONLY_PRIMITIVES
#include <dynload.h>
#include <stdio.h>

static int used;

/* Another type, so that a mix-up cannot go unnoticed. */
int64_t sandbox_new(int64_t limit);
int64_t sandbox_new(int64_t limit) {
    used++;
    return limit;
}

const char *get_load_error(void);
const char *get_load_error(void) {
    used++;
    return "mine";
}

double wasm_call2(double a, double b);
double wasm_call2(double a, double b) {
    used++;
    return a / b;
}

int load_module = 7; /* not even a function */

/* A struct with its own layout, too. */
typedef struct WasmSandbox {
    double share;
} WasmSandbox;

/* This one is the library's: a program may define only some of the names. */
int64_t has_dangerous_capabilities(int64_t caps);

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int64_t bytes = vais_wasm_file_load((int64_t)(intptr_t)argv[1]);
    int64_t sandbox = vais_wasm_sandbox_create();
    int64_t plugin = vais_wasm_load(sandbox, bytes, vais_wasm_file_size(bytes));
    printf("primitive %d\n", (int)vais_wasm_call_i64_i64_i64(plugin, (int64_t)(intptr_t) "add", 40, 2));
    vais_wasm_call_i64(plugin, (int64_t)(intptr_t) "no such function");
    printf("error %d, none of mine used: %d\n", (int)vais_load_error_code(), used == 0);
    WasmSandbox half = {0.5};
    printf("mine %d %s %.1f %d %.1f\n", (int)sandbox_new(3), get_load_error(), wasm_call2(3, 2), load_module, half.share);
    printf("theirs %d\n", (int)has_dangerous_capabilities(CAP_ENV));
    vais_wasm_sandbox_destroy(sandbox);
    vais_wasm_file_free(bytes);
    return 0;
}
