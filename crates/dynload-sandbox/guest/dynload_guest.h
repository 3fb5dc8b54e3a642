/* dynload_guest.h: the `dynload.*` imports, for guests in C (and, in the comments, in WAT).
 *
 * WASI preview 1 has no way to connect a socket, to run a program or to start a worker. A guest of dynload has these
 * functions for it. Each gives back a WASI errno: 0 if it worked, 76 (NOTCAPABLE) if the host did not grant the
 * capability, or granted it for something else. Include this file and compile with
 *
 *     clang --target=wasm32-wasi guest.c -o guest.wasm
 *
 * All pointers are addresses in the memory that the module exports as `memory`; numbers in it are little-endian.
 * Strings are UTF-8, with a length and without a NUL at the end, unless it says otherwise.
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
 * `poll`, shut it down with `sock_shutdown` (`shutdown`), close it with `close`. Connections to a listening socket come
 * from `sock_accept` (`accept` in newer C libraries).
 *
 * `host` is a name or an address, IPv6 with or without brackets. The host resolves names; a name or address that the
 * scopes do not list gives 76, and so does a name that resolves to addresses that they do not list. An address of the
 * host's own, public or not, has to be listed as itself. The unspecified addresses (`0.0.0.0`, `::`) are for listening:
 * connecting or sending to one gives 76.
 *
 * A name is looked up by the host's resolver, which cannot be stopped: when the call ends first, the look-up ends by
 * itself and nothing comes of it. 6 (AGAIN): too many of them are under way, in the instance or in the whole process.
 */

/* What the functions below write: the descriptor, and the port at this end. */
typedef struct dynload_socket {
    uint32_t fd;
    uint32_t port;
} dynload_socket;

/* (import "dynload" "tcp_connect" (func (param $host i32) (param $host_len i32) (param $port i32) (param $out i32) (result i32)))
 *
 * Connects: to the addresses of a name one after the other, until one answers. Each has its share of the time that is
 * left. What is not connected when the call ends is closed. 44 (NOENT): there is no host of that name. 14 (CONNREFUSED), 73 (TIMEDOUT), ...: as connect(2). */
DYNLOAD_IMPORT(tcp_connect)
int32_t dynload_tcp_connect(const char *host, size_t host_len, uint32_t port, dynload_socket *out);

/* (import "dynload" "tcp_listen" (func (param $host i32) (param $host_len i32) (param $port i32) (param $out i32) (result i32)))
 *
 * Listens. Port 0 lets the system choose one, where the scopes list port 0 (as `*` does). */
DYNLOAD_IMPORT(tcp_listen)
int32_t dynload_tcp_listen(const char *host, size_t host_len, uint32_t port, dynload_socket *out);

/* (import "dynload" "udp_bind" (func (param $host i32) (param $host_len i32) (param $port i32)
 *                                    (param $peer i32) (param $peer_len i32) (param $peer_port i32) (param $out i32) (result i32)))
 *
 * A socket for datagrams. With a peer it sends to that and receives from that only; `host` may then be `0.0.0.0` (`::`
 * for a peer with an IPv6 address) and `port` 0, which need no pattern of their own: listed `dns.example:53`, a guest can
 * ask it. Without a peer (`peer_len` 0) the scopes have to list `host` and `port`; it receives from everybody and sends to
 * whoever sent the datagram that was received last, where the scopes list that address; 17 (DESTADDRREQ) before the first. */
DYNLOAD_IMPORT(udp_bind)
int32_t dynload_udp_bind(const char *host, size_t host_len, uint32_t port, const char *peer, size_t peer_len,
                         uint32_t peer_port, dynload_socket *out);

/* ---- PROCESS -------------------------------------------------------------------------------------------------------
 *
 * Runs one program of the list, by its absolute path, with the arguments as given (no shell), no environment, `/` as its
 * directory, and waits for its end. It inherits no descriptor of the host's, no terminal and no ignored signal. When it has
 * ended, or the time of the call is up, everything that it started is killed.
 */
typedef struct dynload_process {
    const char *program;      /*  0 */
    uint32_t program_len;     /*  4 */
    const char *args;         /*  8: the arguments after the program's own name, each with a NUL at its end */
    uint32_t args_len;        /* 12: bytes of all of them, NULs included */
    const void *input;        /* 16: what it reads as standard input */
    uint32_t input_len;       /* 20 */
    void *output;             /* 24: room for what it writes to standard output */
    uint32_t output_room;     /* 28 */
    void *errors;             /* 32: room for what it writes to standard error */
    uint32_t errors_room;     /* 36 */
    /* Written when it has ended: */
    int32_t status;           /* 40: its exit code, or 128 + the number of the signal that ended it; -1 if only the
                                     end is known (the host ignores SIGCHLD) */
    uint32_t output_len;      /* 44: bytes that it wrote; what did not fit into the room is lost */
    uint32_t errors_len;      /* 48 */
} dynload_process;            /* 52 bytes */

/* (import "dynload" "process_run" (func (param $process i32) (result i32)))
 *
 * 76 (NOTCAPABLE): the program is not on the list. 1 (2BIG): more than 128 KiB or 1024 arguments. 44 (NOENT), 2 (ACCES),
 * ...: as execve(2). */
DYNLOAD_IMPORT(process_run)
int32_t dynload_process_run(dynload_process *process);

/* ---- THREADING -----------------------------------------------------------------------------------------------------
 *
 * A worker is a new instance of this same module, with a memory of its own, on a thread of its own: nothing is shared.
 * It calls one exported function with one number and gives back one number; files, sockets and the console are the ways
 * to move more. If the module exports `_initialize`, that is called first. Workers burn the fuel of the call that
 * started them, have its deadline and its capabilities, and are stopped when it ends. What a worker writes to the
 * console appears when it is joined, or when the call ends.
 */

/* (import "dynload" "thread_spawn" (func (param $export i32) (param $export_len i32) (param $arg i64) (param $thread_out i32) (result i32)))
 *
 * Starts a worker that calls the export, of type (i64) -> i64. 6 (AGAIN): as many workers as the host allows are
 * running already, or have ended and were not joined. */
DYNLOAD_IMPORT(thread_spawn)
int32_t dynload_thread_spawn(const char *export_name, size_t export_len, int64_t arg, uint32_t *thread_out);

/* (import "dynload" "thread_join" (func (param $thread i32) (param $result_out i32) (result i32)))
 *
 * Waits for a worker and takes its result. 71 (SRCH): there is no such worker, or it was joined already. 11 (CANCELED):
 * it trapped, exited, exceeded its memory or stack, or has no such export. A worker that exceeded what it shares with
 * this call, fuel or time, ends this call too. */
DYNLOAD_IMPORT(thread_join)
int32_t dynload_thread_join(uint32_t thread, int64_t *result_out);

/* ---- GPU -----------------------------------------------------------------------------------------------------------
 *
 * (import "dynload" "gpu_device_count" (func (param $count_out i32) (result i32)))
 * (import "dynload" "gpu_submit" (func (param $device i32) (param $ptr i32) (param $len i32) (result i32)))
 *
 * There is nothing behind them yet: 52 (NOSYS), and 76 without the capability. */
DYNLOAD_IMPORT(gpu_device_count)
int32_t dynload_gpu_device_count(uint32_t *count_out);
DYNLOAD_IMPORT(gpu_submit)
int32_t dynload_gpu_submit(uint32_t device, const void *ptr, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* DYNLOAD_GUEST_H */
