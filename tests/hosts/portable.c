/* What a host in C can do on every system: a library that is overwritten and reloaded, and a plugin with a limit of fuel.
 * Arguments: the library to load, another version of it, a Wasm plugin. */
#include <dynload.h>
#include <stdio.h>

static int copy(const char *from, const char *to) {
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    int byte = EOF;
    if (in == NULL || out == NULL) return 0;
    while ((byte = fgetc(in)) != EOF) fputc(byte, out);
    fclose(in);
    return fclose(out) == 0;
}

static int answer(ModuleHandle module) {
    int (*function)(void) = (int (*)(void))(intptr_t)get_function_str(module, "answer");
    return function == NULL ? -1 : function();
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    ModuleHandle module = load_module_str(argv[1]);
    printf("loaded %d, answer %d\n", (int)module_is_loaded(module), answer(module));
    printf("overwritten %d, answer %d\n", copy(argv[2], argv[1]), answer(module));
    module = reload_module(module);
    printf("version %d, answer %d\n", (int)module_version(module), answer(module));
    printf("no such function: %d", (int)get_function_str(module, "nothing"));
    printf(", an error %d\n", get_load_error_code() == DYNLOAD_ERROR_NOT_FOUND);
    printf("unloaded %d\n", (int)unload_module(module));

    WasmSandbox sandbox = sandbox_restrictive();
    printf("limited %d\n", (int)sandbox_set_fuel(sandbox, 1000));
    int64_t bytes = load_wasm_file_str(argv[3]);
    WasmInstance plugin = sandbox_load(sandbox, bytes, get_wasm_size(bytes));
    printf("double(21) = %d\n", (int)wasm_call1_str(plugin, "double", 21));
    printf("denied %d\n", get_load_error_code() == DYNLOAD_ERROR_CAPABILITY_DENIED);
    sandbox_grant(sandbox, CAP_CONSOLE);
    printf("reset %d\n", (int)wasm_reset(plugin));
    fflush(NULL);
    printf("double(21) = %d", (int)wasm_call1_str(plugin, "double", 21));
    printf(", fuel %d\n", (int)wasm_fuel_used(plugin));
    printf("spin() = %d", (int)wasm_call_str(plugin, "spin"));
    printf(", stopped %d\n", get_load_error_code() == DYNLOAD_ERROR_FUEL_LIMIT);
    free_wasm_file(bytes);
    return 0;
}
