//! The known differences.

use crate::call::{Arg, Out};
use crate::compare::{Kind, Open, Seen};
use crate::outcome::{Outcome, Value};
use crate::rights;

/// A way in which the two implementations differ on purpose.
#[derive(Debug)]
pub struct Difference {
    /// A short name.
    pub name: &'static str,
    /// Why they differ, and which document the sandbox follows.
    pub reason: &'static str,
    /// Returns whether this is that difference.
    pub applies: fn(&Seen) -> bool,
}

const BADF: u16 = 8;
const BUSY: u16 = 10;
const EXIST: u16 = 20;
const FBIG: u16 = 22;
const ILSEQ: u16 = 25;
const INTR: u16 = 27;
const INVAL: u16 = 28;
const ISDIR: u16 = 31;
const LOOP: u16 = 32;
const NAMETOOLONG: u16 = 37;
const NOENT: u16 = 44;
const NOTDIR: u16 = 54;
const NOTEMPTY: u16 = 55;
const NOTSUP: u16 = 58;
const PERM: u16 = 63;
const SPIPE: u16 = 70;
const NOTCAPABLE: u16 = 76;

/// `fdflags` of synchronized I/O: DSYNC, RSYNC and SYNC.
const SYNC_FLAGS: u64 = 2 | 8 | 16;

/// The table.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "rights",
        reason: "The sandbox enforces the rights of descriptors as the documents describe them (docs.md, `rights`). Wasmtime \
                 ignores them, except that those of reading and writing select how a file is opened.",
        applies: |seen| seen.errnos().0 == Some(NOTCAPABLE) && rights::are_missing(seen),
    },
    Difference {
        name: "undefined flag or enumerator",
        reason: "Wasmtime traps. The documents do not define it; the sandbox returns INVAL, as POSIX does for an undefined flag.",
        applies: |seen| {
            has_undefined_value(seen)
                && seen.sandbox == Outcome::Errno(INVAL)
                && seen.wasmtime == Outcome::Trap
        },
    },
    Difference {
        name: "clock that is not supported",
        reason: "\"For unsupported clocks, return `errno::inval`\" (docs.md, `clock_res_get`); Wasmtime returns BADF.",
        applies: |seen| {
            seen.call.function == "clock_res_get"
                && matches!(seen.call.number(0), 2 | 3)
                && seen.errnos() == (Some(INVAL), Some(BADF))
        },
    },
    Difference {
        name: "position in the console",
        reason: "The console cannot seek: SPIPE, as POSIX requires of `pread`, `pwrite` and `posix_fadvise` on a pipe. Wasmtime \
                 returns BADF for `fd_advise`, and if the stream has the other direction.",
        applies: |seen| {
            matches!(seen.call.function, "fd_advise" | "fd_pread" | "fd_pwrite")
                && seen.first().is_some_and(is_console)
                && seen.errnos() == (Some(SPIPE), Some(BADF))
        },
    },
    Difference {
        name: "synchronization of the console",
        reason: "INVAL, as POSIX `fsync`: \"an object on which this operation is not possible\"; Wasmtime returns BADF.",
        applies: |seen| {
            matches!(seen.call.function, "fd_sync" | "fd_datasync")
                && seen.first().is_some_and(is_console)
                && seen.errnos() == (Some(INVAL), Some(BADF))
        },
    },
    Difference {
        name: "synchronization of a directory",
        reason: "A directory can be synchronized, as on Linux; Wasmtime returns BADF.",
        applies: |seen| {
            matches!(seen.call.function, "fd_sync" | "fd_datasync")
                && seen.first().is_some_and(is_directory)
                && seen.errnos() == (Some(0), Some(BADF))
        },
    },
    Difference {
        name: "reported rights and flags",
        reason: "`fd_fdstat_get` reports the rights that the sandbox enforces, and the flags of any descriptor. Wasmtime reports the \
                 same rights for all descriptors of a kind, and no flags of a directory.",
        applies: |seen| match (&seen.sandbox, &seen.wasmtime) {
            (Outcome::Success(sandbox), Outcome::Success(wasmtime)) => match (&sandbox[..], &wasmtime[..]) {
                (
                    [
                        Value::Fdstat {
                            filetype: sandbox_type,
                            flags: sandbox_flags,
                            base,
                            inheriting,
                        },
                    ],
                    [
                        Value::Fdstat {
                            filetype: wasmtime_type,
                            flags: wasmtime_flags,
                            ..
                        },
                    ],
                ) => {
                    sandbox_type == wasmtime_type
                        && seen.first().is_some_and(|open| {
                            (sandbox_flags == wasmtime_flags
                                || open.kind != Kind::File && *sandbox_flags == open.flags)
                                && (open.base, open.inheriting) == (*base, *inheriting)
                        })
                }
                _ => false,
            },
            _ => false,
        },
    },
    Difference {
        name: "flags of what is not a file",
        reason: "POSIX `fcntl(F_SETFL)` applies to any open descriptor. Wasmtime has flags for files only, and returns BADF.",
        applies: |seen| {
            seen.call.function == "fd_fdstat_set_flags"
                && seen.first().is_some_and(|open| open.kind != Kind::File)
                && seen.errnos().1 == Some(BADF)
                && match seen.errnos().0 {
                    Some(INVAL) => seen.call.number(1) & SYNC_FLAGS != 0,
                    errno => errno == Some(0),
                }
        },
    },
    Difference {
        name: "times of a directory",
        reason: "\"Adjust the timestamps of an open file or directory\" (docs.md, `fd_filestat_set_times`). Wasmtime opens \
                 directories in a way that does not allow it, and returns BADF.",
        applies: |seen| {
            seen.call.function == "fd_filestat_set_times"
                && seen.first().is_some_and(is_directory)
                && seen.errnos() == (Some(0), Some(BADF))
        },
    },
    Difference {
        name: "`fd_pwrite` in append mode",
        reason: "POSIX `pwrite` writes at the offset, whatever `O_APPEND` says. Wasmtime does what Linux does, and appends.",
        applies: |seen| {
            seen.call.function == "fd_pwrite"
                && seen.first().is_some_and(|open| open.flags & 1 != 0)
                && seen.errnos().1 == Some(0)
                && matches!(seen.errnos().0, Some(0 | INVAL | FBIG))
        },
    },
    Difference {
        name: "writing nothing in append mode",
        reason: "A write of 0 bytes has no effect, as POSIX `write`. Wasmtime moves the position to the end of the file.",
        applies: |seen| {
            let is_nothing =
                |arg: &Arg| matches!(arg, Arg::Write(buffers) if buffers.iter().all(Vec::is_empty));
            seen.call.function == "fd_write"
                && seen.call.args.iter().any(is_nothing)
                && seen.first().is_some_and(|open| open.flags & 1 != 0)
                && seen.sandbox == seen.wasmtime
                && seen.state.len() == 1
        },
    },
    Difference {
        name: "several buffers",
        reason: "The sandbox uses all buffers, as POSIX `readv` and `writev`. Wasmtime uses the first one that is not empty.",
        applies: |seen| {
            let is_several = |arg: &Arg| match arg {
                Arg::Read(buffers) => buffers.len() > 1,
                Arg::Write(buffers) => buffers.len() > 1,
                _ => false,
            };
            let moved = |outcome: &Outcome| match outcome {
                Outcome::Success(values) => values.iter().find_map(|value| match value {
                    Value::Number(number) => Some(*number),
                    _ => None,
                }),
                _ => None,
            };
            let (sandbox, wasmtime) = (moved(&seen.sandbox), moved(&seen.wasmtime));
            seen.call.args.iter().any(is_several) && wasmtime.is_some() && sandbox > wasmtime
        },
    },
    Difference {
        name: "path below a descriptor that is not a directory",
        reason: "NOTDIR, as POSIX `openat` and its relatives; Wasmtime returns BADF.",
        applies: |seen| {
            let is_not_directory = |fd| seen.open(fd).is_some_and(|open| !is_directory(open));
            (seen.call.function.starts_with("path_") || matches!(seen.call.function, "fd_readdir" | "list"))
                && seen.call.fds().any(is_not_directory)
                && seen.errnos() == (Some(NOTDIR), Some(BADF))
        },
    },
    Difference {
        name: "opening for synchronized I/O",
        reason: "Wasmtime does not support DSYNC, RSYNC and SYNC in `path_open`, and returns NOTSUP.",
        applies: |seen| {
            seen.call.function == "path_open"
                && seen.call.number(6) & SYNC_FLAGS != 0
                && seen.errnos().1 == Some(NOTSUP)
        },
    },
    Difference {
        name: "symlink where a directory is required",
        reason: "With DIRECTORY and without SYMLINK_FOLLOW, a symlink is NOTDIR, as `O_DIRECTORY | O_NOFOLLOW` on Linux. Wasmtime \
                 opens the path without `O_DIRECTORY` and returns LOOP.",
        applies: |seen| {
            seen.call.function == "path_open"
                && seen.call.number(1) & 1 == 0
                && seen.call.number(3) & 2 != 0
                && seen.errnos() == (Some(NOTDIR), Some(LOOP))
        },
    },
    Difference {
        name: "target of a symlink",
        reason: "A symlink that a guest creates must not lead out of its own directory, because other programs may follow it: a \
                 target that is absolute or has `..` is refused with PERM, except for `..` after a directory, which is not \
                 stored. Wasmtime refuses absolute targets only.",
        applies: |seen| {
            let leads_out = |target: &[u8]| {
                target.starts_with(b"/") || target.split(|byte| *byte == b'/').any(|part| part == b"..")
            };
            seen.call.function == "path_symlink"
                && seen.call.paths().next().is_some_and(leads_out)
                && matches!(seen.errnos(), (Some(PERM), _) | (Some(0), Some(0)))
        },
    },
    Difference {
        name: "`fd_allocate`",
        reason: "Wasmtime does not support it, and returns NOTSUP.",
        applies: |seen| seen.call.function == "fd_allocate" && seen.errnos().1 == Some(NOTSUP),
    },
    Difference {
        name: "reading nothing from the console",
        reason: "A read of 0 bytes returns 0, as POSIX `read`; Wasmtime returns INTR.",
        applies: |seen| {
            let is_nothing =
                |arg: &Arg| matches!(arg, Arg::Read(lengths) if lengths.iter().all(|len| *len == 0));
            seen.call.function == "fd_read"
                && seen.first().is_some_and(|open| open.kind == Kind::Input)
                && seen.call.args.iter().any(is_nothing)
                && seen.errnos() == (Some(0), Some(INTR))
        },
    },
    Difference {
        name: "unlinking a symlink with a trailing slash",
        reason: "The symlink is not followed and is not a directory: NOTDIR, as on Linux. Wasmtime follows it.",
        applies: |seen| {
            seen.call.function == "path_unlink_file"
                && seen.call.paths().any(has_trailing_slash)
                && seen.errnos().0 == Some(NOTDIR)
                && !seen.wasmtime.is_success()
        },
    },
    Difference {
        name: "linking to a path with a trailing slash",
        reason: "A new link is not a directory. If the name exists, that is EXIST, as on Linux. Wasmtime follows it, and returns \
                 NOTDIR or the error of a symlink.",
        applies: |seen| {
            matches!(seen.call.function, "path_link" | "path_symlink")
                && seen.call.paths().nth(1).is_some_and(has_trailing_slash)
                && matches!(seen.errnos(), (Some(EXIST), Some(NOTDIR | LOOP | NOENT | PERM)))
        },
    },
    Difference {
        name: "attributes of a path with a trailing slash",
        reason: "A path with a trailing slash is that of a directory, also without SYMLINK_FOLLOW (POSIX, 4.16 Pathname \
                 Resolution). Wasmtime ignores the slash.",
        applies: |seen| {
            let is_other = |outcome: &Outcome| match outcome {
                Outcome::Success(values) => {
                    matches!(values[..], [Value::Filestat { filetype, .. }] if filetype != 3)
                }
                _ => false,
            };
            seen.call.function == "path_filestat_get"
                && seen.call.number(1) & 1 == 0
                && seen.call.paths().any(has_trailing_slash)
                && is_other(&seen.wasmtime)
                && !is_other(&seen.sandbox)
        },
    },
    Difference {
        name: "removing a directory with a trailing slash",
        reason: "The slash changes nothing, as on Linux: a directory is removed, a symlink is not followed. Wasmtime treats it \
                 as `/.`, follows a symlink and returns INVAL for a directory.",
        applies: |seen| {
            seen.call.function == "path_remove_directory"
                && seen.call.paths().any(has_trailing_slash)
                && match seen.errnos().0 {
                    // A symlink is not followed.
                    Some(NOTDIR) => !seen.wasmtime.is_success(),
                    errno => matches!(errno, Some(0 | NOTEMPTY)) && seen.errnos().1 == Some(INVAL),
                }
        },
    },
    Difference {
        name: "no time to set",
        reason: "If both times stay unchanged, the last component is not looked up, as on Linux. (POSIX `utimensat`: errors may be \
                 detected.) Wasmtime returns them.",
        applies: |seen| {
            seen.call.function == "path_filestat_set_times"
                && seen.call.number(5) == 0
                && seen.errnos().0 == Some(0)
                && seen.errnos().1 != Some(0)
        },
    },
    Difference {
        name: "position beyond the file system",
        reason: "The file system limits the position: INVAL, as `lseek` on Linux. Wasmtime accepts any position, and fails at the \
                 next read or write.",
        applies: |seen| {
            let large = |value: &Value| matches!(value, Value::Number(position) if *position > 1 << 40);
            seen.call.function == "fd_seek"
                && seen.errnos().0 == Some(INVAL)
                && matches!(&seen.wasmtime, Outcome::Success(values) if values.iter().any(large))
        },
    },
    Difference {
        name: "advice on an offset beyond 2^63",
        reason: "Files have no such offsets: INVAL, as for such a length. Linux, and so Wasmtime, ignores it.",
        applies: |seen| {
            seen.call.function == "fd_advise"
                && seen.call.number(1) >> 63 != 0
                && seen.errnos() == (Some(INVAL), Some(0))
        },
    },
    Difference {
        name: "size beyond 2^63",
        reason: "FBIG, as POSIX `ftruncate` for a size beyond the maximum; sizes are not negative in WASI. Wasmtime returns INVAL.",
        applies: |seen| {
            seen.call.function == "fd_filestat_set_size"
                && seen.call.number(1) >> 63 != 0
                && seen.errnos() == (Some(FBIG), Some(INVAL))
        },
    },
    Difference {
        name: "name of what is not a preopen",
        reason: "BADF, as from `fd_prestat_get`; the documents do not define it. Wasmtime returns NOTDIR.",
        applies: |seen| {
            seen.call.function == "fd_prestat_dir_name"
                && seen.first().is_some_and(|open| open.kind != Kind::Preopen)
                && seen.errnos() == (Some(BADF), Some(NOTDIR))
        },
    },
    Difference {
        name: "subscription that fails",
        reason: "The subscription to a clock that is not supported or to a descriptor that cannot be read or written fails, not the \
                 call: `event::error` is \"an error that occurred while processing the subscription request\" (docs.md, `event`). \
                 Wasmtime returns the error from the call, or accepts the clock.",
        applies: |seen| {
            seen.call.function == "poll_oneoff"
                && seen.sandbox.has_failed_event()
                && match seen.call.args[0] {
                    Arg::Ready { .. } => seen.errnos().1 == Some(BADF),
                    _ => matches!(seen.errnos().1, Some(0 | INVAL)),
                }
        },
    },
    Difference {
        name: "exit codes from 126",
        reason: "The documents allow any code; Wasmtime reserves those from 126 for signals, and traps.",
        applies: |seen| match seen.sandbox {
            Outcome::Exit(code) => !(0..126).contains(&code) && seen.wasmtime == Outcome::Trap,
            _ => false,
        },
    },
    Difference {
        name: "result pointer outside of the memory",
        reason: "The sandbox checks the result pointer first, so that no effect remains whose result cannot be returned. Wasmtime \
                 dereferences it last: it reports other errors first, and leaves the effect.",
        applies: |seen| {
            seen.call.args.contains(&Arg::Out(Out::OutOfBounds))
                && seen.sandbox == Outcome::Trap
                && !seen.wasmtime.is_success()
        },
    },
    Difference {
        name: "errors of two paths",
        reason: "One path has a trailing slash that its file does not allow, and the other cannot be resolved. The order of \
                 detection is undefined (POSIX, XSH 2.3 Error Numbers).",
        applies: |seen| {
            matches!(seen.call.function, "path_rename" | "path_link")
                && seen.call.paths().any(has_trailing_slash)
                && matches!(
                    seen.errnos(),
                    (
                        Some(NOTDIR | EXIST | NOENT | LOOP | PERM),
                        Some(NOTDIR | EXIST | NOENT | LOOP | PERM | BUSY)
                    )
                )
        },
    },
    Difference {
        name: "several errors",
        reason: "The arguments alone are wrong in one way, and the call would fail in another. The order of detection is undefined \
                 (POSIX, XSH 2.3 Error Numbers).",
        applies: |seen| {
            let is_static =
                |errno: Option<u16>| errno.is_some_and(|errno| static_errors(seen).contains(&errno));
            let (sandbox, wasmtime) = seen.errnos();
            let both_failed =
                sandbox.is_some_and(|errno| errno != 0) && wasmtime.is_some_and(|errno| errno != 0);
            both_failed && (is_static(sandbox) || is_static(wasmtime))
        },
    },
    Difference {
        name: "creating under a path with a trailing slash",
        reason: "Linux returns EISDIR, also if the directory exists and EXCL is set (open(2)); Wasmtime then returns EXIST.",
        applies: |seen| {
            seen.call.function == "path_open"
                && seen.call.number(3) & 5 == 5
                && seen.call.paths().any(has_trailing_slash)
                && seen.errnos() == (Some(ISDIR), Some(EXIST))
        },
    },
    Difference {
        name: "misaligned pointers",
        reason: "The documents demand a trap (witx-docs.md, Pointers). The sandbox accepts the pointer, as it accepts misaligned loads: no \
                 program needs the trap.",
        applies: |seen| {
            seen.call.args.contains(&Arg::Out(Out::Misaligned))
                && seen.wasmtime == Outcome::Trap
                && seen.sandbox.errno().is_some()
        },
    },
];

/// Returns the difference that explains what was seen. Nothing explains a broken rule.
pub(crate) fn find(seen: &Seen) -> Option<&'static Difference> {
    DIFFERENCES
        .iter()
        .filter(|_| seen.broken.is_none())
        .find(|difference| (difference.applies)(seen))
}

fn is_console(open: &Open) -> bool {
    matches!(open.kind, Kind::Input | Kind::Output)
}

fn is_directory(open: &Open) -> bool {
    matches!(open.kind, Kind::Preopen | Kind::Directory)
}

fn has_trailing_slash(path: &[u8]) -> bool {
    path.ends_with(b"/")
}

/// Returns whether the call has a flag or an enumerator that the documents do not define.
fn has_undefined_value(seen: &Seen) -> bool {
    let call = &seen.call;
    let highest: &[(usize, u64)] = match call.function {
        "clock_res_get" => &[(0, 3)],
        "fd_advise" => &[(3, 5)],
        "fd_seek" => &[(2, 2)],
        "fd_fdstat_set_flags" => &[(1, 31)],
        "fd_filestat_set_times" => &[(3, 15)],
        "path_filestat_get" => &[(1, 1)],
        "path_filestat_set_times" => &[(1, 1), (5, 15)],
        "path_link" => &[(1, 1)],
        "path_open" => &[(1, 1), (3, 15), (6, 31)],
        _ => &[],
    };
    highest.iter().any(|(n, highest)| call.number(*n) > *highest)
}

/// Returns the errors that the arguments alone cause, whatever the state is.
fn static_errors(seen: &Seen) -> Vec<u16> {
    let mut errors = Vec::new();
    for path in seen.call.paths() {
        if std::str::from_utf8(path).is_err() {
            errors.push(ILSEQ);
        }
        if path.contains(&0) {
            errors.push(INVAL);
        }
        if path.len() > 4095 || path.split(|byte| *byte == b'/').any(|name| name.len() > 255) {
            errors.push(NAMETOOLONG);
        }
        if path.is_empty() {
            errors.push(NOENT);
        }
    }
    // A hard link to what a symlink leads to is not supported.
    if seen.call.function == "path_link" && seen.call.number(1) & 1 != 0 {
        errors.push(INVAL);
    }
    errors
}
