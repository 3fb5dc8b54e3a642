/* A Wasm sandbox with capabilities: the example from the specification, completed. Arguments: the plugin. */
#include <dynload.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    WasmSandbox sandbox = sandbox_restrictive();
    sandbox = sandbox_grant(sandbox, CAP_CONSOLE);
    sandbox = sandbox_grant(sandbox, CAP_TIME);
    int64_t wasm_bytes = load_wasm_file_str(argv[1]);
    int64_t wasm_len = get_wasm_size(wasm_bytes);
    WasmInstance instance = sandbox_load(sandbox, wasm_bytes, wasm_len);
    if (wasm_is_valid(instance) == 1) {
        int64_t result = wasm_call1_str(instance, "process", 42);
        printf("process(42) = %d\n", (int)result);
    } else {
        printf("%s\n", get_load_error_str());
        return 1;
    }
    /* Denied immediately after it is revoked. */
    sandbox = sandbox_revoke(sandbox, CAP_CONSOLE);
    printf("revoked: %d\n", (int)wasm_call1_str(instance, "process", 42));
    printf("%s\n", get_load_error_str());
    printf("valid %d, ", (int)wasm_is_valid(instance));
    printf("reset %d, ", (int)wasm_reset(instance));
    printf("valid %d\n", (int)wasm_is_valid(instance));
    printf("destroyed %d\n", (int)sandbox_destroy(sandbox));
    printf("valid %d\n", (int)wasm_is_valid(instance));
    free_wasm_file(wasm_bytes);
    return 0;
}
