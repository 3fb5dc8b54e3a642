
/* ---- Callbacks ---- */

/// A function that the host offers to Wasm plugins with sandbox_host_function: userdata as it was given, the handle of the
/// instance that calls (0 while it is being made), the arguments, and room for the results. Returns 0 if all is well; any other
/// number ends the call of the plugin. Integers are given and taken as they are, floats as their bits. It has to return: see
/// "Callbacks" at the beginning of this file.
typedef int64_t (*dynload_host_function)(int64_t userdata, int64_t instance, const int64_t *args, int64_t nargs,
                                         int64_t *results, int64_t nresults);

/// Where the output of Wasm plugins goes with sandbox_set_console: userdata as it was given, 1 for standard output and 2 for
/// standard error, and the bytes, which do not end with a NUL. It has to return, too.
typedef void (*dynload_console_function)(int64_t userdata, int64_t stream, const uint8_t *bytes, int64_t len);
