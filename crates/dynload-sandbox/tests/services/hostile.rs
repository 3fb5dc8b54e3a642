//! A guest that tries to make the host allocate, block or compute, once for each group of host functions.

use super::guest::{errno::*, *};
use dynload_caps::{Access, ProgramScope};
use dynload_sandbox::*;
use std::{
    path::Path,
    time::{Duration, Instant},
};

const ANY: Capabilities = Capabilities::all();
const O: i64 = OUT as i64;

fn limited(dir: &Path, limits: Limits) -> Sandbox {
    let mut sandbox = sandbox(dir, Access::ReadWrite, ANY);
    let mut scopes = sandbox.scopes().clone();
    scopes.net.push("127.0.0.1:*".parse().unwrap());
    let shell = if cfg!(unix) {
        "/bin/sh"
    } else {
        r"C:\windows\system32\cmd.exe"
    };
    scopes.programs.push(ProgramScope::new(shell).unwrap());
    scopes.max_workers = 3;
    sandbox.set_scopes(scopes);
    sandbox.set_limits(limits);
    sandbox
}

/// The peak memory of this process so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// A guest that calls one function repeatedly, with the same arguments.
fn again(sandbox: &Sandbox, call: &str) -> Guest {
    let body = format!(
        "(func (export \"again\") (param $a i32) (param $b i32) (result i32) (loop $l {call} (drop) (br $l)) (i32.const 0))"
    );
    Guest(sandbox.instantiate(&module(&body)).unwrap())
}

/// Every group of functions, called forever: fuel ends it, and for each unit of fuel the host does little.
#[test]
fn no_host_function_is_free() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), vec![b'x'; 1 << 16]).unwrap();
    for n in 0..50 {
        std::fs::write(dir.path().join(format!("entry{n}")), "").unwrap();
    }
    let before = peak_memory();
    for call in [
        "(call $args_sizes_get (i32.const 0) (i32.const 8))",
        "(call $environ_sizes_get (i32.const 0) (i32.const 8))",
        "(call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0))",
        "(call $random_get (i32.const 0) (i32.const 60000))",
        "(call $sched_yield)",
        "(call $fd_read (local.get $a) (i32.const 12000) (i32.const 1) (i32.const 0))",
        "(call $fd_pread (local.get $a) (i32.const 12000) (i32.const 1) (i64.const 0) (i32.const 0))",
        "(call $fd_write (i32.const 1) (i32.const 12000) (i32.const 1) (i32.const 0))",
        "(call $fd_readdir (i32.const 3) (i32.const 65536) (i32.const 60000) (i64.const 0) (i32.const 0))",
        "(call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 0))",
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))",
        "(call $poll_oneoff (i32.const 20000) (i32.const 65536) (i32.const 1) (i32.const 0))",
        "(call $sock_recv (i32.const 0) (i32.const 12000) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8))",
        "(call $tcp_listen (i32.const 1040) (i32.const 9) (i32.const 0) (i32.const 0))",
        "(call $thread_spawn (i32.const 1024) (i32.const 4) (i64.const 0) (i32.const 0))",
        "(call $gpu_device_count (i32.const 0))",
    ] {
        // On each yield, other threads may have the processor for milliseconds.
        let fuel = if call.contains("yield") { 1_000 } else { 100_000 };
        let sandbox = limited(
            dir.path(),
            Limits::DEFAULT
                .with_fuel(fuel)
                .with_time(Duration::from_millis(60_000)),
        );
        let mut guest = again(&sandbox, call);
        guest.buffer(DATA, 60_000);
        guest.path("file");
        guest.put(1040, b"127.0.0.1");
        guest.put(20_016, &1_u32.to_le_bytes());
        let fd = guest.open("file", 0, READ_RIGHTS).unwrap();
        let started = Instant::now();
        let error = guest.try_call("again", &[fd, 0]).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Fuel), "{call}: {error}");
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{call} took {:?}",
            started.elapsed()
        );
    }
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 256 << 20, "the host grew by {grown} bytes");
}

/// Calls that take the host long and cost the guest little: the deadline is checked before each.
#[test]
fn many_slow_calls_end_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..500 {
        std::fs::write(dir.path().join(format!("entry{n}")), "").unwrap();
    }
    for call in [
        "(call $fd_sync (i32.const 3))",
        "(call $fd_readdir (i32.const 3) (i32.const 65536) (i32.const 60000) (i64.const 0) (i32.const 0))",
        "(call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const 4000) (i32.const 0))",
    ] {
        let sandbox = limited(dir.path(), Limits::DEFAULT.with_time(Duration::from_millis(50)));
        let mut guest = again(&sandbox, call);
        guest.path(&"./".repeat(2000));
        let started = Instant::now();
        let error = guest.try_call("again", &[0, 0]).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Time), "{call}: {error}");
        assert!(
            (50..3000).contains(&started.elapsed().as_millis()),
            "{call} took {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn descriptors_run_out() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = limited(dir.path(), Limits::DEFAULT);
    let mut guest = Guest::new(&sandbox);
    guest.write("file", b"x").unwrap();
    let mut opened = 0;
    while guest.open("file", 0, READ_RIGHTS).is_ok() {
        opened += 1;
        assert!(opened < 1000);
    }
    assert_eq!(guest.open("file", 0, READ_RIGHTS), Err(MFILE));
    // Nothing is created if there is no descriptor for it.
    assert_eq!(guest.open("new", CREAT, ALL_RIGHTS), Err(MFILE));
    assert!(!dir.path().join("new").exists());
    let [host, len] = guest.path("127.0.0.1");
    assert_eq!(guest.call("tcp_listen", &[host, len, 0, O]), MFILE);
    assert_eq!(guest.call("fd_close", &[10]), SUCCESS);
    assert_eq!(guest.open("file", 0, READ_RIGHTS), Ok(10));
}

#[test]
fn list_lengths_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&limited(dir.path(), Limits::DEFAULT));
    guest.write("file", b"x").unwrap();
    let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
    for count in [1025, 1_000_000, -1] {
        assert_eq!(guest.call("fd_read", &[fd, 0, count, O]), INVAL);
        assert_eq!(guest.call("fd_write", &[fd, 0, count, O]), INVAL);
        assert_eq!(guest.call("poll_oneoff", &[0, 0, count, O]), INVAL);
    }
    // The longest list, each entry the same large buffer: 256 MiB in total.
    let mut small = Guest::new(&limited(
        dir.path(),
        Limits::DEFAULT
            .with_fuel(10_000_000)
            .with_time(Duration::from_millis(500)),
    ));
    for n in 0..1024_u32 {
        small.put(n * 8, &0_u32.to_le_bytes());
        small.put(n * 8 + 4, &MEMORY.to_le_bytes());
    }
    assert_eq!(small.call("fd_read", &[0, 0, 1024, O]), SUCCESS);
    // Output of 256 MiB is charged before any of it is written.
    let error = small.try_call("fd_write", &[1, 0, 1024, 200_000]).map(|_| ());
    let written = small.0.take_output(Stream::Out).len() as u64;
    assert!(written <= Console::DEFAULT_LIMIT, "{error:?}");
}

/// A file without an end: the deadline applies within one call.
#[test]
#[cfg_attr(windows, ignore = "there are no such files")]
fn reading_an_endless_file() {
    let sandbox = {
        let mut sandbox = sandbox(Path::new("/dev"), Access::ReadOnly, ANY);
        sandbox.set_limits(Limits::PERMISSIVE.with_time(Duration::from_millis(100)));
        sandbox
    };
    let mut guest = Guest::new(&sandbox);
    let fd = guest.open("zero", 0, READ_RIGHTS).unwrap();
    for n in 0..1024_u32 {
        guest.put(n * 8, &8192_u32.to_le_bytes());
        guest.put(n * 8 + 4, &(MEMORY - 8192).to_le_bytes());
    }
    let started = Instant::now();
    // 248 MiB in one call: either they are read in time, or the time is up.
    match guest.try_call("fd_read", &[fd, 0, 1024, 0]) {
        Ok(errno) => assert_eq!(errno, SUCCESS),
        Err(error) => assert_eq!(error.limit(), Some(Limit::Time), "{error}"),
    }
    assert!(started.elapsed() < Duration::from_secs(60));
}

/// Allocating disk space costs as much as writing it.
#[test]
fn allocating_costs_as_much_as_writing() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&limited(dir.path(), Limits::DEFAULT.with_fuel(10_000)));
    guest.write("file", b"").unwrap();
    let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
    assert_eq!(guest.call("fd_allocate", &[fd, 0, 4096]), SUCCESS);
    let error = guest.try_call("fd_allocate", &[fd, 0, 1 << 40]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Fuel));
    assert_eq!(std::fs::metadata(dir.path().join("file")).unwrap().len(), 4096);
}

/// A range that the disk has no room for is refused before any part of it is allocated.
#[test]
#[cfg_attr(windows, ignore = "Wine allocates nothing")]
fn allocating_more_than_the_disk_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&limited(dir.path(), Limits::DEFAULT));
    guest.write("file", b"bytes").unwrap();
    let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
    for len in [1 << 50, i64::MAX] {
        assert_eq!(guest.call("fd_allocate", &[fd, 0, len]), NOSPC);
        assert_eq!(std::fs::metadata(dir.path().join("file")).unwrap().len(), 5);
    }
    // Also if the file has that size already, and nothing in it.
    const LARGE: i64 = 1 << 43;
    if guest.call("fd_filestat_set_size", &[fd, LARGE]) == SUCCESS {
        assert_eq!(guest.call("fd_allocate", &[fd, 0, LARGE]), NOSPC);
    }
    // What is between the end of the file and the range takes no space.
    assert_eq!(guest.call("fd_filestat_set_size", &[fd, 0]), SUCCESS);
    assert_eq!(guest.call("fd_allocate", &[fd, 1 << 40, 1]), SUCCESS);
}

/// A program that writes forever neither fills the host's memory nor outlives the call.
#[cfg(unix)]
#[test]
fn a_program_that_writes_forever() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&limited(
        dir.path(),
        Limits::PERMISSIVE.with_time(Duration::from_millis(200)),
    ));
    let before = peak_memory();
    let script = "while :; do echo 0123456789012345678901234567890123456789; done";
    let at = super::process::request(&mut guest, "/bin/sh", &["-c", script], b"", 100);
    let error = guest.try_call("process_run", &[at]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    assert!(peak_memory() - before < 64 << 20);
}

/// Workers that are not joined still count: the guest cannot pile them up.
#[test]
fn workers_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = limited(dir.path(), Limits::DEFAULT);
    let body = "(func (export \"done\") (param i64) (result i64) (local.get 0))
        (data (i32.const 30000) \"done\")
        (func (export \"pile\") (param $n i32) (result i32) (local $errno i32)
            (loop $more
                (local.set $errno (call $thread_spawn (i32.const 30000) (i32.const 4) (i64.const 0) (i32.const 31000)))
                (if (local.get $errno) (then (return (local.get $n))))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br $more))
            (unreachable))";
    let mut guest = Guest(sandbox.instantiate(&module(body)).unwrap());
    assert_eq!(guest.call("pile", &[0]), 3);
    assert_eq!(guest.call("pile", &[0]), 3);
}

/// The console accepts output up to its limit, and then reports that it is full.
#[test]
fn a_full_console() {
    let dir = tempfile::tempdir().unwrap();
    let mut sandbox = limited(dir.path(), Limits::DEFAULT);
    sandbox.set_console(Console::new(ConsoleOutput::Buffer).with_limit(150_000));
    let mut guest = Guest::new(&sandbox);
    let [list, count] = guest.buffer(0, 100_000);
    assert_eq!(guest.call("fd_write", &[1, list, count, O]), SUCCESS);
    assert_eq!(guest.u32(OUT), 100_000);
    assert_eq!(guest.call("fd_write", &[2, list, count, O]), SUCCESS);
    assert_eq!(guest.u32(OUT), 50_000);
    assert_eq!(guest.call("fd_write", &[1, list, count, O]), NOSPC);
}

/// Whatever guests open, directories and their listings included, the host can still open a file.
#[cfg(unix)]
#[test]
fn the_host_keeps_descriptors_for_itself() {
    alone(
        &["prlimit", "--nofile=200"],
        "hostile::the_host_keeps_descriptors_for_itself",
        || {
            let dir = tempfile::tempdir().unwrap();
            let sandbox = sandbox(dir.path(), Access::ReadWrite, ANY);
            let mut guests: Vec<Guest> = (0..3).map(|_| Guest::new(&sandbox)).collect();
            let mut opened = 0;
            for guest in &mut guests {
                loop {
                    match guest.open(".", DIRECTORY, ALL_RIGHTS) {
                        Ok(fd) => {
                            opened += 1 + 2 * i64::from(
                                guest.call("fd_readdir", &[fd, DATA.into(), 100, 0, O]) == SUCCESS,
                            )
                        }
                        Err(errno) => {
                            assert_eq!(errno, NFILE);
                            break;
                        }
                    }
                }
            }
            assert!((140..=150).contains(&opened), "{opened}");
            drop(std::fs::File::open("/dev/null").unwrap());
            // Descriptors that one guest releases are available to another.
            guests.truncate(2);
            guests[0].open(".", DIRECTORY, ALL_RIGHTS).unwrap();
        },
    );
}

/// A clock that revokes FS after it has been read a hundred times.
struct Revoking {
    clock: SystemClock,
    reads: std::sync::atomic::AtomicU32,
    authority: std::sync::Mutex<Option<Authority>>,
}

impl Clock for Revoking {
    fn monotonic(&self) -> Duration {
        if self.reads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 100
            && let Some(authority) = &*self.authority.lock().unwrap()
        {
            authority.revoke(Capabilities::FS_READ | Capabilities::FS_WRITE);
        }
        self.clock.monotonic()
    }
}

/// A long listing checks its capability at each entry.
#[test]
fn a_listing_ends_with_its_capability() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..500 {
        std::fs::write(dir.path().join(format!("file {n}")), "").unwrap();
    }
    let clock = Revoking {
        clock: SystemClock::new(),
        reads: 0.into(),
        authority: std::sync::Mutex::new(None),
    };
    let sandbox = sandbox(dir.path(), Access::ReadOnly, ANY);
    *clock.authority.lock().unwrap() = Some(sandbox.authority().clone());
    let mut guest = Guest::new(&sandbox.with_clock(clock));
    assert_eq!(
        guest.call("fd_readdir", &[3, DATA.into(), 40_000, 0, O]),
        NOTCAPABLE
    );
}
