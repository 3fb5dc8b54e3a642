//! A process that may not create large files (`ulimit -f`): a guest's write beyond the limit is an error of the
//! guest, not a signal that ends the host. Each host is a separate process, because the limit applies to the
//! whole process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "the test creates the directories that it grants, and runs itself in separate processes"
)]

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use dynload_caps::{Access, DirScope};
use dynload_sandbox::*;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Set in the separate processes: what they do.
const HOST: &str = "DYNLOAD_TEST_HOST";

const LIMIT: i64 = 8192;
const FBIG: i64 = 22;

/// A guest whose exports are functions of WASI; it has one buffer of 3 000 bytes, and the result of each call
/// at address 8.
const GUEST: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_allocate" (func $allocate (param i32 i64 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $set_size (param i32 i64) (result i32)))
    (import "vais" "print" (func $print (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\00\10\00\00\b8\0b\00\00") (data (i32.const 16) "file")
    (func (export "open") (param $append i32) (result i32)
        (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 1)
            (i64.const 0x3fffffff) (i64.const 0) (local.get $append) (i32.const 24)))
    (func (export "write") (param $len i32) (result i32)
        (i32.store (i32.const 4) (local.get $len))
        (call $write (i32.load (i32.const 24)) (i32.const 0) (i32.const 1) (i32.const 8)))
    (func (export "pwrite") (param $at i64) (result i32)
        (i32.store (i32.const 4) (i32.const 3000))
        (call $pwrite (i32.load (i32.const 24)) (i32.const 0) (i32.const 1) (local.get $at) (i32.const 8)))
    (func (export "seek") (param $at i64) (result i32)
        (call $seek (i32.load (i32.const 24)) (local.get $at) (i32.const 0) (i32.const 8)))
    (func (export "allocate") (param $at i64) (param $len i64) (result i32)
        (call $allocate (i32.load (i32.const 24)) (local.get $at) (local.get $len)))
    (func (export "set_size") (param $size i64) (result i32)
        (call $set_size (i32.load (i32.const 24)) (local.get $size)))
    (func (export "print") (call $print (i32.const 4096) (i32.const 3000)))
    (func (export "done") (result i32) (i32.load (i32.const 8))))"#;

fn sandbox(dir: &Path) -> Sandbox {
    let mut scopes = Scopes::none();
    let scope = DirScope::new(dir.to_str().unwrap(), "/data", Access::ReadWrite);
    scopes.dirs.push(scope.unwrap());
    Sandbox::new(Limits::PERMISSIVE)
        .with_capabilities(Capabilities::FS_READ | Capabilities::FS_WRITE | Capabilities::CONSOLE)
        .with_scopes(scopes)
        .with_console(Console::new(ConsoleOutput::Inherit))
}

fn guest(sandbox: &Sandbox) -> Instance {
    let module = Module::new(&Engine::default(), wat::parse_str(GUEST).unwrap()).unwrap();
    sandbox.instantiate(&module).unwrap()
}

/// Every operation that makes a file grow, up to the limit and beyond.
fn grow(dir: &Path) {
    let mut guest = guest(&sandbox(dir));
    let mut call = |name: &str, args: &[i64], wanted: i64| {
        assert_eq!(guest.call_i64(name, args).unwrap(), wanted, "{name} {args:?}");
    };
    call("open", &[0], 0);
    for (size, wanted) in [
        (LIMIT, 0),
        (LIMIT + 1, FBIG),
        (4 << 30, FBIG),
        (i64::MAX, FBIG),
        (0, 0),
    ] {
        call("set_size", &[size], wanted);
    }
    call("allocate", &[0, LIMIT], 0);
    call("allocate", &[0, LIMIT + 1], FBIG);
    call("allocate", &[LIMIT, 1], FBIG);
    call("allocate", &[1 << 40, 1], FBIG);
    // A write that crosses the limit is cut short, one after the limit is refused, an empty one is not.
    call("set_size", &[0], 0);
    call("seek", &[6000], 0);
    call("write", &[3000], 0);
    call("done", &[], LIMIT - 6000);
    call("write", &[1], FBIG);
    call("write", &[0], 0);
    call("seek", &[1 << 40], 0);
    call("write", &[3000], FBIG);
    call("pwrite", &[6000], 0);
    call("done", &[], LIMIT - 6000);
    call("pwrite", &[LIMIT], FBIG);
    call("pwrite", &[1 << 40], FBIG);
    // At the end of the file, wherever that is.
    call("set_size", &[8000], 0);
    call("open", &[1], 0);
    call("write", &[3000], 0);
    call("done", &[], LIMIT - 8000);
    call("write", &[3000], FBIG);
    call("pwrite", &[LIMIT], FBIG);
    // A file that others made larger can be truncated and written to, up to the limit.
    assert_eq!(std::fs::metadata(dir.join("file")).unwrap().len(), LIMIT as u64);
}

/// Instances that append to one file: between the check and the write of one, the others write.
fn race(dir: &Path) {
    let sandbox = sandbox(dir);
    let append = || {
        let mut guest = guest(&sandbox);
        assert_eq!(guest.call_i64("open", &[1]).unwrap(), 0);
        for _ in 0..5000 {
            assert_eq!(guest.call_i64("set_size", &[LIMIT - 50]).unwrap(), 0);
            for _ in 0..2 {
                let errno = guest.call_i64("write", &[40]).unwrap();
                assert!([0, FBIG].contains(&errno), "{errno}");
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(append);
        }
    });
}

/// The host's own output is a file.
fn print(dir: &Path) {
    let mut guest = guest(&sandbox(dir));
    for _ in 0..10 {
        guest.call("print", &[]).unwrap();
    }
}

#[test]
fn a_guest_cannot_end_a_host_with_a_file_size_limit() {
    if let Ok(host) = std::env::var(HOST) {
        let (what, dir) = host.split_once(' ').unwrap();
        let limit = Rlimit {
            current: Some(LIMIT as u64),
            maximum: Some(LIMIT as u64),
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        match what {
            "grow" => grow(Path::new(dir)),
            "race" => race(Path::new(dir)),
            _ => print(Path::new(dir)),
        }
        std::process::exit(77);
    }
    for what in ["grow", "race", "print"] {
        let dir = tempfile::tempdir().unwrap();
        let output = std::fs::File::create(dir.path().join("output")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_guest_cannot_end_a_host_with_a_file_size_limit",
                "--nocapture",
            ])
            .env(HOST, format!("{what} {}", dir.path().display()))
            .stdout(output)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&child.stderr);
        let (code, signal) = (child.status.code(), child.status.signal());
        assert_eq!((code, signal), (Some(77), None), "{what}: {errors}");
    }
}
