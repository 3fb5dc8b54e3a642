//! WASI preview 1: every function of `wasi_snapshot_preview1`.
//!
//! The reference is the [preview 1 specification]; where it leaves room, this implementation does what Wasmtime does.
//!
//! [preview 1 specification]: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md

mod args;
mod clock;
mod descriptors;
mod errno;
mod file_size_limit;
mod filestat;
mod filetype;
pub(super) mod flags;
mod io;
mod link;
mod open;
mod path;
mod poll;
mod preopen;
mod proc;
mod random;
mod readdir;
pub(super) mod rights;
mod seek;
mod sock;
mod space;
mod tree;

pub(super) use args::environment;
pub(super) use errno::Errno;
pub(super) use filestat::NewTime;
pub(super) use filetype::Filetype;
#[cfg(windows)]
pub(super) use path::MAX_LINKS;
pub(super) use preopen::preopen;
pub(super) use readdir::Listing;

use super::functions;
use crate::{call::state::State, error::Stop};
use wasmi::{Func, Store};

/// Creates the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    // The only function without a result, because it does not return.
    if name == "proc_exit" {
        return Some(Func::wrap(
            store,
            |host: wasmi::Caller<'_, State>, code: u32| -> Result<(), wasmi::Error> {
                crate::host::Caller::enter(host).map_err(Stop::halt)?;
                Err(Stop::exit(code as i32).halt())
            },
        ));
    }
    functions!(store, name, {
        "args_get" => args::args_get [argv: u32, buffer: u32];
        "args_sizes_get" => args::args_sizes_get [count_out: u32, size_out: u32];
        "environ_get" => args::environ_get [environ: u32, buffer: u32];
        "environ_sizes_get" => args::environ_sizes_get [count_out: u32, size_out: u32];
        "clock_res_get" => clock::resolution [id: u32, out: u32];
        "clock_time_get" => clock::time [id: u32, precision: u64, out: u32];
        "fd_advise" => space::advise [fd: u32, offset: u64, len: u64, advice: u32];
        "fd_allocate" => space::allocate [fd: u32, offset: u64, len: u64];
        "fd_close" => descriptors::close [fd: u32];
        "fd_datasync" => space::datasync [fd: u32];
        "fd_fdstat_get" => descriptors::fdstat_get [fd: u32, out: u32];
        "fd_fdstat_set_flags" => descriptors::fdstat_set_flags [fd: u32, flags: u32];
        "fd_fdstat_set_rights" => descriptors::fdstat_set_rights [fd: u32, base: u64, inheriting: u64];
        "fd_filestat_get" => filestat::fd_get [fd: u32, out: u32];
        "fd_filestat_set_size" => filestat::fd_set_size [fd: u32, size: u64];
        "fd_filestat_set_times" => filestat::fd_set_times [fd: u32, atim: u64, mtim: u64, flags: u32];
        "fd_pread" => io::pread [fd: u32, buffers: u32, count: u32, offset: u64, out: u32];
        "fd_prestat_dir_name" => preopen::name [fd: u32, ptr: u32, len: u32];
        "fd_prestat_get" => preopen::get [fd: u32, out: u32];
        "fd_pwrite" => io::pwrite [fd: u32, buffers: u32, count: u32, offset: u64, out: u32];
        "fd_read" => io::read [fd: u32, buffers: u32, count: u32, out: u32];
        "fd_readdir" => readdir::readdir [fd: u32, ptr: u32, len: u32, cookie: u64, out: u32];
        "fd_renumber" => descriptors::renumber [from: u32, to: u32];
        "fd_seek" => seek::seek [fd: u32, offset: i64, whence: u32, out: u32];
        "fd_sync" => space::sync [fd: u32];
        "fd_tell" => seek::tell [fd: u32, out: u32];
        "fd_write" => io::write [fd: u32, buffers: u32, count: u32, out: u32];
        "path_create_directory" => tree::create_directory [fd: u32, ptr: u32, len: u32];
        "path_filestat_get" => filestat::path_get [fd: u32, lookup: u32, ptr: u32, len: u32, out: u32];
        "path_filestat_set_times" => filestat::path_set_times
            [fd: u32, lookup: u32, ptr: u32, len: u32, atim: u64, mtim: u64, flags: u32];
        "path_link" => link::hard_link
            [old: u32, lookup: u32, old_ptr: u32, old_len: u32, new: u32, new_ptr: u32, new_len: u32];
        "path_open" => open::path_open
            [fd: u32, lookup: u32, ptr: u32, len: u32, oflags: u32, base: u64, inheriting: u64, fdflags: u32, out: u32];
        "path_readlink" => link::readlink [fd: u32, ptr: u32, len: u32, buffer: u32, buffer_len: u32, out: u32];
        "path_remove_directory" => tree::remove_directory [fd: u32, ptr: u32, len: u32];
        "path_rename" => tree::rename
            [old: u32, old_ptr: u32, old_len: u32, new: u32, new_ptr: u32, new_len: u32];
        "path_symlink" => link::symlink [target_ptr: u32, target_len: u32, fd: u32, ptr: u32, len: u32];
        "path_unlink_file" => tree::unlink_file [fd: u32, ptr: u32, len: u32];
        "poll_oneoff" => poll::oneoff [subscriptions: u32, events: u32, count: u32, out: u32];
        "proc_raise" => proc::raise [signal: u32];
        "sched_yield" => proc::yield_now [];
        "random_get" => random::get [ptr: u32, len: u32];
        "sock_accept" => sock::accept [fd: u32, flags: u32, out: u32];
        "sock_recv" => sock::recv
            [fd: u32, buffers: u32, count: u32, flags: u32, size_out: u32, flags_out: u32];
        "sock_send" => sock::send [fd: u32, buffers: u32, count: u32, flags: u32, out: u32];
        "sock_shutdown" => sock::shutdown [fd: u32, how: u32];
    })
}
