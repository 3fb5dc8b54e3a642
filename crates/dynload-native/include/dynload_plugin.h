/*
 * The descriptor of a C or C++ plugin, for a host that loads it with dynload.
 *
 *     #include "dynload_plugin.h"
 *
 *     static int32_t start(const struct dynload_host *host) { return 0; }
 *     static void stop(void) {}
 *
 *     DYNLOAD_PLUGIN("greeter", "1.2.0", start, stop);
 *
 *     DYNLOAD_EXPORT int64_t add(int64_t a, int64_t b) { return a + b; }
 *
 * Build: cc -shared -fPIC greeter.c -o libgreeter.so
 *
 * The descriptor is a constant: the host reads it from the file, and refuses an incompatible plugin before any of
 * its code runs. A plugin without a descriptor is loaded like any shared library.
 */
#ifndef DYNLOAD_PLUGIN_H
#define DYNLOAD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/* The version of the interface between host and plugin that this header describes. */
#define DYNLOAD_PLUGIN_ABI 1u

/* What a panic in the plugin does. C has no panics; 1 unwinds and is caught in the plugin, 2 ends the process. */
#define DYNLOAD_PANIC_NONE 0u
#define DYNLOAD_PANIC_UNWIND 1u
#define DYNLOAD_PANIC_ABORT 2u

/* The information that the host passes to dynload_plugin.init. */
struct dynload_host {
    uint32_t abi_version;    /* DYNLOAD_PLUGIN_ABI of the host */
    uint32_t struct_size;    /* sizeof(struct dynload_host) of the host */
    uint64_t module_version; /* 1 for the first load, one more for each successful reload */
};

struct dynload_plugin {
    uint32_t abi_version; /* DYNLOAD_PLUGIN_ABI */
    uint32_t struct_size; /* sizeof(struct dynload_plugin) */
    uint32_t panic_mode;  /* DYNLOAD_PANIC_* */
    uint32_t reserved;    /* 0 */
    char name[64];        /* NUL-terminated UTF-8, like the next two */
    char version[32];
    char target[48];      /* DYNLOAD_TARGET; empty: not specified */
    /* Called once, before any other code but constructors and dynload_plugin_configure. 0 is success; host is valid during
     * the call. */
    int32_t (*init)(const struct dynload_host *host);
    /* Called at most once, on any thread, after the last call that the host counts ended. Symbols that the host kept
     * can still be called after it. */
    void (*shutdown)(void);
};

#if defined(_WIN32)
#define DYNLOAD_EXPORT_ __declspec(dllexport)
#elif defined(__GNUC__)
#define DYNLOAD_EXPORT_ __attribute__((visibility("default")))
#else
#define DYNLOAD_EXPORT_
#endif

#ifdef __cplusplus
#define DYNLOAD_EXPORT extern "C" DYNLOAD_EXPORT_
#define DYNLOAD_DECLARE_ DYNLOAD_EXPORT
#else
#define DYNLOAD_EXPORT DYNLOAD_EXPORT_
#define DYNLOAD_DECLARE_ DYNLOAD_EXPORT extern
#endif

/*
 * Define it in a plugin that has settings. It receives each setting once, before init: the name and the value are UTF-8
 * with these lengths, each followed by a NUL, and valid during the call. 0 is success; with any other result the plugin is
 * not loaded. A plugin that has settings and does not define it is not loaded.
 *
 *     static char greeting[64] = "Hello";
 *
 *     int32_t dynload_plugin_configure(const char *name, size_t name_length, const char *value, size_t value_length) {
 *         (void)name_length;
 *         if (strcmp(name, "greeting") == 0) {
 *             if (value_length >= sizeof greeting) return 1;
 *             memcpy(greeting, value, value_length + 1);
 *         }
 *         return 0;
 *     }
 */
DYNLOAD_DECLARE_ int32_t dynload_plugin_configure(const char *name, size_t name_length, const char *value,
                                                  size_t value_length);

/* The target, as architecture-system-environment; empty if this header does not know it. */
#if defined(__x86_64__) && !defined(__ILP32__) || defined(_M_X64)
#define DYNLOAD_ARCH_ "x86_64"
#elif defined(__i386__) || defined(_M_IX86)
#define DYNLOAD_ARCH_ "x86"
#elif defined(__aarch64__) && !defined(__ILP32__) || defined(_M_ARM64)
#define DYNLOAD_ARCH_ "aarch64"
#elif defined(__arm__)
#define DYNLOAD_ARCH_ "arm"
#elif defined(__riscv) && __riscv_xlen == 64
#define DYNLOAD_ARCH_ "riscv64"
#elif defined(__riscv) && __riscv_xlen == 32
#define DYNLOAD_ARCH_ "riscv32"
#elif defined(__s390x__)
#define DYNLOAD_ARCH_ "s390x"
#elif defined(__powerpc64__)
#define DYNLOAD_ARCH_ "powerpc64"
#elif defined(__loongarch64) || defined(__loongarch__) && __loongarch_grlen == 64
#define DYNLOAD_ARCH_ "loongarch64"
#endif

#if defined(__ANDROID__) || !defined(DYNLOAD_ARCH_)
#define DYNLOAD_TARGET ""
#elif defined(__linux__) && defined(__GLIBC__)
#define DYNLOAD_TARGET DYNLOAD_ARCH_ "-linux-gnu"
#elif defined(__linux__)
#define DYNLOAD_TARGET DYNLOAD_ARCH_ "-linux-musl"
#elif defined(__APPLE__) && defined(__MACH__)
/* The plain predefined macros do not say which of Apple's systems it is. */
#define DYNLOAD_TARGET ""
#elif defined(_MSC_VER)
#define DYNLOAD_TARGET DYNLOAD_ARCH_ "-windows-msvc"
#elif defined(_WIN32)
#define DYNLOAD_TARGET DYNLOAD_ARCH_ "-windows-gnu"
#else
#define DYNLOAD_TARGET ""
#endif

/* Emits the descriptor. name_ has at most 63 bytes, version_ at most 31; init_ and shutdown_ may be NULL. */
#define DYNLOAD_PLUGIN(name_, version_, init_, shutdown_)                                                    \
    DYNLOAD_DECLARE_ const struct dynload_plugin dynload_plugin_descriptor;                                  \
    const struct dynload_plugin dynload_plugin_descriptor = {                                                \
        DYNLOAD_PLUGIN_ABI, (uint32_t)sizeof(struct dynload_plugin), DYNLOAD_PANIC_NONE, 0u,                 \
        name_, version_, DYNLOAD_TARGET, init_, shutdown_                                                    \
    }

#endif
