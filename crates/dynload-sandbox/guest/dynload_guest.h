/* dynload_guest.h: what a guest in C or C++ imports from dynload, and a kit for plugins that turn texts into texts.
 *
 * No C library is needed. This is a whole plugin:
 *
 *     #include "dynload_guest.h"
 *
 *     static int32_t shout(dynload_bytes text) {
 *         for (size_t n = 0; n < text.len; n++)
 *             if (text.data[n] >= 'a' && text.data[n] <= 'z') text.data[n] -= 'a' - 'A';
 *         return dynload_ok(text);
 *     }
 *     DYNLOAD_EXPORT_BYTES(shout);
 *
 * Build: clang --target=wasm32 -O2 -mbulk-memory -ffreestanding -nostdlib -Wl,--no-entry -o plugin.wasm plugin.c
 * With wasi-libc: clang --target=wasm32-wasi -O2 -mbulk-memory -mexec-model=reactor -o plugin.wasm plugin.c
 *
 * -mbulk-memory makes a copy one instruction, which costs a fraction of the fuel of a loop. Without -ffreestanding, clang may
 * turn a loop into a call of a function of the C library.
 *
 * All pointers are addresses in the memory that the module exports as `memory`; numbers in it are little-endian. Texts are
 * UTF-8 with a length and without a terminating NUL, unless noted otherwise. An address that is not in the memory ends the
 * call, even with the length 0, and so does a function of `vais` whose capability the host did not grant. The comments have
 * the imports in the text format too, for guests in other languages.
 */
#ifndef DYNLOAD_GUEST_H
#define DYNLOAD_GUEST_H

#ifndef __wasm__
#error "dynload_guest.h is for WebAssembly: compile with clang --target=wasm32 or --target=wasm32-wasi"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define DYNLOAD_C extern "C"
extern "C" {
#else
#define DYNLOAD_C extern
#endif

#define DYNLOAD_IMPORT(module, name) __attribute__((import_module(#module), import_name(#name)))

/* ---- Calls with bytes ----------------------------------------------------------------------------------------------
 *
 * The host calls an export with arguments of bytes. The export has an i32 parameter for the length of each argument, and
 * returns an i32: 0, or 1 if the result is the text of an error. These functions need no capability. Outside of a call with
 * bytes, the first two end the call.
 */

/* (import "vais" "read_args" (func (param $to i32)))
 *
 * Copies the arguments, one after the other. There must be room for the sum of the lengths. */
DYNLOAD_IMPORT(vais, read_args)
void vais_read_args(void *to);

/* (import "vais" "set_result" (func (param $from i32) (param $len i32)))
 *
 * Copies the result. A later call replaces it; without a call, the result is empty. It counts as memory of the guest. */
DYNLOAD_IMPORT(vais, set_result)
void vais_set_result(const void *from, size_t len);

/* (import "vais" "config_get" (func (param $name i32) (param $name_len i32) (param $to i32) (param $room i32) (result i32)))
 *
 * Copies as much of a value of the plugin's configuration as there is room for. Returns the length of the whole value, or -1
 * if it is not set. */
DYNLOAD_IMPORT(vais, config_get)
int32_t vais_config_get(const char *name, size_t name_len, void *to, size_t room);

/* ---- CONSOLE -------------------------------------------------------------------------------------------------------
 */

/* (import "vais" "print" (func (param $text i32) (param $len i32)))
 *
 * Writes to the standard output. */
DYNLOAD_IMPORT(vais, print)
void vais_print(const char *text, size_t len);

/* (import "vais" "println" (func (param $text i32) (param $len i32)))
 *
 * Writes to the standard output, with a line break after the text. */
DYNLOAD_IMPORT(vais, println)
void vais_println(const char *text, size_t len);

enum dynload_level {
    DYNLOAD_TRACE = 0,
    DYNLOAD_DEBUG = 1,
    DYNLOAD_INFO = 2,
    DYNLOAD_WARN = 3,
    DYNLOAD_ERROR = 4
};

/* (import "vais" "log" (func (param $level i32) (param $text i32) (param $len i32)))
 *
 * Writes a line to the standard error, such as `warn: TEXT`. */
DYNLOAD_IMPORT(vais, log)
void vais_log(int32_t level, const char *text, size_t len);

/* ---- TIME ----------------------------------------------------------------------------------------------------------
 */

/* (import "vais" "now_ms" (func (result i64)))
 *
 * Returns the milliseconds since 1970, or since some fixed moment if the host hides the date. */
DYNLOAD_IMPORT(vais, now_ms)
int64_t vais_now_ms(void);

/* (import "vais" "sleep_ms" (func (param $ms i64)))
 *
 * Sleeps. A negative time counts as zero. */
DYNLOAD_IMPORT(vais, sleep_ms)
void vais_sleep_ms(int64_t ms);

/* ---- RANDOM --------------------------------------------------------------------------------------------------------
 */

/* (import "vais" "random" (func (result i64)))
 *
 * Returns 64 random bits. */
DYNLOAD_IMPORT(vais, random)
int64_t vais_random(void);

/* (import "vais" "random_range" (func (param $min i64) (param $max i64) (result i64)))
 *
 * Returns a random number from min to max - 1; each is equally likely. Traps if min >= max. */
DYNLOAD_IMPORT(vais, random_range)
int64_t vais_random_range(int64_t min, int64_t max);

/* ---- Errors of the functions below ---------------------------------------------------------------------------------
 *
 * WASI preview 1 has no functions to connect a socket, run a program or start a worker. dynload provides these. Each
 * returns a WASI errno: 0 on success, DYNLOAD_ENOTCAPABLE if the host did not grant the capability, or granted it only for
 * something else. These are all errnos of WASI, with the numbers of wasi-libc.
 */
enum dynload_errno {
    DYNLOAD_E2BIG = 1, DYNLOAD_EACCES = 2, DYNLOAD_EADDRINUSE = 3, DYNLOAD_EADDRNOTAVAIL = 4, DYNLOAD_EAFNOSUPPORT = 5,
    DYNLOAD_EAGAIN = 6, DYNLOAD_EALREADY = 7, DYNLOAD_EBADF = 8, DYNLOAD_EBADMSG = 9, DYNLOAD_EBUSY = 10,
    DYNLOAD_ECANCELED = 11, DYNLOAD_ECHILD = 12, DYNLOAD_ECONNABORTED = 13, DYNLOAD_ECONNREFUSED = 14,
    DYNLOAD_ECONNRESET = 15, DYNLOAD_EDEADLK = 16, DYNLOAD_EDESTADDRREQ = 17, DYNLOAD_EDOM = 18, DYNLOAD_EDQUOT = 19,
    DYNLOAD_EEXIST = 20, DYNLOAD_EFAULT = 21, DYNLOAD_EFBIG = 22, DYNLOAD_EHOSTUNREACH = 23, DYNLOAD_EIDRM = 24,
    DYNLOAD_EILSEQ = 25, DYNLOAD_EINPROGRESS = 26, DYNLOAD_EINTR = 27, DYNLOAD_EINVAL = 28, DYNLOAD_EIO = 29,
    DYNLOAD_EISCONN = 30, DYNLOAD_EISDIR = 31, DYNLOAD_ELOOP = 32, DYNLOAD_EMFILE = 33, DYNLOAD_EMLINK = 34,
    DYNLOAD_EMSGSIZE = 35, DYNLOAD_EMULTIHOP = 36, DYNLOAD_ENAMETOOLONG = 37, DYNLOAD_ENETDOWN = 38,
    DYNLOAD_ENETRESET = 39, DYNLOAD_ENETUNREACH = 40, DYNLOAD_ENFILE = 41, DYNLOAD_ENOBUFS = 42, DYNLOAD_ENODEV = 43,
    DYNLOAD_ENOENT = 44, DYNLOAD_ENOEXEC = 45, DYNLOAD_ENOLCK = 46, DYNLOAD_ENOLINK = 47, DYNLOAD_ENOMEM = 48,
    DYNLOAD_ENOMSG = 49, DYNLOAD_ENOPROTOOPT = 50, DYNLOAD_ENOSPC = 51, DYNLOAD_ENOSYS = 52, DYNLOAD_ENOTCONN = 53,
    DYNLOAD_ENOTDIR = 54, DYNLOAD_ENOTEMPTY = 55, DYNLOAD_ENOTRECOVERABLE = 56, DYNLOAD_ENOTSOCK = 57,
    DYNLOAD_ENOTSUP = 58, DYNLOAD_ENOTTY = 59, DYNLOAD_ENXIO = 60, DYNLOAD_EOVERFLOW = 61, DYNLOAD_EOWNERDEAD = 62,
    DYNLOAD_EPERM = 63, DYNLOAD_EPIPE = 64, DYNLOAD_EPROTO = 65, DYNLOAD_EPROTONOSUPPORT = 66, DYNLOAD_EPROTOTYPE = 67,
    DYNLOAD_ERANGE = 68, DYNLOAD_EROFS = 69, DYNLOAD_ESPIPE = 70, DYNLOAD_ESRCH = 71, DYNLOAD_ESTALE = 72,
    DYNLOAD_ETIMEDOUT = 73, DYNLOAD_ETXTBSY = 74, DYNLOAD_EXDEV = 75, DYNLOAD_ENOTCAPABLE = 76
};

/* ---- NETWORK -------------------------------------------------------------------------------------------------------
 *
 * A socket is a file descriptor: read and write it with `read`, `write`, `sock_recv`, `sock_send`, wait for it with
 * `poll`, shut it down with `sock_shutdown` (`shutdown`), close it with `close`. Accept connections to a listening socket
 * with `sock_accept` (`accept` in newer C libraries).
 *
 * `host` is a name or an address, IPv6 with or without brackets. The host resolves names. A name or address that the
 * scopes do not list returns DYNLOAD_ENOTCAPABLE, and so does a name that resolves to addresses that they do not list. Each
 * of the host's own addresses, public or not, must be listed as itself, not by a range. The unspecified addresses
 * (`0.0.0.0`, `::`) are for listening only: connecting or sending to one returns DYNLOAD_ENOTCAPABLE.
 *
 * The host's resolver looks names up, and a lookup cannot be canceled: if the call ends first, the lookup runs to its
 * end and its result is dropped. DYNLOAD_EAGAIN: too many lookups are in flight, in the instance or in the whole process.
 */

/* Written by the functions below: the descriptor and the local port. */
typedef struct dynload_socket {
    uint32_t fd;
    uint32_t port;
} dynload_socket;

/* (import "dynload" "tcp_connect" (func (param $host i32) (param $host_len i32) (param $port i32) (param $out i32) (result i32)))
 *
 * Connects. Tries the addresses of a name one after the other until one accepts; each has a share of the time that is
 * left. A socket that is not connected when the call ends is closed. DYNLOAD_ENOENT: no host has that name.
 * DYNLOAD_ECONNREFUSED, DYNLOAD_ETIMEDOUT, ...: as connect(2). */
DYNLOAD_IMPORT(dynload, tcp_connect)
int32_t dynload_tcp_connect(const char *host, size_t host_len, uint32_t port, dynload_socket *out);

/* (import "dynload" "tcp_listen" (func (param $host i32) (param $host_len i32) (param $port i32) (param $out i32) (result i32)))
 *
 * Listens. With port 0 the system chooses a port, if the scopes list port 0 (as `*` does). */
DYNLOAD_IMPORT(dynload, tcp_listen)
int32_t dynload_tcp_listen(const char *host, size_t host_len, uint32_t port, dynload_socket *out);

/* (import "dynload" "udp_bind" (func (param $host i32) (param $host_len i32) (param $port i32)
 *                                    (param $peer i32) (param $peer_len i32) (param $peer_port i32) (param $out i32) (result i32)))
 *
 * Creates a datagram socket. With a peer, it sends to and receives from that peer only; `host` may then be `0.0.0.0` (`::`
 * for a peer with an IPv6 address) and `port` 0, which need no pattern of their own: with `dns.example:53` listed, a guest
 * can query it. Without a peer (`peer_len` 0), the scopes must list `host` and `port`; the socket receives from any address
 * and sends to the sender of the last received datagram, if the scopes list that address; DYNLOAD_EDESTADDRREQ before the
 * first. */
DYNLOAD_IMPORT(dynload, udp_bind)
int32_t dynload_udp_bind(const char *host, size_t host_len, uint32_t port, const char *peer, size_t peer_len,
                         uint32_t peer_port, dynload_socket *out);

/* ---- PROCESS -------------------------------------------------------------------------------------------------------
 *
 * Runs one program that the scopes list, by its absolute path, with the arguments as passed (no shell), no environment and
 * `/` as its working directory, and waits until it exits. It inherits no descriptor, no terminal and no ignored signal from
 * the host. When it has exited, or the time of the call is up, everything that it started is killed.
 */
typedef struct dynload_process {
    const char *program;      /*  0 */
    uint32_t program_len;     /*  4 */
    const char *args;         /*  8: the arguments after the program's own name, each NUL-terminated */
    uint32_t args_len;        /* 12: total bytes, including the NULs */
    const void *input;        /* 16: standard input of the program */
    uint32_t input_len;       /* 20 */
    void *output;             /* 24: buffer for its standard output */
    uint32_t output_room;     /* 28 */
    void *errors;             /* 32: buffer for its standard error */
    uint32_t errors_room;     /* 36 */
    /* Written when it has exited: */
    int32_t status;           /* 40: its exit code, or 128 + the number of the signal that killed it; -1 if the exit
                                     status is unknown (the host ignores SIGCHLD) */
    uint32_t output_len;      /* 44: bytes that it wrote; bytes that did not fit into the buffer are lost */
    uint32_t errors_len;      /* 48 */
} dynload_process;            /* 52 bytes */

/* (import "dynload" "process_run" (func (param $process i32) (result i32)))
 *
 * DYNLOAD_ENOTCAPABLE: the scopes do not list the program. DYNLOAD_E2BIG: more than 128 KiB or 1024 arguments.
 * DYNLOAD_ENOENT, DYNLOAD_EACCES, ...: as execve(2). */
DYNLOAD_IMPORT(dynload, process_run)
int32_t dynload_process_run(dynload_process *process);

/* ---- THREADING -----------------------------------------------------------------------------------------------------
 *
 * A worker is a new instance of the same module, with its own memory, on its own thread: nothing is shared. It calls
 * one exported function with one number and returns one number; to pass more, use files, sockets and the console. A worker
 * is initialized as its module is elsewhere: by the start function, and in a reactor by `_initialize`. Workers burn the fuel
 * of the call that started them, have its deadline and its capabilities, and are stopped when it ends. The console output of a worker appears when the worker is
 * joined, or when the call ends.
 */

/* (import "dynload" "thread_spawn" (func (param $export i32) (param $export_len i32) (param $arg i64) (param $thread_out i32) (result i32)))
 *
 * Starts a worker that calls the export, of type (i64) -> i64. DYNLOAD_EAGAIN: as many workers as the host allows are
 * already running, or have ended and are not joined. */
DYNLOAD_IMPORT(dynload, thread_spawn)
int32_t dynload_thread_spawn(const char *export_name, size_t export_len, int64_t arg, uint32_t *thread_out);

/* (import "dynload" "thread_join" (func (param $thread i32) (param $result_out i32) (result i32)))
 *
 * Waits for a worker and returns its result. DYNLOAD_ESRCH: no such worker, or it was already joined. DYNLOAD_ECANCELED: it
 * trapped, exited, exceeded its memory or stack limit, or has no such export. A worker that exceeds a limit that it
 * shares with this call (fuel or time) ends this call too. */
DYNLOAD_IMPORT(dynload, thread_join)
int32_t dynload_thread_join(uint32_t thread, int64_t *result_out);

/* ---- GPU -----------------------------------------------------------------------------------------------------------
 *
 * Compute shaders in WGSL, on the devices that the scopes open. A shader reads and writes buffers, which are filled with
 * zeros when they are created. Buffers, kernels and devices are numbers of this instance; they live until they are freed, or
 * until the instance is reset. Limits are those of WebGPU: 256 invocations in a workgroup, 65535 workgroups in a dimension,
 * 8 storage and 12 uniform resources in a kernel, all in `@group(0)`.
 *
 * Every function returns DYNLOAD_ENOTCAPABLE without the capability or without a device in the scopes, DYNLOAD_ENOSYS where
 * the host has no GPUs and in a worker, DYNLOAD_ENODEV if there is no device of that number or if it was lost, which lasts
 * until the instance is reset, and DYNLOAD_EBADF for a buffer or kernel that does not exist.
 *
 * What is submitted ends with the call: a call that returns waits for it, within its time, and a call that fails stops it.
 * Fuel is charged for bytes and for invocations; a loop in a shader is limited by the time of the call alone.
 */
typedef struct dynload_gpu_info {
    uint32_t kind;              /*   0: 0 other, 1 integrated, 2 discrete, 3 virtual, 4 a driver on the processor */
    uint32_t name_len;          /*   4 */
    char name[128];             /*   8: not NUL-terminated, cut to its room */
    uint64_t max_memory_bytes;  /* 136: of all buffers of this instance together */
    uint64_t memory_left;       /* 144 */
    uint64_t invocations_left;  /* 152: in this call */
    uint64_t max_shader_bytes;  /* 160 */
} dynload_gpu_info;             /* 168 bytes */

typedef struct dynload_gpu_shader {
    const char *source;         /*  0: a shader in WGSL */
    uint32_t source_len;        /*  4 */
    const char *entry_point;    /*  8: the name of a function with `@compute` */
    uint32_t entry_point_len;   /* 12 */
    char *message;              /* 16: buffer for the compiler's message */
    uint32_t message_room;      /* 20 */
    /* Written: */
    uint32_t kernel;            /* 24 */
    uint32_t workgroup_size[3]; /* 28 */
    uint32_t message_len;       /* 40: the message is cut to its room */
} dynload_gpu_shader;           /* 44 bytes */

typedef struct dynload_gpu_binding {
    uint32_t binding;           /*  0: the number in the shader's `@binding` */
    uint32_t buffer;            /*  4 */
    uint64_t at;                /*  8: offset in bytes, a multiple of 256 */
    uint64_t size;              /* 16: bytes, a multiple of 4 */
} dynload_gpu_binding;          /* 24 bytes */

typedef struct dynload_gpu_dispatch {
    uint32_t kernel;            /*  0 */
    uint32_t x, y, z;           /*  4: workgroups in each dimension, from 0 to 65535 */
    const dynload_gpu_binding *bindings; /* 16: one for each resource of the kernel, in any order */
    uint32_t count;             /* 20 */
    uint32_t zero;              /* 24 */
} dynload_gpu_dispatch;         /* 28 bytes */

enum {
    DYNLOAD_GPU_STORAGE = 1,
    DYNLOAD_GPU_UNIFORM = 2
};

/* (import "dynload" "gpu_device_count" (func (param $count_out i32) (result i32)))
 *
 * Devices are numbered from 0. */
DYNLOAD_IMPORT(dynload, gpu_device_count)
int32_t dynload_gpu_device_count(uint32_t *count_out);

/* (import "dynload" "gpu_device_info" (func (param $device i32) (param $info_out i32) (result i32))) */
DYNLOAD_IMPORT(dynload, gpu_device_info)
int32_t dynload_gpu_device_info(uint32_t device, dynload_gpu_info *info_out);

/* (import "dynload" "gpu_buffer" (func (param $device i32) (param $size i64) (param $usage i32) (param $buffer_out i32) (result i32)))
 *
 * Creates a buffer that can be bound as `var<storage>` (DYNLOAD_GPU_STORAGE), as `var<uniform>` (DYNLOAD_GPU_UNIFORM), or both.
 * DYNLOAD_EINVAL: the size is 0 or not a multiple of 4, or the usage is unknown. DYNLOAD_ENOMEM: more than the memory left, or
 * than 256 MiB. DYNLOAD_EMFILE: 256 buffers exist. */
DYNLOAD_IMPORT(dynload, gpu_buffer)
int32_t dynload_gpu_buffer(uint32_t device, uint64_t size, uint32_t usage, uint32_t *buffer_out);

/* (import "dynload" "gpu_kernel" (func (param $device i32) (param $shader i32) (result i32)))
 *
 * Compiles a shader. DYNLOAD_EINVAL: the compiler's message says what is wrong. DYNLOAD_E2BIG: more bytes than allowed.
 * DYNLOAD_EILSEQ: not UTF-8. DYNLOAD_EMFILE: 64 kernels exist. */
DYNLOAD_IMPORT(dynload, gpu_kernel)
int32_t dynload_gpu_kernel(uint32_t device, dynload_gpu_shader *shader);

/* (import "dynload" "gpu_write" (func (param $buffer i32) (param $at i64) (param $ptr i32) (param $len i32) (result i32)))
 *
 * Copies to a buffer, after what was submitted before. DYNLOAD_EINVAL: beyond the end, or `at` or `len` is not a multiple of 4. */
DYNLOAD_IMPORT(dynload, gpu_write)
int32_t dynload_gpu_write(uint32_t buffer, uint64_t at, const void *ptr, size_t len);

/* (import "dynload" "gpu_submit" (func (param $device i32) (param $dispatches i32) (param $count i32) (result i32)))
 *
 * Starts dispatches, which run in order, and does not wait for them. If one is wrong, none starts. DYNLOAD_EINVAL: bindings that
 * the kernel does not declare or that do not fit their declaration, or a buffer that a dispatch writes and that another of its
 * bindings reads, or writes at the same place. DYNLOAD_E2BIG: more than 256 dispatches, or than the invocations left. */
DYNLOAD_IMPORT(dynload, gpu_submit)
int32_t dynload_gpu_submit(uint32_t device, const dynload_gpu_dispatch *dispatches, size_t count);

/* (import "dynload" "gpu_wait" (func (param $device i32) (result i32)))
 *
 * Waits until everything that was submitted has been executed. */
DYNLOAD_IMPORT(dynload, gpu_wait)
int32_t dynload_gpu_wait(uint32_t device);

/* (import "dynload" "gpu_read" (func (param $buffer i32) (param $at i64) (param $ptr i32) (param $len i32) (result i32)))
 *
 * Waits as `gpu_wait`, and copies from a buffer. DYNLOAD_EINVAL: as `gpu_write`. */
DYNLOAD_IMPORT(dynload, gpu_read)
int32_t dynload_gpu_read(uint32_t buffer, uint64_t at, void *ptr, size_t len);

/* (import "dynload" "gpu_free" (func (param $handle i32) (result i32)))
 *
 * Frees a buffer or a kernel. Dispatches that use it still run. */
DYNLOAD_IMPORT(dynload, gpu_free)
int32_t dynload_gpu_free(uint32_t handle);

/* ---- A kit for calls with bytes ------------------------------------------------------------------------------------
 */

/* Bytes, such as a text in UTF-8. */
typedef struct dynload_bytes {
    char *data;
    size_t len;
} dynload_bytes;

/* The memory of dynload_alloc: a part of the grown memory. */
struct dynload_arena {
    size_t base, next, end;
};
static struct dynload_arena dynload_arena;

/* Returns memory that is valid until the call ends, aligned to 16 bytes. The module's memory grows as needed. If the memory
 * limit of the host denies it, the guest traps, and the host's error reports the denied growth. */
static inline void *dynload_alloc(size_t size) {
    const size_t page = 65536;
    if (size > SIZE_MAX - 2 * page) __builtin_trap();
    size = (size + 15) & ~(size_t)15;
    if (size > dynload_arena.end - dynload_arena.next) {
        size_t top = __builtin_wasm_memory_size(0) * page;
        /* The first time, or if others (malloc) have grown the memory since. */
        if (dynload_arena.end != top) dynload_arena.base = dynload_arena.next = dynload_arena.end = top;
        size_t pages = (size - (dynload_arena.end - dynload_arena.next) + page - 1) / page;
        if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) __builtin_trap();
        dynload_arena.end += pages * page;
    }
    size_t at = dynload_arena.next;
    dynload_arena.next += size;
    return (void *)at;
}

/* Copies bytes that do not overlap, and returns the end of the copy. */
static inline char *dynload_copy(char *to, const char *from, size_t len) {
#ifdef __wasm_bulk_memory__
    __builtin_memcpy(to, from, len);
#else
    for (size_t n = 0; n < len; n++) {
        to[n] = from[n];
        __asm__ volatile(""); /* Otherwise clang makes it a call of memcpy. */
    }
#endif
    return to + len;
}

/* Returns the bytes of a NUL-terminated text. They are not copied, so do not write to them. */
static inline dynload_bytes dynload_text(const char *text) {
    dynload_bytes bytes = {(char *)(uintptr_t)text, 0};
    while (text[bytes.len]) {
        bytes.len++;
        __asm__ volatile(""); /* Otherwise clang makes it a call of strlen. */
    }
    return bytes;
}

/* Returns parts, one after the other, in memory of dynload_alloc. */
static inline dynload_bytes dynload_join(const dynload_bytes *parts, size_t count) {
    dynload_bytes joined = {NULL, 0};
    for (size_t n = 0; n < count; n++)
        if (__builtin_add_overflow(joined.len, parts[n].len, &joined.len)) __builtin_trap();
    char *end = joined.data = (char *)dynload_alloc(joined.len);
    for (size_t n = 0; n < count; n++) end = dynload_copy(end, parts[n].data, parts[n].len);
    return joined;
}

/* Returns a value of the plugin's configuration in memory of dynload_alloc, or `otherwise` if it is not set; this can be
 * NULL. Both are NUL-terminated. */
static inline dynload_bytes dynload_config(const char *name, const char *otherwise) {
    dynload_bytes key = dynload_text(name), value = {NULL, 0};
    int32_t len = vais_config_get(key.data, key.len, NULL, 0);
    if (len < 0) return otherwise ? dynload_text(otherwise) : value;
    value.len = (size_t)len;
    value.data = (char *)dynload_alloc(value.len);
    vais_config_get(key.data, key.len, value.data, value.len);
    return value;
}

/* Returns the arguments of the call, one after the other, in memory of dynload_alloc. `len` is the sum of their lengths.
 * Frees all memory of dynload_alloc, so call it once, before anything else. */
static inline char *dynload_args(size_t len) {
    dynload_arena.next = dynload_arena.base;
    char *args = (char *)dynload_alloc(len);
    vais_read_args(args);
    return args;
}

/* Sets the result, and returns what the export has to return. */
static inline int32_t dynload_ok(dynload_bytes result) {
    vais_set_result(result.data, result.len);
    return 0;
}

/* Sets the text of an error, and returns what the export has to return. */
static inline int32_t dynload_error(dynload_bytes text) {
    vais_set_result(text.data, text.len);
    return 1;
}

/* Exports the function that follows.
 *
 *     DYNLOAD_EXPORT(join) int32_t join(size_t first_len, size_t second_len) {
 *         char *first = dynload_args(first_len + second_len), *second = first + first_len;
 *         ...
 */
#define DYNLOAD_EXPORT(name) __attribute__((export_name(#name)))

/* Exports a function `int32_t name(dynload_bytes)` for calls with one argument. It may write to its argument. */
#define DYNLOAD_EXPORT_BYTES(name)                                                                                   \
    DYNLOAD_C DYNLOAD_EXPORT(name) int32_t dynload_export_##name(size_t len);                                        \
    int32_t dynload_export_##name(size_t len) {                                                                      \
        dynload_bytes argument = {dynload_args(len), len};                                                           \
        return name(argument);                                                                                       \
    }                                                                                                                \
    DYNLOAD_C int32_t dynload_export_##name(size_t len)

#ifdef __cplusplus
}
#endif

#endif /* DYNLOAD_GUEST_H */
