//! Every function on files ends, on every kind of file: on its own, by the deadline, by an interrupt, by a revocation.

use super::guest::{errno::*, *};
use dynload_caps::Access;
use dynload_sandbox::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{
    any::Any,
    collections::BTreeSet,
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

const FILES: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);
const O: i64 = OUT as i64;

/// How long a call may take before it counts as endless, on a busy machine.
const ROOM: Duration = Duration::from_secs(30);

/// Descriptors of the guest: the test's directory, devices, `/proc`.
const OWN: i64 = 3;
const DEVICES: i64 = 4;
const PROC: i64 = 5;

/// Kinds of file: the descriptor of the directory and the name in it.
const KINDS: &[(i64, &str)] = &[
    (OWN, "file"),
    (OWN, "pipe"),
    (OWN, "held-pipe"),
    (OWN, "pipe/"),
    (OWN, "pipe/below"),
    (OWN, "socket"),
    (OWN, "directory"),
    (OWN, "link-to-pipe"),
    (OWN, "link-to-pipe/"),
    (OWN, "link-to-directory"),
    (OWN, "link-to-nothing"),
    (OWN, "nothing"),
    (DEVICES, "null"),
    (DEVICES, "zero"),
    (DEVICES, "full"),
    (DEVICES, "random"),
    (PROC, "kmsg"),
    (PROC, "self"),
    (PROC, "self/status"),
    (PROC, "self/environ"),
    (PROC, "self/exe"),
    (PROC, "self/fd"),
    (PROC, "self/fd/0"),
    (PROC, "sys/kernel/random/uuid"),
    (PROC, "kpagecount"),
];

#[derive(Debug, Clone, Copy)]
enum Ending {
    Deadline,
    Interrupt,
    Revocation,
}

/// Creates the files of the test again, because some of the calls remove them. The returned value keeps them in use.
fn make(dir: &Path) -> Box<dyn Any> {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(entry.path()).unwrap();
        } else {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::write(dir.join("file"), vec![b'x'; 1000]).unwrap();
    fs::create_dir(dir.join("directory")).unwrap();
    for pipe in ["pipe", "held-pipe"] {
        mknodat(CWD, dir.join(pipe), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }
    for link in ["pipe", "directory", "nothing"] {
        symlink(link, dir.join(format!("link-to-{link}"))).unwrap();
    }
    let held = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(dir.join("held-pipe"))
        .unwrap();
    Box::new((held, UnixListener::bind(dir.join("socket")).unwrap()))
}

/// A call: name and arguments.
type Call = (&'static str, Vec<i64>);

/// Every call that takes a path. Those that remove it come last.
fn by_path(guest: &mut Guest, dir: i64, name: &str) -> Vec<Call> {
    let [at, len] = guest.path(name);
    let [other, other_len] = guest.other_path("other");
    let mut calls = Vec::new();
    for lookup in [0, 1] {
        calls.push(("path_filestat_get", vec![dir, lookup, at, len, O]));
        for oflags in [0, CREAT, DIRECTORY, TRUNC, CREAT | 4, CREAT | TRUNC, 15] {
            // Devices and files of the kernel exist already, and stay.
            if dir != OWN && oflags & CREAT != 0 {
                continue;
            }
            for (rights, fdflags) in [(READ_RIGHTS, 0), (1 << 6, 0), (1 << 6, 4), (ALL_RIGHTS, 31)] {
                let open = vec![dir, lookup, at, len, oflags, rights, rights, fdflags, O];
                calls.push(("path_open", open));
            }
        }
    }
    calls.push(("path_readlink", vec![dir, at, len, DATA.into(), 100, O]));
    for (lookup, flags) in [(0, 10), (1, 10), (0, 5), (1, 5)] {
        calls.push(("path_filestat_set_times", vec![dir, lookup, at, len, 1, 1, flags]));
    }
    if dir == OWN {
        calls.extend([
            ("path_create_directory", vec![dir, at, len]),
            ("path_symlink", vec![other, other_len, dir, at, len]),
            ("path_link", vec![dir, 0, at, len, dir, other, other_len]),
            ("path_rename", vec![dir, at, len, dir, other, other_len]),
            ("path_rename", vec![dir, other, other_len, dir, at, len]),
            ("path_remove_directory", vec![dir, at, len]),
            ("path_unlink_file", vec![dir, at, len]),
        ]);
    }
    calls
}

/// Every call that takes a descriptor. The one that closes it comes last.
fn by_descriptor(guest: &mut Guest, fd: i64) -> Vec<Call> {
    const SUBSCRIPTION: u32 = 200_000;
    let [list, count] = guest.buffer(DATA, 180_000);
    for (n, kind) in [1, 2].into_iter().enumerate() {
        let at = SUBSCRIPTION + n as u32 * 48;
        guest.put(at, &[0; 48]);
        guest.put(at + 8, &[kind]);
        guest.put(at + 16, &(fd as u32).to_le_bytes());
    }
    let subscription = i64::from(SUBSCRIPTION);
    vec![
        ("fd_fdstat_get", vec![fd, O]),
        ("fd_filestat_get", vec![fd, O]),
        ("fd_prestat_get", vec![fd, O]),
        ("fd_prestat_dir_name", vec![fd, DATA.into(), 10]),
        ("fd_tell", vec![fd, O]),
        ("fd_seek", vec![fd, 0, 2, O]),
        ("fd_seek", vec![fd, 0, 0, O]),
        ("fd_readdir", vec![fd, DATA.into(), 180_000, 0, O]),
        ("poll_oneoff", vec![subscription, DATA.into(), 1, O]),
        ("poll_oneoff", vec![subscription + 48, DATA.into(), 1, O]),
        ("fd_read", vec![fd, list, count, O]),
        ("fd_pread", vec![fd, list, count, 0, O]),
        ("fd_write", vec![fd, list, count, O]),
        ("fd_pwrite", vec![fd, list, count, 0, O]),
        ("sock_accept", vec![fd, 0, O]),
        ("sock_recv", vec![fd, list, count, 0, O, O + 8]),
        ("sock_send", vec![fd, list, count, 0, O]),
        ("sock_shutdown", vec![fd, 3]),
        ("fd_advise", vec![fd, 0, 4096, 3]),
        ("fd_allocate", vec![fd, 0, 4096]),
        ("fd_filestat_set_size", vec![fd, 4096]),
        ("fd_filestat_set_times", vec![fd, 1, 1, 5]),
        ("fd_sync", vec![fd]),
        ("fd_datasync", vec![fd]),
        ("fd_fdstat_set_flags", vec![fd, 1]),
        ("fd_fdstat_set_rights", vec![fd, 0, 0]),
        ("fd_renumber", vec![fd, fd]),
        ("fd_close", vec![fd]),
    ]
}

/// The world of one thread, which reports its calls.
struct World {
    dir: tempfile::TempDir,
    sandbox: Sandbox,
    ending: Ending,
    calls: mpsc::Sender<String>,
    called: BTreeSet<&'static str>,
    /// The number of calls that did not end on their own.
    ended: usize,
}

impl World {
    fn new(ending: Ending, calls: mpsc::Sender<String>) -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut sandbox = sandbox_of(
            &[
                (dir.path(), Access::ReadWrite),
                // Nothing is created or removed there.
                (Path::new("/dev"), Access::ReadWrite),
                (Path::new("/proc"), Access::ReadOnly),
            ],
            FILES | Capabilities::NETWORK,
        );
        if matches!(ending, Ending::Deadline) {
            sandbox.set_limits(Limits::PERMISSIVE.with_time(Duration::from_millis(60)));
        }
        World {
            dir,
            sandbox,
            ending,
            calls,
            called: BTreeSet::new(),
            ended: 0,
        }
    }

    /// Makes a call, and ends it if it does not end on its own. Returns whether the guest can continue.
    fn call(&mut self, guest: &mut Guest, kind: &str, (name, args): &Call) -> bool {
        self.calls
            .send(format!("{name} {args:x?} of {kind} ({:?})", self.ending))
            .unwrap();
        self.called.insert(name);
        let (done, waiting) = mpsc::channel::<()>();
        let interrupt = guest.0.interrupt_handle_for_next_call();
        let (authority, ending) = (self.sandbox.authority().clone(), self.ending);
        let result = thread::scope(|scope| {
            scope.spawn(move || {
                if waiting.recv_timeout(Duration::from_millis(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
                    match ending {
                        Ending::Deadline => {}
                        Ending::Interrupt => interrupt.interrupt(),
                        Ending::Revocation => authority.revoke(FILES),
                    }
                }
            });
            let result = guest.try_call(name, args);
            drop(done);
            result
        });
        self.sandbox.grant(FILES);
        let right = match (&result, ending) {
            (Ok(_), _) => true,
            (Err(error), Ending::Deadline) => error.limit() == Some(Limit::Time),
            (Err(error), Ending::Interrupt) => matches!(error.kind(), ErrorKind::Interrupted),
            (Err(_), Ending::Revocation) => false,
        };
        assert!(right, "{name} of {kind}: {result:?}");
        let revoked = matches!(ending, Ending::Revocation) && matches!(result, Ok(NOTCAPABLE));
        self.ended += usize::from(result.is_err() || revoked);
        result.is_ok()
    }

    fn run(&mut self) {
        for (dir, name) in KINDS {
            let mut guest = Guest::new(&self.sandbox);
            let mut kept = make(self.dir.path());
            let calls = by_path(&mut guest, *dir, name);
            for call in &calls {
                if !self.call(&mut guest, name, call) {
                    guest = Guest::new(&self.sandbox);
                    by_path(&mut guest, *dir, name);
                }
                let fd = guest.u32(OUT);
                if call.0 == "path_open" && fd > 2 {
                    // The opened descriptor is closed, so that there is room for more.
                    let _ = guest.try_call("fd_close", &[fd.into()]);
                    guest.put(OUT, &[0; 4]);
                }
                let only_looks = call.0 == "path_open" && call.1[4] & (CREAT | TRUNC) == 0;
                if *dir == OWN && !only_looks {
                    drop(kept);
                    kept = make(self.dir.path());
                }
            }
            for rights in [READ_RIGHTS, 1 << 6 | 1 << 8 | 1 << 22, ALL_RIGHTS] {
                let many = by_descriptor(&mut guest, 0).len();
                for n in 0..many {
                    let mut guest = Guest::new(&self.sandbox);
                    let Ok(fd) = guest.open_at(*dir, name, 1, 0, rights, 0) else {
                        break;
                    };
                    let call = by_descriptor(&mut guest, fd).swap_remove(n);
                    self.call(&mut guest, name, &call);
                }
            }
            drop(kept);
        }
        // The table covers every function on files.
        for (_, name, _) in FUNCTIONS {
            let is_about_files = name.starts_with("fd_") || name.starts_with("path_");
            assert!(
                !is_about_files || self.called.contains(name),
                "{name} is not called"
            );
        }
        assert!(self.ended > 2, "no call had to be ended");
    }
}

/// Runs the table in a thread that is abandoned when one call does not end.
#[track_caller]
fn ends_by(ending: Ending) {
    let (calls, called) = mpsc::channel();
    let running = thread::spawn(move || World::new(ending, calls).run());
    let mut last = String::from("the beginning");
    loop {
        match called.recv_timeout(ROOM) {
            Ok(call) => last = call,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{last} does not end"),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn every_call_ends_at_the_deadline() {
    ends_by(Ending::Deadline);
}

#[test]
fn every_call_ends_on_an_interrupt() {
    ends_by(Ending::Interrupt);
}

#[test]
fn every_call_ends_on_a_revocation() {
    ends_by(Ending::Revocation);
}
