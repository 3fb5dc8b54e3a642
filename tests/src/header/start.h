/* dynload: loading native modules, running WebAssembly plugins in a sandbox, hot reload, discovery.
 *
 * Generated from the source of dynload-ffi by `cargo xtask header`; do not edit.
 *
 * Numbers. Every argument, field and result is an int64_t. A text is the address of its characters, which end with a NUL and
 * are UTF-8 (paths may have any bytes where the system allows that, but those of sandbox_allow_dir and sandbox_allow_program);
 * the functions that end in _str take `const char *`. Lengths and counts must not be negative.
 *
 * Errors. A function that fails gives 0, an empty struct, or what its documentation says, and sets the error of this thread;
 * one that succeeds clears it. The text is one line of at most 16 KiB (up to 160 KiB with the lines of a compiler), in which
 * names that plugins and files chose have their control characters escaped, \u{1b}, and are cut when they are long. So after
 * a wasm_call that gave 0, get_load_error_code() tells whether it failed. Functions whose documentation says that they leave
 * the error as it is only look.
 *
 * Handles. A handle may be wrong in any way: 0, made up, of another kind, destroyed before, from any thread, twice. That is an
 * error and nothing worse. A pointer that is not null must point to what the documentation says.
 *
 * Threads. Every function may be called from any thread at any time, also from callbacks. Nothing waits but: loading, building
 * and calling take the time that they take; calls of several threads into one Wasm instance wait for each other, and so do
 * changes of a sandbox for loads into it; hot_reloader_start waits for the first build, hot_reloader_stop for its thread. From
 * within a callback of a plugin nothing waits for another plugin: what is in use is an error then (DYNLOAD_ERROR_BUSY).
 *
 * One object may be used by several threads at once, whatever it is; get_load_error and the texts that it gives are a thread's
 * own.
 *
 * Callbacks. A host function and a console may call every function, on whichever thread they run: the one that called the
 * plugin, or one of the plugin's own. What they would have to wait for is DYNLOAD_ERROR_BUSY. They have to return. An exception
 * of C++ that leaves one, or pthread_exit or a cancellation in one, ends the process with a message (abort). longjmp out of one
 * is undefined, as it is out of any code with destructors: the plugin would run for ever in the eyes of the library. A callback
 * may fork, and its child is like any other.
 *
 * Signals. A signal handler may call wasm_interrupt and vais_wasm_interrupt, and nothing else: they are async-signal-safe,
 * change neither errno nor the error of the thread, and wait for nobody, whatever the library was doing at that moment. The
 * library installs no handler, changes no disposition and no mask of the caller's threads, and relies on none; SIGCHLD may be
 * ignored or reaped by the program. Its own threads block no signals, so a handler may run on one of them.
 *
 * errno. Every function but the two above may change errno, and none says anything by it.
 *
 * Fork. A child has only the thread that called fork. It may at once call exec, _exit and wasm_interrupt. It may call everything
 * else where no other thread was inside of the library, which is so in a program with one thread and without hot reload: then
 * what was loaded goes on in both, limits of time included. What needs a thread that stayed behind does not: a hot reloader
 * notices nothing, and stopping or destroying it may wait for ever. Copies of native modules and builds are the parent's, and no
 * child removes them. In any other case a function may wait for a thread that is not there.
 *
 * Memory. Texts that are returned belong to the library and live as long as their documentation says.
 *
 * A program that defines some of these functions itself, as a compiled Vais program does, links against the library all the
 * same; it defines DYNLOAD_ONLY_PRIMITIVES before it includes this file, which then has the vais_ functions, the constants and
 * the types of callbacks only. */

#ifndef DYNLOAD_H
#define DYNLOAD_H

#include <stdint.h>
#include <stdlib.h> /* getenv */
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

/* Flags of vais_module_load. They have these values on every platform; those of dlopen, without DYNLOAD_, are the
 * platform's own. */
