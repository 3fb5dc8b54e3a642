/* dynload_guest.h: the `dynload.*` imports, for guests in C (and, in the comments, in WAT).
 *
 * WASI preview 1 has no functions to connect a socket, run a program or start a worker. dynload provides these. Each
 * returns a WASI errno: 0 on success, 76 (NOTCAPABLE) if the host did not grant the capability, or granted it only for
 * something else. Include this file and compile with
 *
 *     clang --target=wasm32-wasi guest.c -o guest.wasm
 *
 * All pointers are addresses in the memory that the module exports as `memory`; numbers in it are little-endian.
 * Strings are UTF-8 with a length and without a terminating NUL, unless noted otherwise.
 */
#ifndef DYNLOAD_GUEST_H
#define DYNLOAD_GUEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DYNLOAD_IMPORT(name) __attribute__((import_module("dynload"), import_name(#name)))

/* ---- NETWORK -------------------------------------------------------------------------------------------------------
 *
 * A socket is a file descriptor: read and write it with `read`, `write`, `sock_recv`, `sock_send`, wait for it with
 * `poll`, shut it down with `sock_shutdown` (`shutdown`), close it with `close`. Accept connections to a listening socket
 * with `sock_accept` (`accept` in newer C libraries).
 *
 * `host` is a name or an address, IPv6 with or without brackets. The host resolves names. A name or address that the
 * scopes do not list returns 76, and so does a name that resolves to addresses that they do not list. Each of the host's
 * own addresses, public or not, must be listed as itself, not by a range. The unspecified addresses (`0.0.0.0`, `::`) are
 * for listening only: connecting or sending to one returns 76.
 *
 * The host's resolver looks names up, and a lookup cannot be canceled: if the call ends first, the lookup runs to its
 * end and its result is dropped. 6 (AGAIN): too many lookups are in flight, in the instance or in the whole process.
 */

/* Written by the functions below: the descriptor and the local port. */
typedef struct dynload_socket {
    uint32_t fd;
    uint32_t port;
} dynload_socket;

/* (import "dynload" "tcp_connect" (func (param $host i32) (param $host_len i32) (param $port i32) (param $out i32) (result i32)))
 *
 * Connects. Tries the addresses of a name one after the other until one accepts; each has a share of the time that is
 * left. A socket that is not connected when the call ends is closed. 44 (NOENT): no host has that name.
 * 14 (CONNREFUSED), 73 (TIMEDOUT), ...: as connect(2). */
DYNLOAD_IMPORT(tcp_connect)
int32_t dynload_tcp_connect(const char *host, size_t host_len, uint32_t port, dynload_socket *out);

/* (import "dynload" "tcp_listen" (func (param $host i32) (param $host_len i32) (param $port i32) (param $out i32) (result i32)))
 *
 * Listens. With port 0 the system chooses a port, if the scopes list port 0 (as `*` does). */
DYNLOAD_IMPORT(tcp_listen)
int32_t dynload_tcp_listen(const char *host, size_t host_len, uint32_t port, dynload_socket *out);

/* (import "dynload" "udp_bind" (func (param $host i32) (param $host_len i32) (param $port i32)
 *                                    (param $peer i32) (param $peer_len i32) (param $peer_port i32) (param $out i32) (result i32)))
 *
 * Creates a datagram socket. With a peer, it sends to and receives from that peer only; `host` may then be `0.0.0.0` (`::`
 * for a peer with an IPv6 address) and `port` 0, which need no pattern of their own: with `dns.example:53` listed, a guest
 * can query it. Without a peer (`peer_len` 0), the scopes must list `host` and `port`; the socket receives from any address
 * and sends to the sender of the last received datagram, if the scopes list that address; 17 (DESTADDRREQ) before the
 * first. */
DYNLOAD_IMPORT(udp_bind)
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
 * 76 (NOTCAPABLE): the scopes do not list the program. 1 (2BIG): more than 128 KiB or 1024 arguments. 44 (NOENT), 2 (ACCES),
 * ...: as execve(2). */
DYNLOAD_IMPORT(process_run)
int32_t dynload_process_run(dynload_process *process);

/* ---- THREADING -----------------------------------------------------------------------------------------------------
 *
 * A worker is a new instance of the same module, with its own memory, on its own thread: nothing is shared. It calls
 * one exported function with one number and returns one number; to pass more, use files, sockets and the console. A worker
 * is initialized as its module is elsewhere: by the start function, and in a reactor by `_initialize`. Workers burn the fuel of the call that started them, have its
 * deadline and its capabilities, and are stopped when it ends. The console output of a worker appears when the worker is
 * joined, or when the call ends.
 */

/* (import "dynload" "thread_spawn" (func (param $export i32) (param $export_len i32) (param $arg i64) (param $thread_out i32) (result i32)))
 *
 * Starts a worker that calls the export, of type (i64) -> i64. 6 (AGAIN): as many workers as the host allows are
 * already running, or have ended and are not joined. */
DYNLOAD_IMPORT(thread_spawn)
int32_t dynload_thread_spawn(const char *export_name, size_t export_len, int64_t arg, uint32_t *thread_out);

/* (import "dynload" "thread_join" (func (param $thread i32) (param $result_out i32) (result i32)))
 *
 * Waits for a worker and returns its result. 71 (SRCH): no such worker, or it was already joined. 11 (CANCELED): it
 * trapped, exited, exceeded its memory or stack limit, or has no such export. A worker that exceeds a limit that it
 * shares with this call (fuel or time) ends this call too. */
DYNLOAD_IMPORT(thread_join)
int32_t dynload_thread_join(uint32_t thread, int64_t *result_out);

/* ---- GPU -----------------------------------------------------------------------------------------------------------
 *
 * (import "dynload" "gpu_device_count" (func (param $count_out i32) (result i32)))
 * (import "dynload" "gpu_submit" (func (param $device i32) (param $ptr i32) (param $len i32) (result i32)))
 *
 * Not implemented yet: they return 52 (NOSYS), and 76 without the capability. */
DYNLOAD_IMPORT(gpu_device_count)
int32_t dynload_gpu_device_count(uint32_t *count_out);
DYNLOAD_IMPORT(gpu_submit)
int32_t dynload_gpu_submit(uint32_t device, const void *ptr, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* DYNLOAD_GUEST_H */
