/* The definitions that the examples of the header rely on. */
#include <dynload.h>
#include <stdio.h>

static const char *library_path, *wasm_path, *source_path, *plugin_dir;
static int64_t wasm, wasm_len, wasm_with_import, wasm_with_import_len;

static int64_t twice(int64_t userdata, int64_t instance, const int64_t *args, int64_t nargs, int64_t *results,
                     int64_t nresults) {
    (void)userdata, (void)instance, (void)nargs, (void)nresults;
    results[0] = 2 * args[0];
    return 0;
}

static void start(int argc, char **argv) {
    if (argc != 6) exit(2);
    library_path = argv[1];
    wasm_path = argv[2];
    source_path = argv[4];
    plugin_dir = argv[5];
    wasm = load_wasm_file_str(argv[2]);
    wasm_len = get_wasm_size(wasm);
    wasm_with_import = load_wasm_file_str(argv[3]);
    wasm_with_import_len = get_wasm_size(wasm_with_import);
}

