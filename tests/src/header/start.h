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
