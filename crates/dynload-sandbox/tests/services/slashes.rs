//! Paths with trailing slashes: every path function answers as the system does.

use super::guest::*;
use dynload_caps::Access;
use dynload_sandbox::*;
use errno::*;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_NOW};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// The entries that each step finds.
const NAMES: &[&str] = &[
    "f",
    "d",
    "full",
    "lf",
    "ld",
    "dangling",
    "missing",
    "missing/x",
    "f/x",
    "d/x",
];

fn populate(dir: &Path) {
    fs::write(dir.join("f"), "file").unwrap();
    fs::create_dir(dir.join("d")).unwrap();
    fs::create_dir(dir.join("full")).unwrap();
    fs::write(dir.join("full/inside"), "inside").unwrap();
    symlink("f", dir.join("lf")).unwrap();
    symlink("d", dir.join("ld")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    fs::write(dir.join("other"), "other").unwrap();
    fs::create_dir(dir.join("others")).unwrap();
}

/// Names, kinds and contents of a tree.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut next = vec![PathBuf::new()];
    while let Some(below) = next.pop() {
        for entry in fs::read_dir(dir.join(&below)).unwrap() {
            let path = below.join(entry.unwrap().file_name());
            let at = dir.join(&path);
            let kind = fs::symlink_metadata(&at).unwrap().file_type();
            let text = if kind.is_dir() {
                next.push(path.clone());
                "directory".to_owned()
            } else if kind.is_symlink() {
                format!("-> {}", fs::read_link(&at).unwrap().display())
            } else {
                fs::read_to_string(&at).unwrap()
            };
            found.insert(path, text);
        }
    }
    found
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Stat {
        follow: bool,
    },
    Open {
        oflags: i64,
        follow: bool,
    },
    Mkdir,
    Rmdir,
    Unlink,
    Readlink,
    Touch {
        follow: bool,
    },
    /// The path is the new symlink.
    Symlink,
    LinkFrom,
    LinkTo,
    RenameFrom,
    /// A file is renamed to the path.
    RenameFileTo,
    /// A directory is renamed to the path.
    RenameDirectoryTo,
}

const STEPS: &[Step] = &[
    Step::Stat { follow: true },
    Step::Stat { follow: false },
    Step::Open {
        oflags: 0,
        follow: true,
    },
    Step::Open {
        oflags: 0,
        follow: false,
    },
    Step::Open {
        oflags: DIRECTORY,
        follow: true,
    },
    Step::Open {
        oflags: DIRECTORY,
        follow: false,
    },
    Step::Open {
        oflags: CREAT,
        follow: true,
    },
    Step::Open {
        oflags: CREAT | TRUNC,
        follow: true,
    },
    Step::Open {
        oflags: TRUNC,
        follow: true,
    },
    Step::Mkdir,
    Step::Rmdir,
    Step::Unlink,
    Step::Readlink,
    Step::Touch { follow: true },
    Step::Touch { follow: false },
    Step::Symlink,
    Step::LinkFrom,
    Step::LinkTo,
    Step::RenameFrom,
    Step::RenameFileTo,
    Step::RenameDirectoryTo,
];

fn on_the_host(dir: &Path, step: Step, path: &str) -> i64 {
    let at = |path: &str| format!("{}/{path}", dir.display());
    let here = at(path);
    let result: io::Result<()> = match step {
        Step::Stat { follow: true } => fs::metadata(here).map(drop),
        Step::Stat { follow: false } => fs::symlink_metadata(here).map(drop),
        Step::Open { oflags, follow } => {
            let mut flags = if oflags & (CREAT | TRUNC) == 0 {
                OFlags::RDONLY
            } else {
                OFlags::RDWR
            };
            flags.set(OFlags::CREATE, oflags & CREAT != 0);
            flags.set(OFlags::TRUNC, oflags & TRUNC != 0);
            flags.set(OFlags::DIRECTORY, oflags & DIRECTORY != 0);
            flags.set(OFlags::NOFOLLOW, !follow);
            rustix::fs::open(here, flags, Mode::from(0o644))
                .map(drop)
                .map_err(io::Error::from)
        }
        Step::Mkdir => fs::create_dir(here),
        Step::Rmdir => fs::remove_dir(here),
        Step::Unlink => fs::remove_file(here),
        Step::Readlink => fs::read_link(here).map(drop),
        Step::Touch { follow } => {
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            };
            let times = Timestamps {
                last_access: now,
                last_modification: now,
            };
            let flags = if follow {
                AtFlags::empty()
            } else {
                AtFlags::SYMLINK_NOFOLLOW
            };
            rustix::fs::utimensat(CWD, here, &times, flags).map_err(io::Error::from)
        }
        Step::Symlink => symlink("f", here),
        Step::LinkFrom => fs::hard_link(here, at("new")),
        Step::LinkTo => fs::hard_link(at("other"), here),
        Step::RenameFrom => fs::rename(here, at("new")),
        Step::RenameFileTo => fs::rename(at("other"), here),
        Step::RenameDirectoryTo => fs::rename(at("others"), here),
    };
    match result {
        Ok(()) => SUCCESS,
        Err(error) => match rustix::io::Errno::from_io_error(&error).unwrap() {
            rustix::io::Errno::NOENT => NOENT,
            rustix::io::Errno::EXIST => EXIST,
            rustix::io::Errno::NOTDIR => NOTDIR,
            rustix::io::Errno::ISDIR => ISDIR,
            rustix::io::Errno::NOTEMPTY => 55,
            rustix::io::Errno::INVAL => INVAL,
            rustix::io::Errno::PERM => PERM,
            rustix::io::Errno::LOOP => LOOP,
            other => panic!("{step:?} {path}: {other}"),
        },
    }
}

fn in_the_guest(guest: &mut Guest, step: Step, path: &str) -> i64 {
    match step {
        Step::Stat { follow } => guest.stat(path, follow),
        Step::Open { oflags, follow } => {
            let rights = if oflags & (CREAT | TRUNC) == 0 {
                READ_RIGHTS
            } else {
                ALL_RIGHTS
            };
            match guest.open_with(path, follow.into(), oflags, rights, 0) {
                Ok(fd) => guest.call("fd_close", &[fd]),
                Err(errno) => errno,
            }
        }
        Step::Mkdir => guest.mkdir(path),
        Step::Rmdir => guest.rmdir_at(3, path),
        Step::Unlink => guest.unlink(path),
        Step::Readlink => {
            let [ptr, len] = guest.path(path);
            guest.call("path_readlink", &[3, ptr, len, DATA.into(), 100, OUT.into()])
        }
        Step::Touch { follow } => guest.touch_at(3, path, follow),
        Step::Symlink => guest.symlink("f", path),
        Step::LinkFrom => guest.hard_link(path, "new"),
        Step::LinkTo => guest.hard_link("other", path),
        Step::RenameFrom => guest.rename(path, "new"),
        Step::RenameFileTo => guest.rename("other", path),
        Step::RenameDirectoryTo => guest.rename("others", path),
    }
}

/// Every function, on every kind of entry, with no, one and two slashes, in a plain directory and in one that contains a
/// read-only one.
#[test]
fn trailing_slashes_mean_what_they_mean_to_the_system() {
    let capabilities = Capabilities::FS_READ | Capabilities::FS_WRITE;
    let mut wrong = Vec::new();
    for guarded in [false, true] {
        for step in STEPS {
            for name in NAMES {
                for slashes in ["", "/", "//"] {
                    let path = format!("{name}{slashes}");
                    let (host, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
                    let inner = dir.path().join("inner");
                    for dir in [&host, &dir] {
                        populate(dir.path());
                        fs::create_dir(dir.path().join("inner")).unwrap();
                    }
                    let mut dirs = vec![(dir.path(), Access::ReadWrite)];
                    if guarded {
                        dirs.push((&inner, Access::ReadOnly));
                    }
                    let mut guest = Guest::new(&sandbox_of(&dirs, capabilities));
                    let expected = on_the_host(host.path(), *step, &path);
                    let found = in_the_guest(&mut guest, *step, &path);
                    if found != expected || snapshot(dir.path()) != snapshot(host.path()) {
                        wrong.push(format!(
                            "{step:?} `{path}` (guarded: {guarded}): {found}, on the host {expected}"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
