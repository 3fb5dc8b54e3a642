
/* ---- Callbacks ---- */

/// A function that the host offers to Wasm plugins with sandbox_host_function. Its parameters are the userdata that was passed
/// there, the handle of the calling instance (0 while the instance is being created), the arguments, and space for the results.
/// Returns 0 on success; any other number ends the call of the plugin. Integers are passed as they are, floats as their bits.
/// It must return: see "Callbacks" at the beginning of this file.
typedef int64_t (*dynload_host_function)(int64_t userdata, int64_t instance, const int64_t *args, int64_t nargs,
                                         int64_t *results, int64_t nresults);

/// A function that receives the output of Wasm plugins, set with sandbox_set_console. Its parameters are the userdata that was
/// passed there, 1 for standard output or 2 for standard error, and the bytes, which do not end with a NUL. It must return, too.
typedef void (*dynload_console_function)(int64_t userdata, int64_t stream, const uint8_t *bytes, int64_t len);
