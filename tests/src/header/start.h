/* dynload: loading native modules, running WebAssembly plugins in a sandbox, hot reload, discovery.
 *
 * Generated from the source of dynload-ffi by `cargo xtask header`; do not edit.
 *
 * Numbers. Every argument, field and result is an int64_t. A text is the address of its characters, which end with a NUL and
 * are UTF-8 (paths may have any bytes where the system allows that, but those of sandbox_allow_dir and sandbox_allow_program);
 * the functions that end in _str take `const char *`. Lengths and counts must not be negative.
 *
 * Errors. A function that fails gives 0, an empty struct, or what its documentation says, and sets the error of this thread;
 * one that succeeds clears it. So after a wasm_call that gave 0, get_load_error_code() tells whether it failed. Functions whose
 * documentation says that they leave the error as it is only look.
 *
 * Handles. A handle may be wrong in any way: 0, made up, of another kind, destroyed before, from any thread, twice. That is an
 * error and nothing worse. A pointer that is not null must point to what the documentation says.
 *
 * Threads. Every function may be called from any thread at any time, also from callbacks. Nothing waits but: loading, building
 * and calling take the time that they take; calls of several threads into one Wasm instance wait for each other, and so do
 * changes of a sandbox for loads into it; hot_reloader_start waits for the first build, hot_reloader_stop for its thread. From
 * within a callback of a plugin nothing waits for another plugin: what is in use is an error then (DYNLOAD_ERROR_BUSY).
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
