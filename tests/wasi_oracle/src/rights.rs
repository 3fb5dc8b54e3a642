//! The rights that a call requires, as [the documents] describe them.
//!
//! Written from the documents, independently of the sandbox.
//!
//! [the documents]: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#rights

use crate::call::Arg;
use crate::compare::{Kind, Open, Seen};

const FD_DATASYNC: u64 = 1 << 0;
const FD_READ: u64 = 1 << 1;
const FD_SEEK: u64 = 1 << 2;
const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
const FD_SYNC: u64 = 1 << 4;
const FD_TELL: u64 = 1 << 5;
const FD_WRITE: u64 = 1 << 6;
const FD_ADVISE: u64 = 1 << 7;
const FD_ALLOCATE: u64 = 1 << 8;
const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
const PATH_CREATE_FILE: u64 = 1 << 10;
const PATH_LINK_SOURCE: u64 = 1 << 11;
const PATH_LINK_TARGET: u64 = 1 << 12;
const PATH_OPEN: u64 = 1 << 13;
const FD_READDIR: u64 = 1 << 14;
const PATH_READLINK: u64 = 1 << 15;
const PATH_RENAME_SOURCE: u64 = 1 << 16;
const PATH_RENAME_TARGET: u64 = 1 << 17;
const PATH_FILESTAT_GET: u64 = 1 << 18;
const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
const FD_FILESTAT_GET: u64 = 1 << 21;
const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
const PATH_SYMLINK: u64 = 1 << 24;
const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
const PATH_UNLINK_FILE: u64 = 1 << 26;
const POLL_FD_READWRITE: u64 = 1 << 27;

/// Returns whether a descriptor that the call receives lacks a right that the call requires.
#[must_use]
pub fn are_missing(seen: &Seen) -> bool {
    let call = &seen.call;
    let lacks = |open: &Open, right: u64| {
        // "`fd_seek` implies `fd_tell`."
        let implied = if open.base & FD_SEEK != 0 { FD_TELL } else { 0 };
        (open.base | implied) & right != right
    };
    let Some(first) = seen.first() else {
        return false;
    };
    let required = match call.function {
        "fd_advise" => FD_ADVISE,
        "fd_allocate" => FD_ALLOCATE,
        "fd_datasync" => FD_DATASYNC,
        "fd_fdstat_set_flags" => FD_FDSTAT_SET_FLAGS,
        "fd_filestat_get" => FD_FILESTAT_GET,
        "fd_filestat_set_size" => FD_FILESTAT_SET_SIZE,
        "fd_filestat_set_times" => FD_FILESTAT_SET_TIMES,
        "fd_pread" => FD_READ | FD_SEEK,
        "fd_pwrite" => FD_WRITE | FD_SEEK,
        "fd_read" => FD_READ,
        "fd_readdir" | "list" => FD_READDIR,
        "fd_seek" if call.number(1) == 0 && call.number(2) == 1 => FD_TELL,
        "fd_seek" => FD_SEEK,
        "fd_sync" => FD_SYNC,
        "fd_tell" => FD_TELL,
        "fd_write" => FD_WRITE,
        "path_create_directory" => PATH_CREATE_DIRECTORY,
        "path_filestat_get" => PATH_FILESTAT_GET,
        "path_filestat_set_times" => PATH_FILESTAT_SET_TIMES,
        "path_readlink" => PATH_READLINK,
        "path_remove_directory" => PATH_REMOVE_DIRECTORY,
        "path_symlink" => PATH_SYMLINK,
        "path_unlink_file" => PATH_UNLINK_FILE,
        "poll_oneoff" => poll(&call.args),
        "path_open" => return open_lacks(seen, first, lacks),
        "path_link" => return two(seen, PATH_LINK_SOURCE, PATH_LINK_TARGET, lacks),
        "path_rename" => return two(seen, PATH_RENAME_SOURCE, PATH_RENAME_TARGET, lacks),
        _ => 0,
    };
    lacks(first, required)
}

fn poll(args: &[Arg]) -> u64 {
    match args[0] {
        Arg::Ready { write: true, .. } => POLL_FD_READWRITE | FD_WRITE,
        Arg::Ready { write: false, .. } => POLL_FD_READWRITE | FD_READ,
        _ => 0,
    }
}

fn two(seen: &Seen, source: u64, target: u64, lacks: impl Fn(&Open, u64) -> bool) -> bool {
    let second = seen.call.fds().nth(1).and_then(|fd| seen.open(fd));
    seen.first().is_some_and(|open| lacks(open, source)) || second.is_some_and(|open| lacks(open, target))
}

fn open_lacks(seen: &Seen, directory: &Open, lacks: impl Fn(&Open, u64) -> bool) -> bool {
    if !matches!(directory.kind, Kind::Preopen | Kind::Directory) {
        return lacks(directory, PATH_OPEN);
    }
    let [oflags, base, inheriting, fdflags] = [3, 4, 5, 6].map(|n| seen.call.number(n));
    let mut required = PATH_OPEN;
    for (is_set, right) in [
        (oflags & 1 != 0, PATH_CREATE_FILE),
        (oflags & 8 != 0, PATH_FILESTAT_SET_SIZE),
        (fdflags & (8 | 16) != 0, FD_SYNC),
        (fdflags & 2 != 0 && directory.base & FD_SYNC == 0, FD_DATASYNC),
    ] {
        if is_set {
            required |= right;
        }
    }
    let all = (1 << 30) - 1;
    lacks(directory, required) || (base | inheriting) & all & !directory.inheriting != 0
}
