//! The rows of the table.

use super::{DYNLOAD, EXTISM, Import, ImportNeeds, TYPST, VAIS, WASI_PREVIEW1, WhenDenied};
use crate::Capabilities;

const FS: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);
/// Everything that a file descriptor can refer to: a terminal, a file or directory, a socket.
const DESCRIPTOR: Capabilities = FS.union(Capabilities::CONSOLE).union(Capabilities::NETWORK);
const READABLE: Capabilities = Capabilities::CONSOLE
    .union(Capabilities::FS_READ)
    .union(Capabilities::NETWORK);
const WRITABLE: Capabilities = Capabilities::CONSOLE
    .union(Capabilities::FS_WRITE)
    .union(Capabilities::NETWORK);
const POLLABLE: Capabilities = Capabilities::TIME.union(READABLE).union(WRITABLE);

const fn import(
    module: &'static str,
    name: &'static str,
    signature: &'static str,
    needs: ImportNeeds,
    when_denied: WhenDenied,
) -> Import {
    Import {
        module,
        name,
        signature,
        needs,
        when_denied,
    }
}
const fn free(name: &'static str, signature: &'static str) -> Import {
    unprotected(WASI_PREVIEW1, name, signature)
}
const fn all_of(name: &'static str, signature: &'static str, caps: Capabilities) -> Import {
    import(
        WASI_PREVIEW1,
        name,
        signature,
        ImportNeeds::AllOf(caps),
        WhenDenied::Errno,
    )
}
const fn any_of(name: &'static str, signature: &'static str, caps: Capabilities) -> Import {
    import(
        WASI_PREVIEW1,
        name,
        signature,
        ImportNeeds::AnyOf(caps),
        WhenDenied::Errno,
    )
}
const fn asks(name: &'static str, signature: &'static str, caps: Capabilities) -> Import {
    import(
        WASI_PREVIEW1,
        name,
        signature,
        ImportNeeds::AllOf(caps),
        WhenDenied::EmptyResult,
    )
}
const fn dynload(name: &'static str, signature: &'static str, caps: Capabilities) -> Import {
    import(
        DYNLOAD,
        name,
        signature,
        ImportNeeds::AllOf(caps),
        WhenDenied::Errno,
    )
}
const fn unprotected(module: &'static str, name: &'static str, signature: &'static str) -> Import {
    import(module, name, signature, ImportNeeds::Nothing, WhenDenied::Never)
}
const fn extism(name: &'static str, signature: &'static str) -> Import {
    unprotected(EXTISM, name, signature)
}
const fn extism_log(name: &'static str) -> Import {
    import(
        EXTISM,
        name,
        "(i64) -> ()",
        ImportNeeds::AllOf(Capabilities::CONSOLE),
        WhenDenied::NoEffect,
    )
}
const fn vais(name: &'static str, signature: &'static str, caps: Capabilities) -> Import {
    import(
        VAIS,
        name,
        signature,
        ImportNeeds::AllOf(caps),
        WhenDenied::FailsCall,
    )
}

pub(super) const TABLE: [Import; 105] = [
    dynload("gpu_buffer", "(i32, i64, i32, i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_device_count", "(i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_device_info", "(i32, i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_free", "(i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_kernel", "(i32, i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_read", "(i32, i64, i32, i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_submit", "(i32, i32, i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_wait", "(i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_write", "(i32, i64, i32, i32) -> (i32)", Capabilities::GPU),
    dynload("process_run", "(i32) -> (i32)", Capabilities::PROCESS),
    dynload(
        "tcp_connect",
        "(i32, i32, i32, i32) -> (i32)",
        Capabilities::NETWORK,
    ),
    dynload(
        "tcp_listen",
        "(i32, i32, i32, i32) -> (i32)",
        Capabilities::NETWORK,
    ),
    dynload("thread_join", "(i32, i32) -> (i32)", Capabilities::THREADING),
    dynload(
        "thread_spawn",
        "(i32, i32, i64, i32) -> (i32)",
        Capabilities::THREADING,
    ),
    dynload(
        "udp_bind",
        "(i32, i32, i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::NETWORK,
    ),
    extism("alloc", "(i64) -> (i64)"),
    extism("config_get", "(i64) -> (i64)"),
    extism("error_get", "() -> (i64)"),
    extism("error_set", "(i64) -> ()"),
    extism("free", "(i64) -> ()"),
    extism("get_log_level", "() -> (i32)"),
    extism("http_headers", "() -> (i64)"),
    // The embedder makes the request.
    import(
        EXTISM,
        "http_request",
        "(i64, i64) -> (i64)",
        ImportNeeds::AllOf(Capabilities::NETWORK),
        WhenDenied::FailsCall,
    ),
    extism("http_status_code", "() -> (i32)"),
    extism("input_length", "() -> (i64)"),
    extism("input_load_u64", "(i64) -> (i64)"),
    extism("input_load_u8", "(i64) -> (i32)"),
    extism("input_offset", "() -> (i64)"),
    extism("input_set", "(i64, i64) -> ()"),
    extism("length", "(i64) -> (i64)"),
    extism("length_unsafe", "(i64) -> (i64)"),
    extism("load_u64", "(i64) -> (i64)"),
    extism("load_u8", "(i64) -> (i32)"),
    extism_log("log_debug"),
    extism_log("log_error"),
    extism_log("log_info"),
    extism_log("log_trace"),
    extism_log("log_warn"),
    extism("memory_bytes", "() -> (i64)"),
    extism("output_length", "() -> (i64)"),
    extism("output_offset", "() -> (i64)"),
    extism("output_set", "(i64, i64) -> ()"),
    extism("reset", "() -> ()"),
    extism("store_u64", "(i64, i64) -> ()"),
    extism("store_u8", "(i64, i32) -> ()"),
    extism("var_get", "(i64) -> (i64)"),
    extism("var_set", "(i64, i64) -> ()"),
    unprotected(
        TYPST,
        "wasm_minimal_protocol_send_result_to_host",
        "(i32, i32) -> ()",
    ),
    unprotected(TYPST, "wasm_minimal_protocol_write_args_to_buffer", "(i32) -> ()"),
    unprotected(VAIS, "config_get", "(i32, i32, i32, i32) -> (i32)"),
    vais("log", "(i32, i32, i32) -> ()", Capabilities::CONSOLE),
    vais("now_ms", "() -> (i64)", Capabilities::TIME),
    vais("print", "(i32, i32) -> ()", Capabilities::CONSOLE),
    vais("println", "(i32, i32) -> ()", Capabilities::CONSOLE),
    vais("random", "() -> (i64)", Capabilities::RANDOM),
    vais("random_range", "(i64, i64) -> (i64)", Capabilities::RANDOM),
    unprotected(VAIS, "read_args", "(i32) -> ()"),
    unprotected(VAIS, "set_result", "(i32, i32) -> ()"),
    vais("sleep_ms", "(i64) -> ()", Capabilities::TIME),
    // The host chose the arguments for this plugin: there is nothing to protect.
    free("args_get", "(i32, i32) -> (i32)"),
    free("args_sizes_get", "(i32, i32) -> (i32)"),
    all_of("clock_res_get", "(i32, i32) -> (i32)", Capabilities::TIME),
    all_of("clock_time_get", "(i32, i64, i32) -> (i32)", Capabilities::TIME),
    asks("environ_get", "(i32, i32) -> (i32)", Capabilities::ENV),
    asks("environ_sizes_get", "(i32, i32) -> (i32)", Capabilities::ENV),
    any_of("fd_advise", "(i32, i64, i64, i32) -> (i32)", FS),
    all_of("fd_allocate", "(i32, i64, i64) -> (i32)", Capabilities::FS_WRITE),
    any_of("fd_close", "(i32) -> (i32)", DESCRIPTOR),
    any_of("fd_datasync", "(i32) -> (i32)", FS),
    any_of("fd_fdstat_get", "(i32, i32) -> (i32)", DESCRIPTOR),
    any_of("fd_fdstat_set_flags", "(i32, i32) -> (i32)", DESCRIPTOR),
    any_of("fd_fdstat_set_rights", "(i32, i64, i64) -> (i32)", DESCRIPTOR),
    any_of("fd_filestat_get", "(i32, i32) -> (i32)", DESCRIPTOR),
    all_of(
        "fd_filestat_set_size",
        "(i32, i64) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    all_of(
        "fd_filestat_set_times",
        "(i32, i64, i64, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    all_of(
        "fd_pread",
        "(i32, i32, i32, i64, i32) -> (i32)",
        Capabilities::FS_READ,
    ),
    // Every program queries its preopens at start; without any, the list is empty.
    free("fd_prestat_dir_name", "(i32, i32, i32) -> (i32)"),
    free("fd_prestat_get", "(i32, i32) -> (i32)"),
    all_of(
        "fd_pwrite",
        "(i32, i32, i32, i64, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    any_of("fd_read", "(i32, i32, i32, i32) -> (i32)", READABLE),
    all_of(
        "fd_readdir",
        "(i32, i32, i32, i64, i32) -> (i32)",
        Capabilities::FS_READ,
    ),
    any_of("fd_renumber", "(i32, i32) -> (i32)", DESCRIPTOR),
    // Seeking on a terminal or a socket is an error, but C's stdio tries it on both.
    any_of("fd_seek", "(i32, i64, i32, i32) -> (i32)", DESCRIPTOR),
    any_of("fd_sync", "(i32) -> (i32)", FS),
    any_of("fd_tell", "(i32, i32) -> (i32)", DESCRIPTOR),
    any_of("fd_write", "(i32, i32, i32, i32) -> (i32)", WRITABLE),
    all_of(
        "path_create_directory",
        "(i32, i32, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    all_of(
        "path_filestat_get",
        "(i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::FS_READ,
    ),
    all_of(
        "path_filestat_set_times",
        "(i32, i32, i32, i32, i64, i64, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    all_of(
        "path_link",
        "(i32, i32, i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    // Which of the two depends on the flags and rights that a call requests.
    any_of(
        "path_open",
        "(i32, i32, i32, i32, i32, i64, i64, i32, i32) -> (i32)",
        FS,
    ),
    all_of(
        "path_readlink",
        "(i32, i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::FS_READ,
    ),
    all_of(
        "path_remove_directory",
        "(i32, i32, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    all_of(
        "path_rename",
        "(i32, i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    all_of(
        "path_symlink",
        "(i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    all_of(
        "path_unlink_file",
        "(i32, i32, i32) -> (i32)",
        Capabilities::FS_WRITE,
    ),
    any_of("poll_oneoff", "(i32, i32, i32, i32) -> (i32)", POLLABLE),
    free("proc_exit", "(i32) -> ()"),
    free("proc_raise", "(i32) -> (i32)"),
    all_of("random_get", "(i32, i32) -> (i32)", Capabilities::RANDOM),
    free("sched_yield", "() -> (i32)"),
    all_of("sock_accept", "(i32, i32, i32) -> (i32)", Capabilities::NETWORK),
    all_of(
        "sock_recv",
        "(i32, i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::NETWORK,
    ),
    all_of(
        "sock_send",
        "(i32, i32, i32, i32, i32) -> (i32)",
        Capabilities::NETWORK,
    ),
    all_of("sock_shutdown", "(i32, i32) -> (i32)", Capabilities::NETWORK),
];
