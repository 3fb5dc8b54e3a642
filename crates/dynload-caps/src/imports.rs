//! Which capability each import of a Wasm module needs, and its type.
//!
//! The table covers the 46 functions of `wasi_snapshot_preview1` (the [preview 1 specification][wasi]), the seven of
//! `vais`, and those of `dynload`. Many WASI functions serve several purposes: `fd_read` reads a terminal, a file or
//! a socket, so *one* of three capabilities is enough for the call to be useful. [`ImportNeeds::AnyOf`] expresses
//! this; it is not the same as needing all three.
//!
//! [wasi]: https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md

use crate::Capabilities;

/// The module name of WASI preview 1.
pub const WASI_PREVIEW1: &str = "wasi_snapshot_preview1";
/// The module name of the Vais host functions.
pub const VAIS: &str = "vais";
/// The module name of the functions that WASI preview 1 lacks: connecting, listening, processes, workers.
pub const DYNLOAD: &str = "dynload";

/// The capabilities that an import needs before it does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImportNeeds {
    /// The import works without any capability.
    Nothing,
    /// The import needs every one of these.
    AllOf(Capabilities),
    /// The import needs at least one of these; each opens it for a different kind of file descriptor.
    AnyOf(Capabilities),
    /// The import is not in the table: no host function has this name.
    Unknown,
}

impl ImportNeeds {
    /// Returns whether the import is useful to a plugin with the capabilities `granted`. `Unknown` is never satisfied.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_caps::{Capabilities, imports::needs};
    ///
    /// let write = needs("wasi_snapshot_preview1", "fd_write");
    /// assert!(write.satisfied_by(Capabilities::CONSOLE));
    /// assert!(write.satisfied_by(Capabilities::FS_WRITE));
    /// assert!(!write.satisfied_by(Capabilities::FS_READ));
    /// ```
    #[must_use]
    pub const fn satisfied_by(self, granted: Capabilities) -> bool {
        match self {
            ImportNeeds::Nothing => true,
            ImportNeeds::AllOf(all) => granted.has(all),
            ImportNeeds::AnyOf(any) => granted.intersects(any),
            ImportNeeds::Unknown => false,
        }
    }

    /// Returns every capability that affects the import; empty for `Nothing` and `Unknown`.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            ImportNeeds::AllOf(set) | ImportNeeds::AnyOf(set) => set,
            ImportNeeds::Nothing | ImportNeeds::Unknown => Capabilities::NONE,
        }
    }
}

/// What happens when a guest calls an import without the capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenDenied {
    /// The import is never denied.
    Never,
    /// The call returns the errno `NOTCAPABLE` (76), and the guest continues.
    Errno,
    /// The import is a query, and its result is empty (no variable, no directory).
    EmptyResult,
    /// The signature has no errno result: the whole call from outside fails.
    FailsCall,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Import {
    /// The module name of the import, `wasi_snapshot_preview1` for instance.
    pub module: &'static str,
    /// The name of the function.
    pub name: &'static str,
    /// The type of the function, as in messages: `(i32, i32) -> (i32)`.
    pub signature: &'static str,
    /// The capabilities that it needs; never [`ImportNeeds::Unknown`].
    pub needs: ImportNeeds,
    /// What happens when a guest calls it without them.
    pub when_denied: WhenDenied,
}

/// Returns the capabilities that the import `module`.`name` needs.
///
/// # Examples
///
/// ```
/// use dynload_caps::{Capabilities, imports::{ImportNeeds, needs}};
///
/// assert_eq!(needs("vais", "sleep_ms"), ImportNeeds::AllOf(Capabilities::TIME));
/// assert_eq!(needs("wasi_snapshot_preview1", "proc_exit"), ImportNeeds::Nothing);
/// assert_eq!(needs("env", "system"), ImportNeeds::Unknown);
/// ```
#[must_use]
pub fn needs(module: &str, name: &str) -> ImportNeeds {
    find(module, name).map_or(ImportNeeds::Unknown, |import| import.needs)
}

/// Returns the row for `module`.`name`, or `None` when the table has none.
#[must_use]
pub fn find(module: &str, name: &str) -> Option<&'static Import> {
    // Sorted by module and name (checked by a test).
    let at = TABLE
        .binary_search_by(|import| (import.module, import.name).cmp(&(module, name)))
        .ok()?;
    Some(&TABLE[at])
}

/// Returns the whole table, ordered by module and name.
pub fn all() -> impl ExactSizeIterator<Item = &'static Import> + Clone {
    TABLE.iter()
}

/// Returns the imports that `capability` affects, in the order of the table.
///
/// # Examples
///
/// ```
/// use dynload_caps::{Capabilities, imports};
///
/// let names: Vec<&str> = imports::opened_by(Capabilities::PROCESS).map(|import| import.name).collect();
/// assert_eq!(names, ["process_run"]);
/// ```
pub fn opened_by(capability: Capabilities) -> impl Iterator<Item = &'static Import> + Clone {
    TABLE
        .iter()
        .filter(move |import| import.needs.capabilities().intersects(capability))
}

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
    import(
        WASI_PREVIEW1,
        name,
        signature,
        ImportNeeds::Nothing,
        WhenDenied::Never,
    )
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
const fn vais(name: &'static str, signature: &'static str, caps: Capabilities) -> Import {
    import(
        VAIS,
        name,
        signature,
        ImportNeeds::AllOf(caps),
        WhenDenied::FailsCall,
    )
}

const TABLE: [Import; 61] = [
    dynload("gpu_device_count", "(i32) -> (i32)", Capabilities::GPU),
    dynload("gpu_submit", "(i32, i32, i32) -> (i32)", Capabilities::GPU),
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
    vais("log", "(i32, i32, i32) -> ()", Capabilities::CONSOLE),
    vais("now_ms", "() -> (i64)", Capabilities::TIME),
    vais("print", "(i32, i32) -> ()", Capabilities::CONSOLE),
    vais("println", "(i32, i32) -> ()", Capabilities::CONSOLE),
    vais("random", "() -> (i64)", Capabilities::RANDOM),
    vais("random_range", "(i64, i64) -> (i64)", Capabilities::RANDOM),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_binary_search() {
        assert!(
            TABLE
                .windows(2)
                .all(|pair| (pair[0].module, pair[0].name) < (pair[1].module, pair[1].name))
        );
    }

    #[test]
    fn the_table_is_complete_and_consistent() {
        let count = |module| all().filter(|import| import.module == module).count();
        assert_eq!((count(WASI_PREVIEW1), count(VAIS), count(DYNLOAD)), (46, 7, 8));
        for import in all() {
            assert_eq!(find(import.module, import.name), Some(import));
            assert_eq!(
                import.needs == ImportNeeds::Nothing,
                import.when_denied == WhenDenied::Never
            );
            assert!(import.needs.satisfied_by(Capabilities::all()));
            assert_eq!(
                import.needs.satisfied_by(Capabilities::NONE),
                import.needs == ImportNeeds::Nothing
            );
        }
    }
}
