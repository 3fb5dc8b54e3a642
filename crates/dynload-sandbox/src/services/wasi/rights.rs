//! Rights of descriptors, as numbered in the WASI documents, and which of them permit changes.

pub(in crate::services) const FD_DATASYNC: u64 = 1 << 0;
pub(in crate::services) const FD_READ: u64 = 1 << 1;
pub(in crate::services) const FD_SEEK: u64 = 1 << 2;
pub(in crate::services) const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
pub(in crate::services) const FD_SYNC: u64 = 1 << 4;
pub(in crate::services) const FD_TELL: u64 = 1 << 5;
pub(in crate::services) const FD_WRITE: u64 = 1 << 6;
pub(in crate::services) const FD_ADVISE: u64 = 1 << 7;
pub(in crate::services) const FD_ALLOCATE: u64 = 1 << 8;
pub(in crate::services) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
pub(in crate::services) const PATH_CREATE_FILE: u64 = 1 << 10;
pub(in crate::services) const PATH_LINK_SOURCE: u64 = 1 << 11;
pub(in crate::services) const PATH_LINK_TARGET: u64 = 1 << 12;
pub(in crate::services) const PATH_OPEN: u64 = 1 << 13;
pub(in crate::services) const FD_READDIR: u64 = 1 << 14;
pub(in crate::services) const PATH_READLINK: u64 = 1 << 15;
pub(in crate::services) const PATH_RENAME_SOURCE: u64 = 1 << 16;
pub(in crate::services) const PATH_RENAME_TARGET: u64 = 1 << 17;
pub(in crate::services) const PATH_FILESTAT_GET: u64 = 1 << 18;
pub(in crate::services) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
pub(in crate::services) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
pub(in crate::services) const FD_FILESTAT_GET: u64 = 1 << 21;
pub(in crate::services) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
pub(in crate::services) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
pub(in crate::services) const PATH_SYMLINK: u64 = 1 << 24;
pub(in crate::services) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
pub(in crate::services) const PATH_UNLINK_FILE: u64 = 1 << 26;
pub(in crate::services) const POLL_FD_READWRITE: u64 = 1 << 27;
pub(in crate::services) const SOCK_SHUTDOWN: u64 = 1 << 28;
pub(in crate::services) const SOCK_ACCEPT: u64 = 1 << 29;

/// All rights.
pub(in crate::services) const ALL: u64 = (1 << 30) - 1;

/// Rights that have no meaning on a directory.
const NOT_FOR_DIRECTORIES: u64 = FD_READ
    | FD_SEEK
    | FD_TELL
    | FD_WRITE
    | FD_ADVISE
    | FD_ALLOCATE
    | FD_FILESTAT_SET_SIZE
    | FD_DATASYNC
    | FD_FDSTAT_SET_FLAGS
    | SOCK_SHUTDOWN
    | SOCK_ACCEPT;

/// Rights that a directory can have.
pub(in crate::services) const DIRECTORY: u64 =
    ALL & !NOT_FOR_DIRECTORIES | FD_SYNC | FD_DATASYNC | FD_FDSTAT_SET_FLAGS;

/// Rights that a file can have.
pub(in crate::services) const FILE: u64 = FD_DATASYNC
    | FD_READ
    | FD_SEEK
    | FD_FDSTAT_SET_FLAGS
    | FD_SYNC
    | FD_TELL
    | FD_WRITE
    | FD_ADVISE
    | FD_ALLOCATE
    | FD_FILESTAT_GET
    | FD_FILESTAT_SET_SIZE
    | FD_FILESTAT_SET_TIMES
    | POLL_FD_READWRITE;

/// Rights of standard input.
pub(in crate::services) const INPUT: u64 =
    FD_READ | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;

/// Rights of standard output and standard error.
pub(in crate::services) const OUTPUT: u64 =
    FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;

/// Rights of a connected socket.
pub(in crate::services) const SOCKET: u64 =
    FD_READ | FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE | SOCK_SHUTDOWN;

/// Rights of a listening socket.
pub(in crate::services) const LISTENER: u64 =
    FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE | SOCK_ACCEPT;

/// Rights to change the data of a file; they require the file to be open for writing.
pub(in crate::services) const WRITES_DATA: u64 = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;

/// All rights that permit changes.
pub(in crate::services) const CHANGES: u64 = WRITES_DATA
    | PATH_CREATE_DIRECTORY
    | PATH_CREATE_FILE
    | PATH_LINK_SOURCE
    | PATH_LINK_TARGET
    | PATH_RENAME_SOURCE
    | PATH_RENAME_TARGET
    | PATH_FILESTAT_SET_SIZE
    | PATH_FILESTAT_SET_TIMES
    | FD_FILESTAT_SET_TIMES
    | PATH_SYMLINK
    | PATH_REMOVE_DIRECTORY
    | PATH_UNLINK_FILE;
