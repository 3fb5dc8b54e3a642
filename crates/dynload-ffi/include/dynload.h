/* dynload: loading native modules, running WebAssembly plugins in a sandbox, hot reload, discovery.
 *
 * Generated from the source of dynload-ffi by `cargo xtask header`; do not edit.
 *
 * A plugin that turns a text into a text, in the file shout.c:
 *
 *     __attribute__((import_module("vais"), import_name("read_args"))) void read_args(char *to);
 *     __attribute__((import_module("vais"), import_name("set_result"))) void set_result(const char *from, int len);
 *
 *     __attribute__((export_name("shout"))) int shout(int len) {
 *         static char text[1 << 16];
 *         if (len > (int)sizeof text) {
 *             set_result("the text is too long", 20);
 *             return 1; // the result is an error
 *         }
 *         read_args(text);
 *         for (int i = 0; i < len; i++)
 *             if (text[i] >= 'a' && text[i] <= 'z') text[i] -= 'a' - 'A';
 *         set_result(text, len);
 *         return 0;
 *     }
 *
 * It is compiled with
 *
 *     clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry shout.c -o shout.wasm
 *
 * and this program calls it, compiled with cc program.c $(pkg-config --cflags --libs dynload):
 *
 *     #include <dynload.h>
 *     #include <stdio.h>
 *
 *     static int failed(void) {
 *         fprintf(stderr, "%s\n", get_load_error_str());
 *         return 1;
 *     }
 *
 *     int main(void) {
 *         WasmSandbox sandbox = sandbox_restrictive(); // 16 MiB, 1 second, no capabilities
 *         int64_t wasm = load_wasm_file_str("shout.wasm");
 *         if (!wasm) return failed();
 *         WasmInstance plugin = sandbox_load(sandbox, wasm, get_wasm_size(wasm));
 *         if (!wasm_is_valid(plugin)) return failed();
 *         const char *loud = wasm_call_text(plugin, "shout", "hello from a plugin");
 *         if (!loud) return failed();
 *         printf("%s\n", loud);
 *         wasm_bytes_free((int64_t)loud);
 *         free_wasm_file(wasm);
 *         sandbox_destroy(sandbox);
 *         return 0;
 *     }
 *
 * Values. Every argument, field and result is an int64_t. A text is the address of a NUL-terminated UTF-8 string (paths may have
 * any bytes where the system allows that, except those of sandbox_allow_dir and sandbox_allow_program); the functions whose
 * names end in _str accept `const char *`. Lengths and counts must not be negative.
 *
 * Errors. A function that fails returns 0, an empty struct, or the failure value in its documentation, and sets the error of the
 * calling thread; a function that succeeds clears it, except those that free, destroy or unload. So after a wasm_call that returned 0, get_load_error_code() tells whether
 * it failed. Functions whose documentation says that they leave the error as it is are queries. The error text is one line of at
 * most 16 KiB (up to 160 KiB with the output lines of a compiler). Names chosen by plugins and files have their control
 * characters escaped in it, as \u{1b}, and are shortened if they are long.
 *
 * Handles. A handle may be invalid in any way: 0, made up, of another kind, destroyed before, by any thread, or destroyed twice.
 * That is an error and nothing worse. The handle of a native module is the address that dlopen returned, which it may return
 * again after unload_module; the address of the path, which is never used again, tells them apart.
 * A pointer that is not null must point to what the documentation says.
 *
 * Threads. Every function may be called from any thread at any time, including from callbacks. Functions block only as follows:
 * loading, building and calling take as long as they take; calls from several threads into one Wasm instance wait for each
 * other; changes of a sandbox wait for loads into it; hot_reloader_start waits for the first build, hot_reloader_stop for the
 * reloader's thread. Within a callback of a plugin, no function waits for another plugin: using an object that is in use is an
 * error there (DYNLOAD_ERROR_BUSY).
 *
 * Any object may be used by several threads at the same time; get_load_error and the texts that it returns are per thread.
 *
 * Callbacks. Host functions and consoles may call every function, on whichever thread they run: the one that called the plugin,
 * or one of the plugin's own. A call that would have to wait fails with DYNLOAD_ERROR_BUSY. Callbacks must return. A C++
 * exception that leaves one, or pthread_exit or a cancellation in one, ends the process with a message (abort). longjmp out of
 * one is undefined, as it is out of any code with destructors: to the library, the plugin would never stop running. A callback
 * may fork, and its child is like any other.
 *
 * Signals. A signal handler may call wasm_interrupt and vais_wasm_interrupt, and nothing else: they are async-signal-safe,
 * change neither errno nor the error of the thread, and never block, whatever the library was doing at that moment. The library
 * installs no handler, changes no disposition and no mask of the caller's threads, and relies on none; the program may ignore
 * SIGCHLD or reap the children. The library's own threads block no signals, so a handler may run on one of them.
 *
 * Standard streams. If one of the descriptors 0 to 2 is closed, hot reloaders and programs that plugins run open /dev/null in its
 * place, which stays open, so that nothing that is printed goes into another file.
 *
 * errno. Every function except the two above may change errno, and none reports anything through it.
 *
 * Fork. A child has only the thread that called fork. It may immediately call exec, _exit and wasm_interrupt. It may call
 * everything else if no other thread was inside the library, as in a program with one thread and without hot reload: then
 * everything that was loaded keeps working in both processes, including time limits. A hot reloader that the parent started stays
 * the parent's: its version can be called in the child, hot_reloader_start, hot_reloader_stop and hot_reloader_check are errors
 * there (DYNLOAD_ERROR_BUILD), hot_reloader_destroy only destroys the handle, and a new hot reloader works. Copies of native
 * modules and builds belong to the parent, and no child removes them. In any other case a function may wait for a thread that
 * does not exist.
 *
 * Memory. Returned texts belong to the library and live as long as their documentation says.
 *
 * A program that defines some of these functions itself, as a compiled Vais program does, can still link against the library. It
 * defines DYNLOAD_ONLY_PRIMITIVES before it includes this file, which then contains only the vais_ functions, the constants and
 * the callback types. */

#ifndef DYNLOAD_H
#define DYNLOAD_H

#include <stdint.h>
#include <stdlib.h> /* getenv */
#include <string.h> /* strlen */
#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h> /* dlopen, dlclose, dlsym, dlerror, RTLD_NOW, RTLD_LAZY, RTLD_GLOBAL */
#else
#define RTLD_LAZY 1
#define RTLD_NOW 2
#define RTLD_GLOBAL 256
#endif

#if defined(_WIN32) && !defined(DYNLOAD_STATIC)
#define DYNLOAD_API __declspec(dllimport)
#else
#define DYNLOAD_API extern
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Constants ---- */

/* Flags of vais_module_load. They have these values on every platform; the flags of dlopen, without the DYNLOAD_ prefix, have
 * the platform's own values. */

/// RTLD_LAZY: resolve functions when they are first called.
#define DYNLOAD_RTLD_LAZY INT64_C(1)

/// RTLD_NOW: resolve every symbol before the load returns.
#define DYNLOAD_RTLD_NOW INT64_C(2)

/// RTLD_GLOBAL: libraries that are loaded later see the symbols.
#define DYNLOAD_RTLD_GLOBAL INT64_C(256)

/* The values of get_load_error_code(). More may be added. */
/// No error.
#define DYNLOAD_OK INT64_C(0)
/// An argument is invalid: null, negative, not UTF-8, out of range, or malformed.
#define DYNLOAD_ERROR_INVALID_ARGUMENT INT64_C(1)
/// A handle is not, or is no longer, a handle of this kind.
#define DYNLOAD_ERROR_INVALID_HANDLE INT64_C(2)
/// A file or directory cannot be read.
#define DYNLOAD_ERROR_IO INT64_C(3)
/// A native library cannot be loaded, reloaded or unloaded.
#define DYNLOAD_ERROR_LOAD INT64_C(4)
/// There is no symbol, export or import of that name.
#define DYNLOAD_ERROR_NOT_FOUND INT64_C(5)
/// The bytes are not a WebAssembly module, or the module uses a disabled feature.
#define DYNLOAD_ERROR_INVALID_MODULE INT64_C(6)
/// The module has unresolved imports.
#define DYNLOAD_ERROR_MISSING_IMPORT INT64_C(7)
/// The type of the function does not match the call.
#define DYNLOAD_ERROR_SIGNATURE INT64_C(8)
/// The guest trapped.
#define DYNLOAD_ERROR_TRAP INT64_C(9)
/// The guest exceeded the memory limit of the sandbox.
#define DYNLOAD_ERROR_MEMORY_LIMIT INT64_C(10)
/// The guest exceeded the time limit of the sandbox.
#define DYNLOAD_ERROR_TIME_LIMIT INT64_C(11)
/// The guest exceeded the stack limit of the sandbox.
#define DYNLOAD_ERROR_STACK_LIMIT INT64_C(12)
/// The guest exceeded the call-depth limit of the sandbox.
#define DYNLOAD_ERROR_DEPTH_LIMIT INT64_C(13)
/// The guest exceeded the fuel limit of the sandbox.
#define DYNLOAD_ERROR_FUEL_LIMIT INT64_C(14)
/// A required capability is not granted.
#define DYNLOAD_ERROR_CAPABILITY_DENIED INT64_C(15)
/// The call was interrupted.
#define DYNLOAD_ERROR_INTERRUPTED INT64_C(16)
/// The guest exited by its own request.
#define DYNLOAD_ERROR_EXITED INT64_C(17)
/// The instance is poisoned by an aborted call: reset it.
#define DYNLOAD_ERROR_POISONED INT64_C(18)
/// The object is in use and this call must not wait for it, for instance because it comes from a callback.
#define DYNLOAD_ERROR_BUSY INT64_C(19)
/// A host function failed.
#define DYNLOAD_ERROR_HOST_FUNCTION INT64_C(20)
/// A source cannot be built or watched.
#define DYNLOAD_ERROR_BUILD INT64_C(21)
/// An internal error of this library.
#define DYNLOAD_ERROR_INTERNAL INT64_C(22)
/// A plugin that was called with bytes returned an error, or a result that is neither bytes nor an error.
#define DYNLOAD_ERROR_PLUGIN INT64_C(23)

/* Capabilities: what a Wasm plugin may do. */
#define CAP_NONE INT64_C(0)
#define CAP_CONSOLE INT64_C(1)     /* console output */
#define CAP_TIME INT64_C(2)        /* clocks and sleeping */
#define CAP_RANDOM INT64_C(4)      /* random numbers */
#define CAP_FS_READ INT64_C(8)     /* reading files; see sandbox_allow_dir */
#define CAP_FS_WRITE INT64_C(16)   /* writing files; see sandbox_allow_dir */
#define CAP_NETWORK INT64_C(32)    /* network; see sandbox_allow_net */
#define CAP_ENV INT64_C(64)        /* environment variables; see sandbox_allow_env */
#define CAP_PROCESS INT64_C(128)   /* running programs; see sandbox_allow_program */
#define CAP_THREADING INT64_C(256) /* workers; see sandbox_allow_workers */
#define CAP_GPU INT64_C(512)       /* graphics and compute processors; see sandbox_allow_gpu */

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

#ifndef DYNLOAD_ONLY_PRIMITIVES

/* ---- Structs ---- */

/// A loaded native module.
typedef struct ModuleHandle {
    /// The handle that dlopen returned, valid for dlsym; 0 if no module is loaded. The library owns it: do not
    /// close it.
    int64_t handle;
    /// The path that was passed to the load: the address of a NUL-terminated text that is never freed.
    int64_t path;
    /// 1 after the load, incremented by each successful reload.
    int64_t version;
    /// 1 if loaded, 0 if not.
    int64_t loaded;
} ModuleHandle;

/// The resource limits of a sandboxed plugin. Every value is a limit; no value means "unlimited".
typedef struct ResourceLimits {
    /// Total bytes of all memories and tables of an instance.
    int64_t max_memory_bytes;
    /// Wall-clock milliseconds for one call.
    int64_t max_time_ms;
    /// Total bytes of the Wasm frames that are alive at the same time.
    int64_t max_stack_bytes;
    /// Number of Wasm frames that are alive at the same time.
    int64_t max_call_depth;
} ResourceLimits;

/// A sandbox for WebAssembly plugins.
typedef struct WasmSandbox {
    /// The handle of the sandbox; 0 means none.
    int64_t handle;
    /// The capabilities that were granted when this value was created.
    int64_t capabilities;
} WasmSandbox;

/// A loaded WebAssembly plugin.
typedef struct WasmInstance {
    /// The handle of the instance; 0 means none.
    int64_t handle;
    /// The handle of its sandbox.
    int64_t sandbox;
} WasmInstance;

/// The hot-reload settings for one source.
typedef struct HotReloadConfig {
    /// The path of the source: the address of a text.
    int64_t source_path;
    /// The directory for builds and copies: the address of a text, or 0 for a private temporary directory.
    int64_t output_dir;
    /// The debounce time: milliseconds without a further change before a change is processed.
    int64_t debounce_ms;
    /// 1 to write each step to standard error, 0 not to.
    int64_t verbose;
} HotReloadConfig;

/// A hot reloader.
typedef struct HotReloader {
    /// The handle of the reloader; 0 means none.
    int64_t handle;
    /// The version that was running when this value was created.
    int64_t version;
    /// 1 if the reloader was started when this value was created.
    int64_t running;
} HotReloader;

/// The result of a plugin discovery.
typedef struct PluginList {
    /// The handle of the list; 0 means none.
    int64_t handle;
    /// The number of plugins in the list.
    int64_t count;
} PluginList;

/* ---- Errors ---- */

/// Returns the error of this thread's last call as a text, or 0 if the call succeeded.
///
/// The text is valid until this thread calls a function that is not a query, or ends. Queries, which are the functions
/// that "leave the error as it is", neither set nor clear the error. This function is one of them.
DYNLOAD_API int64_t get_load_error(void);

/// Returns the kind of the error of this thread's last call: one of DYNLOAD_ERROR_*, or DYNLOAD_OK (0) if the call
/// succeeded. Leaves the error as it is.
DYNLOAD_API int64_t get_load_error_code(void);

/// Copies the text of the last error to buf, which has room for len bytes, and returns the number of bytes that
/// the text needs, including the NUL; 0 if there is no error, and buf is then the empty text. A text that does not fit is
/// truncated between characters; a NUL is always written if there is room for it. buf may be 0 if len is 0. Leaves the
/// error as it is.
///
///     load_module_str("/no/such/plugin.so");
///     char message[256];
///     if (get_load_error_copy((int64_t)message, sizeof message) > 0) printf("%d\n", message[0] != 0);
DYNLOAD_API int64_t get_load_error_copy(int64_t buf, int64_t len);

/* ---- Native modules ---- */

/// Returns an empty module handle: no module is loaded.
DYNLOAD_API ModuleHandle module_handle_new(void);

/// Returns 1 if the handle says that a module is loaded, 0 if not. Reads only the struct, and leaves the error as it
/// is.
DYNLOAD_API int64_t module_is_loaded(ModuleHandle m);

/// Returns the version of the module: 1 after the load, incremented by each successful reload, 0 if no module is
/// loaded. Reads only the struct, and leaves the error as it is.
DYNLOAD_API int64_t module_version(ModuleHandle m);

/// Loads the shared library at path and resolves all its symbols. Returns an empty handle on failure.
///
/// The library loads a private copy of the file, so the file can be rebuilt, overwritten or deleted at any time. A
/// file that is truncated, damaged or for another machine is refused before the platform's loader sees it. The
/// constructors of the shared library run on this thread.
///
///     ModuleHandle m = load_module_str(library_path);
///     if (module_is_loaded(m) == 1) {
///         int64_t (*add)(int64_t, int64_t) = (int64_t (*)(int64_t, int64_t))get_function_str(m, "add");
///         if (add != NULL) printf("%d\n", (int)add(2, 3));
///         unload_module(m);
///     } else {
///         fprintf(stderr, "%s\n", get_load_error_str());
///     }
DYNLOAD_API ModuleHandle load_module(int64_t path);

/// Loads a shared library like load_module, but resolves functions when they are first called.
DYNLOAD_API ModuleHandle load_module_lazy(int64_t path);

/// Unloads a module. Returns 1 on success, 0 on failure. Its functions and data must no longer be in use: no thread
/// may be inside the module, and no address in it may be kept. The handle is an error from then on. The text at m.path
/// stays readable; it is unchanged or empty.
///
/// The memory is released, unless the platform cannot release it (libraries with thread-local destructors stay in
/// memory).
DYNLOAD_API int64_t unload_module(ModuleHandle m);

/// Reloads a module from its file and returns the handle of the new version. On failure the old version stays loaded,
/// and its handle is returned.
///
/// The old version stays in memory, so that calls that are still running in it can complete; its handle is no longer
/// valid. The variables of the library are initialized again. A library that was loaded with RTLD_GLOBAL (by
/// vais_module_load) keeps providing its first version's symbols to the libraries that are loaded later: the loader uses
/// the first definition of a name.
///
///     ModuleHandle m = load_module_str(library_path);
///     m = reload_module(m);
///     printf("version %d\n", (int)module_version(m));
DYNLOAD_API ModuleHandle reload_module(ModuleHandle m);

/// Returns the address of a function or variable that a module defines; 0 on failure. It is valid until the module is
/// unloaded.
///
/// Symbols of the libraries that it needs are not found: see get_function_in_scope.
DYNLOAD_API int64_t get_function(ModuleHandle m, int64_t name);

/// Returns the address of a function or variable that a module or a library that it needs defines; 0 on failure. It is
/// valid until the module is unloaded. On macOS and Windows, only those that the module defines are found.
///
/// The libraries are searched in the order of dlsym. m.handle is the handle that dlopen returned, so
/// dlsym((void *)m.handle, name) finds the same.
DYNLOAD_API int64_t get_function_in_scope(ModuleHandle m, int64_t name);

/* ---- Capabilities ---- */

/// Returns 1 if every bit of required is in caps, 0 if not. CAP_NONE is always included, a bit that is not a
/// capability never is. Leaves the error as it is.
DYNLOAD_API int64_t has_capability(int64_t caps, int64_t required);

/// Returns caps with the bits of cap added. If a bit is not a capability, that is an error, and caps is
/// returned unchanged.
DYNLOAD_API int64_t add_capability(int64_t caps, int64_t cap);

/// Returns caps without the bits of cap. Leaves the error as it is.
DYNLOAD_API int64_t remove_capability(int64_t caps, int64_t cap);

/// Returns 1 if FS_WRITE, NETWORK, PROCESS or ENV is in caps, 0 if not. Leaves the error as it is.
///
///     int64_t caps = add_capability(CAP_CONSOLE, CAP_TIME);
///     printf("%d\n", (int)has_dangerous_capabilities(caps));
///     printf("%d\n", (int)has_dangerous_capabilities(add_capability(caps, CAP_ENV)));
DYNLOAD_API int64_t has_dangerous_capabilities(int64_t caps);

/* ---- Limits ---- */

/// Returns the default limits: 64 MiB of memory, 5 seconds, 1 MiB of stack, 1 000 frames.
DYNLOAD_API ResourceLimits default_limits(void);

/// Returns the limits for untrusted plugins: 16 MiB of memory, 1 second, 256 KiB of stack, 500 frames.
DYNLOAD_API ResourceLimits restrictive_limits(void);

/// Returns the limits for heavy work: 256 MiB of memory, 60 seconds, 4 MiB of stack, 5 000 frames.
DYNLOAD_API ResourceLimits permissive_limits(void);

/* ---- Sandboxes ---- */

/// Creates a sandbox with the default limits; its plugins may write to the console.
///
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     printf("%d\n", (int)wasm_call2_str(plugin, "add", 40, 2));
///     sandbox_destroy(s);
DYNLOAD_API WasmSandbox sandbox_new(void);

/// Creates a sandbox for untrusted plugins: the restrictive limits, no capabilities.
DYNLOAD_API WasmSandbox sandbox_restrictive(void);

/// Creates a sandbox with custom limits; otherwise as sandbox_new. A negative limit is an error.
///
///     ResourceLimits limits = default_limits();
///     limits.max_time_ms = 50;
///     WasmSandbox s = sandbox_with_limits(limits);
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     wasm_call_str(plugin, "spin");
///     printf("%d\n", get_load_error_code() == DYNLOAD_ERROR_TIME_LIMIT);
///     sandbox_destroy(s);
DYNLOAD_API WasmSandbox sandbox_with_limits(ResourceLimits limits);

/// Destroys a sandbox with all its instances. Returns 1 on success, 0 on failure. Calls that run in them, including
/// start functions, are interrupted; this function does not wait for them.
DYNLOAD_API int64_t sandbox_destroy(WasmSandbox s);

/// Grants one or more capabilities and returns the sandbox with its current capabilities. The grant takes effect
/// immediately, also for running plugins. If a bit is not a capability, that is an error, and nothing changes.
///
/// A capability for specific resources (files, network, environment, programs) gives access only to the resources
/// that sandbox_allow_* names.
///
///     WasmSandbox s = sandbox_restrictive();
///     s = sandbox_grant(s, CAP_CONSOLE | CAP_TIME);
///     s = sandbox_revoke(s, CAP_TIME);
///     printf("%d\n", (int)s.capabilities);
///     sandbox_destroy(s);
DYNLOAD_API WasmSandbox sandbox_grant(WasmSandbox s, int64_t cap);

/// Revokes one or more capabilities. This takes effect immediately, also for running plugins. Otherwise as
/// sandbox_grant.
DYNLOAD_API WasmSandbox sandbox_revoke(WasmSandbox s, int64_t cap);

/// Checks and compiles the len bytes of a WebAssembly module at bytes, creates an instance of it and runs its
/// start function. Returns an empty instance on failure. The bytes may be freed afterwards.
///
/// A reactor of the WASI application ABI is initialized, too: its _initialize runs after the start function. A command,
/// which exports _start, runs when _start is called.
///
/// The instance lives until wasm_instance_destroy, or until its sandbox is destroyed.
DYNLOAD_API WasmInstance sandbox_load(WasmSandbox s, int64_t bytes, int64_t len);

/// Limits the fuel of a call, counted in WebAssembly operators; -1 removes the limit. Returns 1 on success, 0 on
/// failure. Affects plugins that are loaded afterwards.
///
///     WasmSandbox s = sandbox_new();
///     sandbox_set_fuel(s, 1000);
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     wasm_call_str(plugin, "spin");
///     printf("%d\n", get_load_error_code() == DYNLOAD_ERROR_FUEL_LIMIT);
///     sandbox_destroy(s);
DYNLOAD_API int64_t sandbox_set_fuel(WasmSandbox s, int64_t fuel);

/// Turns profiling on (1) or off (0): with it, calls also record the peak stack size and call depth, for
/// wasm_peak_stack and wasm_peak_depth, which costs about a tenth of a call. Returns 1 on success, 0 on failure.
/// Affects plugins that are loaded afterwards.
DYNLOAD_API int64_t sandbox_set_profile(WasmSandbox s, int64_t profile);

/// Accepts modules with 64-bit memories (1), or refuses them (0), as by default. Returns 1 on success, 0 on failure.
/// Affects plugins that are loaded afterwards.
///
/// The functions that the host provides reach what starts in the first 4 GiB of such a memory.
DYNLOAD_API int64_t sandbox_set_memory64(WasmSandbox s, int64_t memory64);

/// Gives a module that imports a memory env.memory, as wasm-ld --import-memory writes it, a memory of its own (1), or
/// refuses it (0), as by default. Returns 1 on success, 0 on failure. Affects plugins that are loaded afterwards.
///
/// Each instance has a new memory, which is limited and counted as one that the module defines.
DYNLOAD_API int64_t sandbox_set_imported_memory(WasmSandbox s, int64_t imported_memory);

/// Sets a limit of what loading a module may take. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
///
/// The names are bytes (of the module, without its custom sections), items (of a section), elements (of all segments),
/// constant-operators, memories (and tables), params (and results), locals (of one function), total-locals, body-bytes (of
/// one function), carried-values, load-bytes (memory for loading, estimated), name-bytes. The error of a module that exceeds
/// a limit names it. The defaults are above what compilers produce.
///
///     WasmSandbox s = sandbox_new();
///     sandbox_set_module_limit_str(s, "bytes", 10);
///     printf("%d\n", (int)wasm_is_valid(sandbox_load(s, wasm, wasm_len)));
///     sandbox_set_module_limit_str(s, "bytes", 1 << 20);
///     printf("%d\n", (int)wasm_is_valid(sandbox_load(s, wasm, wasm_len)));
///     sandbox_destroy(s);
DYNLOAD_API int64_t sandbox_set_module_limit(WasmSandbox s, int64_t name, int64_t most);

/// Makes the directory host_path visible to plugins as guest_path, both UTF-8. If writable is 1, plugins may
/// change its contents; if it is 0, they may not. Reading also needs CAP_FS_READ, writing CAP_FS_WRITE. Returns 1 on
/// success, 0 on failure. Affects plugins that are loaded afterwards.
///
/// The directory is opened now, and never again by its path: replacing it later, or changing the working directory,
/// has no effect. If it cannot be opened, the error is DYNLOAD_ERROR_IO. If one allowed directory contains another,
/// the innermost one governs: a file that is not writable there cannot be changed through the outer directory either.
///
///     WasmSandbox s = sandbox_grant(sandbox_restrictive(), CAP_FS_READ);
///     printf("%d\n", (int)sandbox_allow_dir_str(s, "/tmp", "/data", 0));
///     sandbox_destroy(s);
DYNLOAD_API int64_t sandbox_allow_dir(WasmSandbox s, int64_t host_path, int64_t guest_path, int64_t writable);

/// Makes the environment variable name visible to plugins, with value, or with the host's value if value is 0.
/// Also needs CAP_ENV. Returns 1 on success, 0 on failure. Affects plugins that are loaded afterwards.
DYNLOAD_API int64_t sandbox_allow_env(WasmSandbox s, int64_t name, int64_t value);

/// Lets plugins communicate with the hosts that match pattern: api.example.com:443, *.example.com:*,
/// 127.0.0.1:8000-8010. Also needs CAP_NETWORK. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
DYNLOAD_API int64_t sandbox_allow_net(WasmSandbox s, int64_t pattern);

/// Lets plugins run the program at an absolute path, in UTF-8. Also needs CAP_PROCESS. Returns 1 on success, 0 on
/// failure. Affects plugins that are loaded afterwards.
DYNLOAD_API int64_t sandbox_allow_program(WasmSandbox s, int64_t path);

/// Lets plugins have up to count workers at the same time. Also needs CAP_THREADING. Returns 1 on success, 0 on
/// failure. Affects plugins that are loaded afterwards.
DYNLOAD_API int64_t sandbox_allow_workers(WasmSandbox s, int64_t count);

/// Lets plugins use the GPUs that match device: * (all but drivers on the processor), cpu, integrated, discrete,
/// virtual, other, each also with a name as in discrete:Example 9000, or name:Example *. Also needs CAP_GPU. Each
/// plugin's buffers can have max_memory_bytes together. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
///
/// Shaders run in processes of the program worker, the absolute path of dynload-gpu-worker, which is started now to list
/// the devices; that takes a fraction of a second. NULL keeps the worker of an earlier call. More calls add more devices; the
/// last max_memory_bytes takes effect. If no device matches, plugins find none. On Windows, there are no GPUs.
DYNLOAD_API int64_t sandbox_allow_gpu(WasmSandbox s, int64_t worker, int64_t device, int64_t max_memory_bytes);

/// Sets how much plugins can do with the GPUs: max_invocations of shaders in a call (2^32 if this is not called), and
/// max_shader_bytes of a shader's source text (65536; at most 1048576). Returns 1 on success, 0 on failure. Affects plugins
/// that are loaded afterwards.
DYNLOAD_API int64_t sandbox_set_gpu_limits(WasmSandbox s, int64_t max_invocations, int64_t max_shader_bytes);

/// Sets the arguments of WASI programs: argc addresses of texts at argv. By convention, the first is the name of
/// the program. Returns 1 on success, 0 on failure. Affects plugins that are loaded afterwards.
DYNLOAD_API int64_t sandbox_set_args(WasmSandbox s, int64_t argv, int64_t argc);

/// Sets a value of the configuration of plugins, or removes it if value is 0. Returns 1 on success, 0 on failure. Affects
/// plugins that are loaded afterwards.
///
/// A plugin reads it with the import vais.config_get (i32 key, i32 key_len, i32 buffer, i32 buffer_len) -> i32, which copies
/// as much of the value as fits and returns the value's length, or -1 if there is none.
DYNLOAD_API int64_t sandbox_set_config(WasmSandbox s, int64_t name, int64_t value);

/// Sets the destination of the output of plugins: callback, a dynload_console_function, with userdata; or, if
/// callback is 0, this program's own standard output and error, up to 1 MiB for each instance. Returns 1 on
/// success, 0 on failure. Affects plugins that are loaded afterwards.
///
/// The callback runs on the thread that runs the plugin. In the callback, calls to the plugin's own instance are
/// errors.
DYNLOAD_API int64_t sandbox_set_console(WasmSandbox s, int64_t callback, int64_t userdata);

/// Adds a host function for plugins, as the import module.name of the type signature: (i32, i64) -> (i64), with
/// i32, i64, f32 and f64. callback is a dynload_host_function, called with userdata. A plugin that calls it
/// without every bit of capability is stopped. Returns 1 on success, 0 on failure. Affects plugins that are loaded
/// afterwards.
///
/// The callback runs on the thread that runs the plugin. It may call wasm_call*, wasm_memory_read and
/// wasm_memory_write on the instance that is passed to it, within the limits of the current call. It must not
/// throw, nor leave by longjmp.
///
///     WasmSandbox s = sandbox_new();
///     sandbox_host_function_str(s, "env", "twice", "(i64) -> (i64)", twice, 0, CAP_NONE);
///     WasmInstance plugin = sandbox_load(s, wasm_with_import, wasm_with_import_len);
///     printf("%d\n", (int)wasm_call1_str(plugin, "run", 21));
///     sandbox_destroy(s);
DYNLOAD_API int64_t sandbox_host_function(WasmSandbox s, int64_t module, int64_t name, int64_t signature, int64_t callback, int64_t userdata, int64_t capability);

/* ---- Wasm plugins ---- */

/// Calls the exported function name without arguments and returns its result; 0 if it has none, and on failure. If
/// the result is 0, get_load_error_code() != 0 means failure.
///
/// An i32 result is sign-extended. If the function has another type, that is an error that names both types. Calls
/// from several threads into one instance wait for each other; in a callback no call waits, and a call into an
/// instance that is in use is an error.
DYNLOAD_API int64_t wasm_call(WasmInstance inst, int64_t name);

/// Calls a function like wasm_call, with one argument. For an i32 parameter, the value must fit.
DYNLOAD_API int64_t wasm_call1(WasmInstance inst, int64_t name, int64_t arg);

/// Calls a function like wasm_call, with two arguments.
DYNLOAD_API int64_t wasm_call2(WasmInstance inst, int64_t name, int64_t arg1, int64_t arg2);

/// Calls the exported function name with the nargs arguments at args and writes its results to results, which
/// must have room for exactly nresults values. Returns DYNLOAD_OK (0), or the number of the error.
///
/// Floats are passed as their bits: those of a double, or those of a float in the lower half.
///
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     int64_t args[2] = {40, 2}, result[1];
///     if (wasm_call_n_str(plugin, "add", args, 2, result, 1) == DYNLOAD_OK) printf("%d\n", (int)result[0]);
///     sandbox_destroy(s);
DYNLOAD_API int64_t wasm_call_n(WasmInstance inst, int64_t name, int64_t args, int64_t nargs, int64_t results, int64_t nresults);

/// Returns 1 if the instance can be called, 0 if it does not exist or is poisoned by an aborted call (wasm_reset
/// makes it callable again). Leaves the error as it is.
DYNLOAD_API int64_t wasm_is_valid(WasmInstance inst);

/// Returns the fuel that the last call used, or the start function if there was no call yet: WebAssembly operators,
/// and the host's work for the plugin; -1 on failure.
///
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     wasm_call2_str(plugin, "add", 40, 2);
///     printf("%d\n", (int)wasm_fuel_used(plugin));
///     sandbox_destroy(s);
DYNLOAD_API int64_t wasm_fuel_used(WasmInstance inst);

/// Returns the peak size of the plugin's memories and tables in bytes since it was loaded or reset; -1 on failure.
DYNLOAD_API int64_t wasm_peak_memory(WasmInstance inst);

/// Returns the peak size of the plugin's buffers on GPUs in bytes since it was loaded or reset; -1 on failure.
DYNLOAD_API int64_t wasm_gpu_memory(WasmInstance inst);

/// Returns the peak stack size of the last call in bytes, in a sandbox with sandbox_set_profile; -1 on failure.
DYNLOAD_API int64_t wasm_peak_stack(WasmInstance inst);

/// Returns the peak number of frames of the last call, in a sandbox with sandbox_set_profile; -1 on failure.
DYNLOAD_API int64_t wasm_peak_depth(WasmInstance inst);

/// Copies len bytes at offset of the plugin's memory to buf. Returns 1 on success, 0 on failure; on failure
/// nothing is copied.
///
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     char text[6] = "hello";
///     wasm_memory_write(plugin, 16, (int64_t)text, 6);
///     char back[6];
///     if (wasm_memory_read(plugin, 16, (int64_t)back, 6)) printf("%s\n", back);
///     sandbox_destroy(s);
DYNLOAD_API int64_t wasm_memory_read(WasmInstance inst, int64_t offset, int64_t buf, int64_t len);

/// Copies len bytes at buf to offset of the plugin's memory. Returns 1 on success, 0 on failure; on failure
/// nothing is copied.
DYNLOAD_API int64_t wasm_memory_write(WasmInstance inst, int64_t offset, int64_t buf, int64_t len);

/// Ends the call that runs in an instance, from any thread; that call fails with DYNLOAD_ERROR_INTERRUPTED. Does
/// nothing if no call runs, and never ends a call that begins later. Returns 1 if the instance exists, 0 if not.
///
/// Never waits. It is the only function that a signal handler may call (it is async-signal-safe), so it leaves the
/// error as it is.
DYNLOAD_API int64_t wasm_interrupt(WasmInstance inst);

/// Resets an instance: initializes its memory and variables, and runs the start function and, in a reactor,
/// _initialize. A poisoned instance can then be called again. Returns 1 on success, 0 on failure. After a failure the
/// instance is poisoned, and its old state is lost.
///
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     wasm_call_str(plugin, "trap");
///     printf("%d\n", (int)wasm_is_valid(plugin));
///     wasm_reset(plugin);
///     printf("%d\n", (int)wasm_is_valid(plugin));
///     sandbox_destroy(s);
DYNLOAD_API int64_t wasm_reset(WasmInstance inst);

/// Destroys an instance. Returns 1 on success, 0 on failure. A call that runs in it is interrupted; this function
/// does not wait for it.
DYNLOAD_API int64_t wasm_instance_destroy(WasmInstance inst);

/// Returns the capabilities that the imports of a module can use, determined without running it. Returns -1 on
/// failure, which has every bit set and so never looks harmless.
///
///     int64_t needed = wasm_required_capabilities(wasm, wasm_len);
///     printf("%d\n", (int)has_dangerous_capabilities(needed));
DYNLOAD_API int64_t wasm_required_capabilities(int64_t bytes, int64_t len);

/* ---- Wasm plugins with bytes and texts ---- */

/// Calls the exported function name with the len bytes at input. Returns the address of its result, which is followed by
/// a NUL; 0 on failure. Free it with wasm_bytes_free; wasm_bytes_size returns its length.
///
/// The plugin's function has an i32 parameter for the length of the input and returns an i32: 0, or 1 if its result is an
/// error text, which becomes the error (DYNLOAD_ERROR_PLUGIN). It imports vais.read_args (i32), which copies the input to an
/// address, and vais.set_result (i32, i32), which copies the result from an address, with a length. Plugins for typst work
/// too.
///
/// All of it is one call with one time limit.
///
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     const char *loud = wasm_call_text(plugin, "shout", "hello");
///     if (loud) printf("%s\n", loud);
///     wasm_bytes_free((int64_t)loud);
///     sandbox_destroy(s);
DYNLOAD_API int64_t wasm_call_bytes(WasmInstance inst, int64_t name, int64_t input, int64_t len);

/// Calls a function like wasm_call_bytes, with count inputs: their addresses are at inputs, their lengths at lengths.
/// The plugin's function has an i32 parameter for each length; vais.read_args copies the inputs one after the other.
///
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
///     int64_t inputs[2] = {(int64_t)"hello, ", (int64_t)"world"}, lengths[2] = {7, 5};
///     int64_t joined = wasm_call_bytes_n(plugin, (int64_t)"join", (int64_t)inputs, (int64_t)lengths, 2);
///     if (joined) printf("%s\n", (const char *)joined);
///     wasm_bytes_free(joined);
///     sandbox_destroy(s);
DYNLOAD_API int64_t wasm_call_bytes_n(WasmInstance inst, int64_t name, int64_t inputs, int64_t lengths, int64_t count);

/// Returns the length of a result of wasm_call_bytes, without the NUL; -1 on failure.
DYNLOAD_API int64_t wasm_bytes_size(int64_t result);

/// Frees a result of wasm_call_bytes. Returns 1 on success, 0 on failure. 0 is accepted, as the result of a call that failed.
/// Success leaves the error as it is.
DYNLOAD_API int64_t wasm_bytes_free(int64_t result);

/* ---- Files ---- */

/// Returns this platform's file name extension for shared libraries: the text so, dylib or dll, which is never
/// freed.
DYNLOAD_API int64_t get_library_extension(void);

/// Returns 1 if the file is a library that this platform can load, 0 if not. Checks the name (plugin.so.1.2 is also
/// accepted) and, if the file exists, its headers.
///
///     char name[32];
///     snprintf(name, sizeof name, "plugin.%s", (const char *)get_library_extension());
///     printf("%d %d\n", (int)is_plugin_library_str(name), (int)is_plugin_library_str("plugin.txt"));
DYNLOAD_API int64_t is_plugin_library(int64_t path);

/// Reads a WebAssembly module and returns the address of its bytes, for sandbox_load; 0 on failure. A file in the
/// text format (.wat) is translated. The bytes live until free_wasm_file.
///
///     int64_t bytes = load_wasm_file_str(wasm_path);
///     WasmSandbox s = sandbox_new();
///     WasmInstance plugin = sandbox_load(s, bytes, get_wasm_size(bytes));
///     printf("%d\n", (int)wasm_is_valid(plugin));
///     free_wasm_file(bytes);
///     sandbox_destroy(s);
DYNLOAD_API int64_t load_wasm_file(int64_t path);

/// Returns the number of bytes at an address that load_wasm_file returned; 0 on failure.
DYNLOAD_API int64_t get_wasm_size(int64_t bytes);

/// Frees the bytes at an address that load_wasm_file returned. Returns 1 on success, 0 on failure. Plugins that
/// were loaded from them continue to work. Success leaves the error as it is.
DYNLOAD_API int64_t free_wasm_file(int64_t bytes);

/* ---- Hot reload ---- */

/// Returns the default settings for a source: a private output directory, 100 ms of debounce, no output to standard
/// error. The text of the path must live until the reloader is created.
DYNLOAD_API HotReloadConfig hot_reload_config(int64_t source_path);

/// Creates a hot reloader for a source: a .c, .rs, .vais or Cargo.toml file, which is built, or a .so,
/// .wasm or .wat file, which is loaded as it is. The reloader does nothing before it is started. Returns a
/// reloader with the handle 0 on failure.
///
/// Native code that is built from the source, or is the source, is loaded and runs later: it can do whatever the
/// process can, and the caller promises here that it may run.
///
///     HotReloader r = hot_reloader_start(hot_reloader_new_str(source_path));
///     int64_t (*answer)(void) = (int64_t (*)(void))hot_reloader_get_function_str(r, "answer");
///     printf("version %d says %d\n", (int)hot_reloader_version(r), answer ? (int)answer() : -1);
///     if (hot_reloader_check(r) == 1) {
///         /* A new version is running: look up its functions again. */
///     }
///     r = hot_reloader_stop(r);
///     hot_reloader_destroy(r);
DYNLOAD_API HotReloader hot_reloader_new(int64_t source_path);

/// Creates a hot reloader with custom settings; otherwise as hot_reloader_new.
DYNLOAD_API HotReloader hot_reloader_with_config(HotReloadConfig config);

/// Starts a hot reloader: watches the source, and builds and loads its current state. Waits for this first build.
///
/// Returns the reloader as it is then. If the build succeeded, running is 1 and version is 1. If it failed, or if the
/// source does not exist, running is 1 too: version is 0, the error says why, including the compiler output, and the
/// reloader tries again at the next change, such as the creation of the source. If the source cannot be watched, that is
/// the error, and running is 0. If the reloader is stopped before the build has been loaded, also by the code that is
/// being loaded, the error is DYNLOAD_ERROR_INTERRUPTED, and running is 0; a version that was loaded nevertheless stays
/// loaded. If the reloader does not exist, the result has the handle 0.
///
/// A change during a build cancels the build, but the same file cancels only one build in a row. So this function returns
/// even if a build changes its own inputs. A file that changes during three builds in a row is taken to be written by the
/// build: it is not a reason for another build until it changes while no build is running. A source that is empty or less
/// than half as long as before is used when it has not changed for 1 s, because its writer may not have finished.
///
/// A reloader that is already started continues unchanged. One that was stopped continues from the version that it has.
///
/// This runs the code that is built and loaded. The promise that it may run was made at hot_reloader_new or
/// hot_reloader_with_config.
DYNLOAD_API HotReloader hot_reloader_start(HotReloader r);

/// Stops a hot reloader. The loaded version stays loaded. Waits for the reloader's thread to end; a running build is
/// killed.
///
/// Called by the code that the reloader is loading, it cannot wait: the error is DYNLOAD_ERROR_BUSY, running is 1, and
/// the reloader stops when the load has ended.
DYNLOAD_API HotReloader hot_reloader_stop(HotReloader r);

/// Returns 1 once for each new version, 0 if there is none. Never waits.
///
/// If a change could not be built or loaded, the old version keeps running, this function returns 0, and the error
/// says why, including the compiler output, until a later change succeeds. In a child of fork, the error of a reloader that
/// the parent started says so.
DYNLOAD_API int64_t hot_reloader_check(HotReloader r);

/// Returns the version that is running: 1 after the start, incremented by each successful reload, 0 while no version
/// is running.
DYNLOAD_API int64_t hot_reloader_version(HotReloader r);

/// Returns the native version that is running; an empty handle on failure. The handle is valid until the next version
/// runs, and stale when hot_reloader_check reports that version; the code stays in memory. The module belongs to the
/// reloader: unload_module and reload_module refuse it.
DYNLOAD_API ModuleHandle hot_reloader_module(HotReloader r);

/// Returns the address of a function of the native version that is running; 0 on failure. The code stays in memory,
/// even when a newer version runs.
DYNLOAD_API int64_t hot_reloader_get_function(HotReloader r, int64_t name);

/// Returns the Wasm version that is running; an instance with the handle 0 on failure. When hot_reloader_check reports
/// the next version, the handle is stale; calls that are running in the instance complete.
DYNLOAD_API WasmInstance hot_reloader_wasm(HotReloader r);

/// Returns the sandbox of this reloader's Wasm versions. It is created as by sandbox_new; grant capabilities, allow
/// resources and add host functions before the reloader is started. It is destroyed with the reloader.
DYNLOAD_API WasmSandbox hot_reloader_sandbox(HotReloader r);

/// Stops and destroys a hot reloader. Returns 1 on success, 0 on failure. Native code that it loaded stays in memory;
/// its Wasm instances are destroyed.
DYNLOAD_API int64_t hot_reloader_destroy(HotReloader r);

/* ---- Plugin systems ---- */

/// Creates a plugin system for the directory dir, or for the standard directories if dir is 0. Returns its handle, 0 on
/// failure. Nothing is loaded before the first call of another function than plugins_set_config and plugins_set_limits.
///
/// Each Wasm plugin gets a sandbox of its own, with the capabilities that its manifest requests and that are in capabilities,
/// and the lower of its limits and the host's. Native plugins are not loaded.
///
///     int64_t plugins = plugins_new_str(plugin_dir, CAP_CONSOLE | CAP_TIME);
///     const char *loud = plugins_call_text(plugins, "shout", "shout", "hello");
///     if (loud) printf("%s\n", loud);
///     wasm_bytes_free((int64_t)loud);
///     plugins_close(plugins);
DYNLOAD_API int64_t plugins_new(int64_t dir, int64_t capabilities);

/// Sets a setting of the plugin id, which its manifest declares; the text is read as the declared type. Returns 1 on success,
/// 0 on failure, for instance after the plugins were loaded.
DYNLOAD_API int64_t plugins_set_config(int64_t plugins, int64_t id, int64_t name, int64_t value);

/// Sets the limits of the host, which apply where a plugin requests no lower ones. Returns 1 on success, 0 on failure, for
/// instance after the plugins were loaded. The default is default_limits.
DYNLOAD_API int64_t plugins_set_limits(int64_t plugins, ResourceLimits limits);

/// Loads the plugins; later, searches again: loads new plugins, reloads changed ones, drops those that are gone. Returns 1 on
/// success, 0 on failure. A plugin that cannot be loaded is an event, not a failure.
DYNLOAD_API int64_t plugins_refresh(int64_t plugins);

/// Refreshes by itself from now on, every interval_ms milliseconds and when a file of a plugin changes. Returns 1 on success,
/// 0 on failure.
DYNLOAD_API int64_t plugins_watch(int64_t plugins, int64_t interval_ms);

/// Calls the function name of the plugin id with the len bytes at input: see wasm_call_bytes. Returns the address of
/// its result; 0 on failure. Free it with wasm_bytes_free.
DYNLOAD_API int64_t plugins_call_bytes(int64_t plugins, int64_t id, int64_t name, int64_t input, int64_t len);

/// Calls a function like plugins_call_bytes, with count inputs: see wasm_call_bytes_n.
DYNLOAD_API int64_t plugins_call_bytes_n(int64_t plugins, int64_t id, int64_t name, int64_t inputs, int64_t lengths, int64_t count);

/// Returns the next event as a text: a plugin was loaded, reloaded, dropped, or why not; 0 if there is none, and on failure.
/// Free it with wasm_bytes_free.
///
///     int64_t plugins = plugins_new_str(plugin_dir, CAP_CONSOLE | CAP_TIME);
///     for (const char *event; (event = plugins_next_event_str(plugins)) != NULL; wasm_bytes_free((int64_t)event)) {
///         printf("%s\n", event);
///     }
///     plugins_close(plugins);
DYNLOAD_API int64_t plugins_next_event(int64_t plugins);

/// Closes a plugin system. Its plugins are dropped when their calls have ended. Returns 1 on success, 0 on failure. Success
/// leaves the error as it is.
DYNLOAD_API int64_t plugins_close(int64_t plugins);

/* ---- Discovery ---- */

/// Looks for plugins in the directories of VAIS_PLUGIN_PATH, in the user's and in the system's plugin directories.
/// No plugin code is run. Returns an empty list with the handle 0 on failure.
///
///     PluginList list = discover_plugins();
///     for (int64_t i = 0; i < list.count; i++) {
///         printf("%s %s\n", (const char *)plugin_id(list, i), (const char *)plugin_version(list, i));
///     }
///     plugin_list_destroy(list);
DYNLOAD_API PluginList discover_plugins(void);

/// Looks for plugins in one directory; otherwise as discover_plugins. If the directory does not exist, the list is
/// empty.
DYNLOAD_API PluginList discover_plugins_in(int64_t dir);

/// Returns the id of plugin i, counted from 0; 0 on failure. The text lives as long as the list.
DYNLOAD_API int64_t plugin_id(PluginList list, int64_t i);

/// Returns the human-readable name of plugin i; 0 on failure. The text lives as long as the list.
DYNLOAD_API int64_t plugin_name(PluginList list, int64_t i);

/// Returns the version of plugin i, empty for a file without a manifest; 0 on failure. The text lives as long as
/// the list.
DYNLOAD_API int64_t plugin_version(PluginList list, int64_t i);

/// Returns the path of the file of plugin i for this platform; 0 on failure, and if the plugin has no such file.
/// The text lives as long as the list.
DYNLOAD_API int64_t plugin_path(PluginList list, int64_t i);

/// Returns the format of plugin i: native, wasm or vais; 0 on failure. The text lives as long as the list.
DYNLOAD_API int64_t plugin_format(PluginList list, int64_t i);

/// Returns the capabilities that the manifest of plugin i requests, 0 without a manifest; -1 on failure.
DYNLOAD_API int64_t plugin_capabilities(PluginList list, int64_t i);

/// Returns the number of problems that the discovery found; -1 on failure.
///
/// A plugin that is not listed because another one has the same id is one of them, and so is a dependency that is not
/// satisfied.
DYNLOAD_API int64_t plugin_problem_count(PluginList list);

/// Returns problem i, counted from 0: error, warning or note, the file and the line if it has them, and the
/// description; 0 on failure. The text lives as long as the list.
DYNLOAD_API int64_t plugin_problem(PluginList list, int64_t i);

/// Sets a setting of plugin i, which its manifest declares; the text is read as the declared type. If value is 0, the
/// default of the manifest applies again. Returns 1 on success, 0 on failure. It takes effect when the plugin is admitted or
/// loaded.
DYNLOAD_API int64_t plugin_set_config(PluginList list, int64_t i, int64_t name, int64_t value);

/// Reduces a sandbox to what the Wasm plugin i requests in its manifest: its capabilities and scopes, the lower of its limits
/// and those of the sandbox, and its settings. Returns the address of a text with a line for each thing that the manifest
/// requests and the sandbox does not allow, empty if it allows all; 0 on failure, and then the sandbox is unchanged. Free it
/// with wasm_bytes_free.
///
/// What the sandbox allows before is what the host allows the plugin, so each plugin needs a sandbox of its own, in which
/// nothing was loaded. The error is DYNLOAD_ERROR_CAPABILITY_DENIED if the plugin needs a capability that the sandbox does
/// not grant.
/// Values of plugin_set_config and sandbox_set_config are checked against the settings that the manifest declares; one that
/// it does not declare is an error, and so is a required setting without a value. A plugin without a manifest requests nothing.
///
///     PluginList list = discover_plugins_in_str(plugin_dir);
///     for (int64_t i = 0; i < list.count; i++) {
///         WasmSandbox s = sandbox_grant(sandbox_new(), CAP_CONSOLE | CAP_TIME);
///         const char *missing = plugin_admit_str(list, i, s);
///         if (missing) printf("%s: %s\n", (const char *)plugin_id(list, i), *missing ? missing : "as requested");
///         wasm_bytes_free((int64_t)missing);
///         sandbox_destroy(s);
///     }
///     plugin_list_destroy(list);
DYNLOAD_API int64_t plugin_admit(PluginList list, int64_t i, WasmSandbox s);

/// Loads the native plugin i like load_module, and passes it its settings: for each, its dynload_plugin_configure is
/// called before its init, also after reload_module. Returns an empty handle on failure, for instance if the plugin refuses
/// a setting, or if it has settings and does not export that function.
DYNLOAD_API ModuleHandle plugin_load_module(PluginList list, int64_t i);

/// Frees a list and its texts. Returns 1 on success, 0 on failure.
DYNLOAD_API int64_t plugin_list_destroy(PluginList list);

/* ---- The same functions with const char * ---- */

static inline int64_t dynload_address(const void *pointer) { return (int64_t)(intptr_t)pointer; }

static inline const char *dynload_text(int64_t address) { return (const char *)(intptr_t)address; }

static inline const char *get_load_error_str(void) { return dynload_text(get_load_error()); }

static inline ModuleHandle load_module_str(const char *path) { return load_module(dynload_address(path)); }

static inline ModuleHandle load_module_lazy_str(const char *path) { return load_module_lazy(dynload_address(path)); }

static inline int64_t get_function_str(ModuleHandle m, const char *name) { return get_function(m, dynload_address(name)); }

static inline int64_t get_function_in_scope_str(ModuleHandle m, const char *name) {
    return get_function_in_scope(m, dynload_address(name));
}

static inline int64_t is_plugin_library_str(const char *path) { return is_plugin_library(dynload_address(path)); }

static inline int64_t load_wasm_file_str(const char *path) { return load_wasm_file(dynload_address(path)); }

static inline int64_t sandbox_allow_dir_str(WasmSandbox s, const char *host_path, const char *guest_path, int64_t writable) {
    return sandbox_allow_dir(s, dynload_address(host_path), dynload_address(guest_path), writable);
}

/* With a value of NULL, plugins see the host's value. */
static inline int64_t sandbox_allow_env_str(WasmSandbox s, const char *name, const char *value) {
    return sandbox_allow_env(s, dynload_address(name), dynload_address(value));
}

static inline int64_t sandbox_allow_net_str(WasmSandbox s, const char *pattern) {
    return sandbox_allow_net(s, dynload_address(pattern));
}

static inline int64_t sandbox_set_module_limit_str(WasmSandbox s, const char *name, int64_t most) {
    return sandbox_set_module_limit(s, dynload_address(name), most);
}

static inline int64_t sandbox_allow_program_str(WasmSandbox s, const char *path) {
    return sandbox_allow_program(s, dynload_address(path));
}

static inline int64_t sandbox_set_args_str(WasmSandbox s, const char *const *argv, int64_t argc) {
    return sandbox_set_args(s, dynload_address(argv), argc);
}

static inline int64_t sandbox_set_console_fn(WasmSandbox s, dynload_console_function callback, int64_t userdata) {
    return sandbox_set_console(s, (int64_t)(intptr_t)callback, userdata);
}

static inline int64_t sandbox_host_function_str(WasmSandbox s, const char *module, const char *name, const char *signature,
                                                dynload_host_function callback, int64_t userdata, int64_t capability) {
    return sandbox_host_function(s, dynload_address(module), dynload_address(name), dynload_address(signature),
                                 (int64_t)(intptr_t)callback, userdata, capability);
}

static inline int64_t wasm_call_str(WasmInstance inst, const char *name) { return wasm_call(inst, dynload_address(name)); }

static inline int64_t wasm_call1_str(WasmInstance inst, const char *name, int64_t arg) {
    return wasm_call1(inst, dynload_address(name), arg);
}

static inline int64_t wasm_call2_str(WasmInstance inst, const char *name, int64_t arg1, int64_t arg2) {
    return wasm_call2(inst, dynload_address(name), arg1, arg2);
}

static inline int64_t wasm_call_n_str(WasmInstance inst, const char *name, const int64_t *args, int64_t nargs, int64_t *results,
                                      int64_t nresults) {
    return wasm_call_n(inst, dynload_address(name), dynload_address(args), nargs, dynload_address(results), nresults);
}

static inline int64_t wasm_call_bytes_str(WasmInstance inst, const char *name, const void *input, int64_t len) {
    return wasm_call_bytes(inst, dynload_address(name), dynload_address(input), len);
}

/* Calls a function with a text. Returns its result, or NULL; free it with wasm_bytes_free. */
static inline const char *wasm_call_text(WasmInstance inst, const char *name, const char *text) {
    return dynload_text(wasm_call_bytes(inst, dynload_address(name), dynload_address(text), (int64_t)strlen(text)));
}

static inline int64_t sandbox_allow_gpu_str(WasmSandbox s, const char *worker, const char *device,
                                            int64_t max_memory_bytes) {
    return sandbox_allow_gpu(s, dynload_address(worker), dynload_address(device), max_memory_bytes);
}

static inline int64_t sandbox_set_config_str(WasmSandbox s, const char *name, const char *value) {
    return sandbox_set_config(s, dynload_address(name), dynload_address(value));
}

static inline HotReloadConfig hot_reload_config_str(const char *source_path) {
    return hot_reload_config(dynload_address(source_path));
}

static inline HotReloader hot_reloader_new_str(const char *source_path) {
    return hot_reloader_new(dynload_address(source_path));
}

static inline int64_t hot_reloader_get_function_str(HotReloader r, const char *name) {
    return hot_reloader_get_function(r, dynload_address(name));
}

static inline int64_t plugins_new_str(const char *dir, int64_t capabilities) {
    return plugins_new(dynload_address(dir), capabilities);
}

static inline int64_t plugins_set_config_str(int64_t plugins, const char *id, const char *name, const char *value) {
    return plugins_set_config(plugins, dynload_address(id), dynload_address(name), dynload_address(value));
}

/* Calls a function of a plugin with a text. Returns its result, or NULL; free it with wasm_bytes_free. */
static inline const char *plugins_call_text(int64_t plugins, const char *id, const char *name, const char *text) {
    return dynload_text(plugins_call_bytes(plugins, dynload_address(id), dynload_address(name), dynload_address(text),
                                           (int64_t)strlen(text)));
}

static inline const char *plugins_next_event_str(int64_t plugins) { return dynload_text(plugins_next_event(plugins)); }

static inline int64_t plugin_set_config_str(PluginList list, int64_t i, const char *name, const char *value) {
    return plugin_set_config(list, i, dynload_address(name), dynload_address(value));
}

static inline const char *plugin_admit_str(PluginList list, int64_t i, WasmSandbox s) {
    return dynload_text(plugin_admit(list, i, s));
}

static inline PluginList discover_plugins_in_str(const char *dir) { return discover_plugins_in(dynload_address(dir)); }

#endif /* DYNLOAD_ONLY_PRIMITIVES */

/* ---- Primitives ----
 *
 * The functions that compiled Vais programs call: the same functions with numbers only. A handle replaces its struct; where the
 * struct has more fields, other primitives return them. Each is documented with the function that it corresponds to. */


/// load_module with the flags RTLD_NOW or RTLD_LAZY, either with RTLD_GLOBAL; the handle of the module, 0 on failure.
DYNLOAD_API int64_t vais_module_load(int64_t path, int64_t flags);

/// unload_module: 1 on success, 0 on failure. path is that of vais_module_path: together with the handle it
/// identifies the module, because a module that is loaded later may get the same handle.
DYNLOAD_API int64_t vais_module_unload(int64_t handle, int64_t path);

/// reload_module: the handle of the new version, 0 on failure; the old one is then still good.
DYNLOAD_API int64_t vais_module_reload(int64_t handle, int64_t path);

/// get_function: the address, 0 on failure.
DYNLOAD_API int64_t vais_module_symbol(int64_t handle, int64_t path, int64_t name);

/// get_function_in_scope: the address, 0 on failure.
DYNLOAD_API int64_t vais_module_symbol_in_scope(int64_t handle, int64_t path, int64_t name);

/// Calls the function at address, which vais_module_symbol or vais_hot_reload_get_function returned, with the nargs
/// arguments at args, at most 8. Its parameters and its result are int64_t. Returns its result; 0 on failure, if
/// vais_load_error then returns a text.
///
/// The function must return: an exception that leaves it ends the process. Its library must stay loaded meanwhile.
DYNLOAD_API int64_t vais_call(int64_t address, int64_t args, int64_t nargs);

/// The path of the module that has this handle now, 0 on failure. Ask once, right after the load: a module that is loaded
/// after an unload may have the same handle. The text stays readable; after the unload it is unchanged or empty.
DYNLOAD_API int64_t vais_module_path(int64_t handle);

/// The version of the module that has this handle now, 0 on failure.
DYNLOAD_API int64_t vais_module_version(int64_t handle);

/// get_load_error.
DYNLOAD_API int64_t vais_load_error(void);

/// get_load_error_code.
DYNLOAD_API int64_t vais_load_error_code(void);

/// get_load_error_copy.
DYNLOAD_API int64_t vais_load_error_copy(int64_t buf, int64_t len);

/// get_library_extension.
DYNLOAD_API int64_t vais_get_library_extension(void);

/// is_plugin_library.
DYNLOAD_API int64_t vais_is_plugin_library(int64_t path);

/// load_wasm_file.
DYNLOAD_API int64_t vais_wasm_file_load(int64_t path);

/// get_wasm_size.
DYNLOAD_API int64_t vais_wasm_file_size(int64_t bytes);

/// free_wasm_file.
DYNLOAD_API int64_t vais_wasm_file_free(int64_t bytes);


/// sandbox_new: the handle, 0 on failure.
DYNLOAD_API int64_t vais_wasm_sandbox_create(void);

/// sandbox_restrictive: the handle, 0 on failure.
DYNLOAD_API int64_t vais_wasm_sandbox_create_restrictive(void);

/// sandbox_with_limits: the handle, 0 on failure.
DYNLOAD_API int64_t vais_wasm_sandbox_create_with_limits(int64_t max_memory_bytes, int64_t max_time_ms, int64_t max_stack_bytes, int64_t max_call_depth);

/// sandbox_destroy.
DYNLOAD_API int64_t vais_wasm_sandbox_destroy(int64_t sandbox);

/// sandbox_grant: 1 on success, 0 on failure.
DYNLOAD_API int64_t vais_wasm_grant_capability(int64_t sandbox, int64_t cap);

/// sandbox_revoke: 1 on success, 0 on failure.
DYNLOAD_API int64_t vais_wasm_revoke_capability(int64_t sandbox, int64_t cap);

/// What a sandbox is granted at this moment, -1 on failure.
DYNLOAD_API int64_t vais_wasm_capabilities(int64_t sandbox);

/// sandbox_load: the handle of the instance, 0 on failure.
DYNLOAD_API int64_t vais_wasm_load(int64_t sandbox, int64_t bytes, int64_t len);

/// sandbox_set_fuel.
DYNLOAD_API int64_t vais_wasm_set_fuel(int64_t sandbox, int64_t fuel);

/// sandbox_set_profile.
DYNLOAD_API int64_t vais_wasm_set_profile(int64_t sandbox, int64_t profile);

/// sandbox_set_memory64.
DYNLOAD_API int64_t vais_wasm_set_memory64(int64_t sandbox, int64_t memory64);

/// sandbox_set_imported_memory.
DYNLOAD_API int64_t vais_wasm_set_imported_memory(int64_t sandbox, int64_t imported_memory);

/// sandbox_set_module_limit.
DYNLOAD_API int64_t vais_wasm_set_module_limit(int64_t sandbox, int64_t name, int64_t most);

/// sandbox_allow_dir.
DYNLOAD_API int64_t vais_wasm_allow_dir(int64_t sandbox, int64_t host_path, int64_t guest_path, int64_t writable);

/// sandbox_allow_env.
DYNLOAD_API int64_t vais_wasm_allow_env(int64_t sandbox, int64_t name, int64_t value);

/// sandbox_allow_net.
DYNLOAD_API int64_t vais_wasm_allow_net(int64_t sandbox, int64_t pattern);

/// sandbox_allow_program.
DYNLOAD_API int64_t vais_wasm_allow_program(int64_t sandbox, int64_t path);

/// sandbox_allow_workers.
DYNLOAD_API int64_t vais_wasm_allow_workers(int64_t sandbox, int64_t count);

/// sandbox_allow_gpu.
DYNLOAD_API int64_t vais_wasm_allow_gpu(int64_t sandbox, int64_t worker, int64_t device, int64_t max_memory_bytes);

/// sandbox_set_gpu_limits.
DYNLOAD_API int64_t vais_wasm_set_gpu_limits(int64_t sandbox, int64_t max_invocations, int64_t max_shader_bytes);

/// sandbox_set_config.
DYNLOAD_API int64_t vais_wasm_set_config(int64_t sandbox, int64_t name, int64_t value);

/// sandbox_set_args.
DYNLOAD_API int64_t vais_wasm_set_args(int64_t sandbox, int64_t argv, int64_t argc);

/// sandbox_set_console.
DYNLOAD_API int64_t vais_wasm_set_console(int64_t sandbox, int64_t callback, int64_t userdata);

/// sandbox_host_function.
DYNLOAD_API int64_t vais_wasm_host_function(int64_t sandbox, int64_t module, int64_t name, int64_t signature, int64_t callback, int64_t userdata, int64_t capability);


/// wasm_call.
DYNLOAD_API int64_t vais_wasm_call_i64(int64_t instance, int64_t name);

/// wasm_call1.
DYNLOAD_API int64_t vais_wasm_call_i64_i64(int64_t instance, int64_t name, int64_t arg);

/// wasm_call2.
DYNLOAD_API int64_t vais_wasm_call_i64_i64_i64(int64_t instance, int64_t name, int64_t arg1, int64_t arg2);

/// wasm_call_n.
DYNLOAD_API int64_t vais_wasm_call_n(int64_t instance, int64_t name, int64_t args, int64_t nargs, int64_t results, int64_t nresults);

/// wasm_call_bytes.
DYNLOAD_API int64_t vais_wasm_call_bytes(int64_t instance, int64_t name, int64_t input, int64_t len);

/// wasm_call_bytes_n.
DYNLOAD_API int64_t vais_wasm_call_bytes_n(int64_t instance, int64_t name, int64_t inputs, int64_t lengths, int64_t count);

/// wasm_bytes_size.
DYNLOAD_API int64_t vais_wasm_bytes_size(int64_t result);

/// wasm_bytes_free.
DYNLOAD_API int64_t vais_wasm_bytes_free(int64_t result);

/// wasm_is_valid.
DYNLOAD_API int64_t vais_wasm_is_valid(int64_t instance);

/// wasm_fuel_used.
DYNLOAD_API int64_t vais_wasm_fuel_used(int64_t instance);

/// wasm_peak_memory.
DYNLOAD_API int64_t vais_wasm_peak_memory(int64_t instance);

/// wasm_peak_stack.
DYNLOAD_API int64_t vais_wasm_peak_stack(int64_t instance);

/// wasm_peak_depth.
DYNLOAD_API int64_t vais_wasm_peak_depth(int64_t instance);

/// wasm_gpu_memory.
DYNLOAD_API int64_t vais_wasm_gpu_memory(int64_t instance);

/// wasm_memory_read.
DYNLOAD_API int64_t vais_wasm_memory_read(int64_t instance, int64_t offset, int64_t buf, int64_t len);

/// wasm_memory_write.
DYNLOAD_API int64_t vais_wasm_memory_write(int64_t instance, int64_t offset, int64_t buf, int64_t len);

/// wasm_interrupt.
DYNLOAD_API int64_t vais_wasm_interrupt(int64_t instance);

/// wasm_reset.
DYNLOAD_API int64_t vais_wasm_reset(int64_t instance);

/// wasm_instance_destroy.
DYNLOAD_API int64_t vais_wasm_instance_destroy(int64_t instance);

/// The sandbox of an instance, 0 on failure.
DYNLOAD_API int64_t vais_wasm_instance_sandbox(int64_t instance);

/// wasm_required_capabilities.
DYNLOAD_API int64_t vais_wasm_required_capabilities(int64_t bytes, int64_t len);


/// hot_reloader_new: the handle, 0 on failure.
DYNLOAD_API int64_t vais_hot_reload_create(int64_t source_path);

/// hot_reloader_with_config: the handle, 0 on failure.
DYNLOAD_API int64_t vais_hot_reload_create_with_config(int64_t source_path, int64_t output_dir, int64_t debounce_ms, int64_t verbose);

/// hot_reloader_start: the version that runs, 0 if the first build failed (it runs all the same), -1 on failure.
DYNLOAD_API int64_t vais_hot_reload_start(int64_t handle);

/// hot_reloader_stop: 1 on success, 0 on failure.
DYNLOAD_API int64_t vais_hot_reload_stop(int64_t handle);

/// hot_reloader_check.
DYNLOAD_API int64_t vais_hot_reload_check(int64_t handle);

/// hot_reloader_version.
DYNLOAD_API int64_t vais_hot_reload_get_version(int64_t handle);

/// 1 if a hot reloader is started, 0 if not.
DYNLOAD_API int64_t vais_hot_reload_is_running(int64_t handle);

/// hot_reloader_module: the handle of the module, 0 on failure.
DYNLOAD_API int64_t vais_hot_reload_module(int64_t handle);

/// hot_reloader_get_function.
DYNLOAD_API int64_t vais_hot_reload_get_function(int64_t handle, int64_t name);

/// hot_reloader_wasm: the handle of the instance, 0 on failure.
DYNLOAD_API int64_t vais_hot_reload_wasm(int64_t handle);

/// hot_reloader_sandbox: the handle of the sandbox, 0 on failure.
DYNLOAD_API int64_t vais_hot_reload_sandbox(int64_t handle);

/// hot_reloader_destroy.
DYNLOAD_API int64_t vais_hot_reload_destroy(int64_t handle);


/// plugins_new.
DYNLOAD_API int64_t vais_plugins_new(int64_t dir, int64_t capabilities);

/// plugins_set_config.
DYNLOAD_API int64_t vais_plugins_set_config(int64_t plugins, int64_t id, int64_t name, int64_t value);

/// plugins_set_limits.
DYNLOAD_API int64_t vais_plugins_set_limits(int64_t plugins, int64_t max_memory_bytes, int64_t max_time_ms, int64_t max_stack_bytes, int64_t max_call_depth);

/// plugins_refresh.
DYNLOAD_API int64_t vais_plugins_refresh(int64_t plugins);

/// plugins_watch.
DYNLOAD_API int64_t vais_plugins_watch(int64_t plugins, int64_t interval_ms);

/// plugins_call_bytes.
DYNLOAD_API int64_t vais_plugins_call_bytes(int64_t plugins, int64_t id, int64_t name, int64_t input, int64_t len);

/// plugins_call_bytes_n.
DYNLOAD_API int64_t vais_plugins_call_bytes_n(int64_t plugins, int64_t id, int64_t name, int64_t inputs, int64_t lengths, int64_t count);

/// plugins_next_event.
DYNLOAD_API int64_t vais_plugins_next_event(int64_t plugins);

/// plugins_close.
DYNLOAD_API int64_t vais_plugins_close(int64_t plugins);


/// The user's plugin directory, ~/.vais/plugins/, with a separator at its end; 0 where there is no home
/// directory. The text is never freed.
DYNLOAD_API int64_t vais_get_user_plugin_dir(void);

/// The system's plugin directory, /usr/local/lib/vais/plugins/, with a separator at its end. The text is never freed.
DYNLOAD_API int64_t vais_get_system_plugin_dir(void);

/// discover_plugins: the handle of the list, 0 on failure.
DYNLOAD_API int64_t vais_discover_plugins(void);

/// discover_plugins_in: the handle of the list, 0 on failure.
DYNLOAD_API int64_t vais_discover_plugins_in(int64_t dir);

/// How many plugins are in a list, -1 on failure.
DYNLOAD_API int64_t vais_plugin_count(int64_t list);

/// plugin_id.
DYNLOAD_API int64_t vais_plugin_id(int64_t list, int64_t i);

/// plugin_name.
DYNLOAD_API int64_t vais_plugin_name(int64_t list, int64_t i);

/// plugin_version.
DYNLOAD_API int64_t vais_plugin_version(int64_t list, int64_t i);

/// plugin_path.
DYNLOAD_API int64_t vais_plugin_path(int64_t list, int64_t i);

/// plugin_format.
DYNLOAD_API int64_t vais_plugin_format(int64_t list, int64_t i);

/// plugin_capabilities.
DYNLOAD_API int64_t vais_plugin_capabilities(int64_t list, int64_t i);

/// plugin_problem_count.
DYNLOAD_API int64_t vais_plugin_problem_count(int64_t list);

/// plugin_problem.
DYNLOAD_API int64_t vais_plugin_problem(int64_t list, int64_t i);

/// plugin_set_config.
DYNLOAD_API int64_t vais_plugin_set_config(int64_t list, int64_t i, int64_t name, int64_t value);

/// plugin_admit.
DYNLOAD_API int64_t vais_plugin_admit(int64_t list, int64_t i, int64_t sandbox);

/// plugin_load_module: the handle of the module, 0 on failure.
DYNLOAD_API int64_t vais_plugin_load_module(int64_t list, int64_t i);

/// plugin_list_destroy.
DYNLOAD_API int64_t vais_plugin_list_destroy(int64_t list);

#ifdef __cplusplus
}
#endif

#endif /* DYNLOAD_H */
