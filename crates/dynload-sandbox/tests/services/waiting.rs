//! A wait ends with the event that it waits for, and not before.

use super::guest::{errno::*, *};
use dynload_caps::Access;
use dynload_sandbox::*;
use std::{
    net::TcpListener,
    thread,
    time::{Duration, Instant},
};

const ANY: Capabilities = Capabilities::all();
const O: i64 = OUT as i64;

/// Where the tests put subscriptions and events.
pub(crate) const SUBSCRIPTIONS: u32 = 20_000;
pub(crate) const EVENTS: u32 = 24_000;

pub(crate) fn world(limits: Limits) -> (tempfile::TempDir, Sandbox) {
    let dir = tempfile::tempdir().unwrap();
    let mut sandbox = sandbox(dir.path(), Access::ReadWrite, ANY);
    let mut scopes = sandbox.scopes().clone();
    scopes.net.push("127.0.0.1:*".parse().unwrap());
    for program in ["/bin/sleep", "/bin/cat"].into_iter().filter(|_| cfg!(unix)) {
        scopes
            .programs
            .push(dynload_caps::ProgramScope::new(program).unwrap());
    }
    scopes.max_workers = 4;
    sandbox.set_scopes(scopes);
    sandbox.set_limits(limits);
    (dir, sandbox)
}

/// Writes a clock subscription.
pub(crate) fn clock(guest: &mut Guest, n: u32, userdata: u64, id: u32, timeout: u64, flags: u16) {
    let at = SUBSCRIPTIONS + n * 48;
    guest.put(at, &[0; 48]);
    guest.put(at, &userdata.to_le_bytes());
    guest.put(at + 16, &id.to_le_bytes());
    guest.put(at + 24, &timeout.to_le_bytes());
    guest.put(at + 40, &flags.to_le_bytes());
}

/// Writes a descriptor subscription: 1 to read, 2 to write.
pub(crate) fn descriptor(guest: &mut Guest, n: u32, userdata: u64, kind: u8, fd: i64) {
    let at = SUBSCRIPTIONS + n * 48;
    guest.put(at, &[0; 48]);
    guest.put(at, &userdata.to_le_bytes());
    guest.put(at + 8, &[kind]);
    guest.put(at + 16, &(fd as u32).to_le_bytes());
}

/// Polls, and returns userdata, errno, type and number of bytes of each event.
fn poll(guest: &mut Guest, count: u32) -> Vec<(u64, u16, u8, u64)> {
    let errno = guest.call(
        "poll_oneoff",
        &[SUBSCRIPTIONS.into(), EVENTS.into(), count.into(), O],
    );
    assert_eq!(errno, SUCCESS);
    (0..guest.u32(OUT))
        .map(|n| {
            let event = guest.bytes(EVENTS + n * 32, 32);
            let number = |at: usize| u64::from_le_bytes(event[at..at + 8].try_into().unwrap());
            (
                number(0),
                u16::from_le_bytes([event[8], event[9]]),
                event[10],
                number(16),
            )
        })
        .collect()
}

#[test]
fn clocks() {
    let (_dir, sandbox) = world(Limits::DEFAULT);
    let mut guest = Guest::new(&sandbox);
    let before = Instant::now();
    clock(&mut guest, 0, 7, 1, 20_000_000, 0);
    clock(&mut guest, 1, 8, 1, 60_000_000_000, 0);
    assert_eq!(poll(&mut guest, 2), [(7, 0, 0, 0)]);
    assert!((20..1000).contains(&before.elapsed().as_millis()));
    // A time in the past is due immediately, on both clocks.
    for id in [0, 1] {
        clock(&mut guest, 0, 9, id, 1, 1);
        assert_eq!(poll(&mut guest, 1), [(9, 0, 0, 0)]);
    }
    // An unknown clock is reported as an event.
    clock(&mut guest, 0, 1, 77, 0, 0);
    assert_eq!(poll(&mut guest, 1), [(1, INVAL as u16, 0, 0)]);
    // Times near the maximum are far away, not an overflow.
    for flags in [0, 1] {
        clock(&mut guest, 0, 1, 0, u64::MAX, flags);
        clock(&mut guest, 1, 2, 1, 1, 0);
        assert_eq!(poll(&mut guest, 2), [(2, 0, 0, 0)]);
    }
}

#[test]
fn descriptors() {
    let (_dir, mut sandbox) = world(Limits::DEFAULT);
    sandbox.set_console(Console::new(ConsoleOutput::Buffer).with_input(b"abc".as_slice()));
    let mut guest = Guest::new(&sandbox);
    guest.write("file", b"12345").unwrap();
    let file = guest.open("file", 0, ALL_RIGHTS).unwrap();
    descriptor(&mut guest, 0, 10, 1, 0);
    descriptor(&mut guest, 1, 11, 2, 1);
    descriptor(&mut guest, 2, 12, 1, file);
    descriptor(&mut guest, 3, 13, 2, file);
    descriptor(&mut guest, 4, 14, 1, 99);
    descriptor(&mut guest, 5, 15, 2, 0);
    descriptor(&mut guest, 6, 16, 1, 3);
    let badf = BADF as u16;
    let notcapable = NOTCAPABLE as u16;
    let wanted = [
        (10, 0, 1, 3),
        (11, 0, 2, 1),
        (12, 0, 1, 5),
        (13, 0, 2, 1),
        (14, badf, 1, 0),
        (15, notcapable, 2, 0),
        (16, badf, 1, 0),
    ];
    let events = poll(&mut guest, 7);
    assert_eq!(events[..5], wanted[..5]);
    assert_eq!(events[6].1, badf);
    // Descriptors of a revoked capability are denied, and the others are not.
    sandbox.revoke(Capabilities::CONSOLE);
    let events = poll(&mut guest, 4);
    assert_eq!(
        events.iter().map(|event| event.1).collect::<Vec<_>>(),
        [notcapable, notcapable, 0, 0]
    );
    sandbox.revoke(ANY);
    let args = [SUBSCRIPTIONS.into(), EVENTS.into(), 4, O];
    assert_eq!(guest.call("poll_oneoff", &args), NOTCAPABLE);
}

#[test]
fn sockets_become_ready() {
    let (_dir, sandbox) = world(Limits::DEFAULT);
    let mut guest = Guest::new(&sandbox);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = connect(&mut guest, server.local_addr().unwrap().port());
    let (peer, _) = server.accept().unwrap();
    descriptor(&mut guest, 0, 1, 1, fd);
    clock(&mut guest, 1, 2, 1, 5_000_000, 0);
    assert_eq!(poll(&mut guest, 2), [(2, 0, 0, 0)]);
    let writing = thread::spawn(move || {
        std::io::Write::write_all(&mut &peer, b"12345678").unwrap();
        peer
    });
    clock(&mut guest, 1, 2, 1, 4_000_000_000, 0);
    assert_eq!(poll(&mut guest, 2), [(1, 0, 1, 8)]);
    drop(writing.join().unwrap());
    let [list, count] = guest.buffer(DATA, 100);
    assert_eq!(guest.call("fd_read", &[fd, list, count, O]), SUCCESS);
    // The peer has closed the connection: the socket is readable, with 0 bytes.
    assert_eq!(poll(&mut guest, 1), [(1, 0, 1, 0)]);
    assert_eq!(guest.call("fd_read", &[fd, list, count, O]), SUCCESS);
    assert_eq!(guest.u32(OUT), 0);
}

pub(crate) fn connect(guest: &mut Guest, port: u16) -> i64 {
    let [host, len] = guest.path("127.0.0.1");
    assert_eq!(guest.call("tcp_connect", &[host, len, port.into(), O]), SUCCESS);
    guest.u32(OUT).into()
}

#[test]
fn a_nonblocking_descriptor() {
    let (_dir, sandbox) = world(Limits::DEFAULT);
    let mut guest = Guest::new(&sandbox);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = connect(&mut guest, server.local_addr().unwrap().port());
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd, 4]), SUCCESS);
    let [list, count] = guest.buffer(DATA, 10);
    assert_eq!(guest.call("fd_read", &[fd, list, count, O]), AGAIN);
    assert_eq!(guest.call("sock_recv", &[fd, list, count, 0, O, O + 8]), AGAIN);
    let [host, len] = guest.path("127.0.0.1");
    assert_eq!(guest.call("tcp_listen", &[host, len, 0, O]), SUCCESS);
    let listener = guest.u32(OUT).into();
    assert_eq!(guest.call("fd_fdstat_set_flags", &[listener, 4]), SUCCESS);
    assert_eq!(guest.call("sock_accept", &[listener, 0, O]), AGAIN);
}

/// Writing to a named pipe without a reader is an errno, and not a signal to the host.
#[test]
#[cfg_attr(windows, ignore = "directories contain no named pipes")]
fn a_pipe_without_a_reader() {
    let (dir, sandbox) = world(Limits::DEFAULT);
    let mut guest = Guest::new(&sandbox);
    let pipe = dir.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // Without a reader it cannot be opened, and neither the host nor the guest waits for one.
    assert_eq!(guest.open("pipe", 0, 1 << 6), Err(60));
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let fd = guest.open("pipe", 0, 1 << 6).unwrap();
    let [list, count] = guest.buffer(DATA, 10);
    assert_eq!(guest.call("fd_write", &[fd, list, count, O]), SUCCESS);
    drop(reader);
    assert_eq!(guest.call("fd_write", &[fd, list, count, O]), 64);
}

/// A clock of the embedder, on which time passes only during a sleep.
#[derive(Default)]
struct Still(std::sync::atomic::AtomicU64);

impl Clock for Still {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        self.0
            .fetch_add(duration.as_nanos() as u64, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn a_clock_of_the_embedder() {
    let sandbox = Sandbox::new(Limits::DEFAULT.with_time(Duration::from_millis(100_000)))
        .with_clock(Still::default())
        .with_capabilities(Capabilities::TIME);
    let mut guest = Guest::new(&sandbox);
    let before = Instant::now();
    clock(&mut guest, 0, 1, 1, 50_000_000_000, 0);
    assert_eq!(poll(&mut guest, 1), [(1, 0, 0, 0)]);
    assert_eq!(guest.call("clock_time_get", &[1, 0, O]), SUCCESS);
    assert_eq!(guest.u64(OUT), 50_000_000_000);
    // It has no date.
    assert_eq!(guest.call("clock_time_get", &[0, 0, O]), INVAL);
    clock(&mut guest, 0, 1, 1, 200_000_000_000, 0);
    let args = [SUBSCRIPTIONS.into(), EVENTS.into(), 1, O];
    assert_eq!(
        guest.try_call("poll_oneoff", &args).unwrap_err().limit(),
        Some(Limit::Time)
    );
    assert!(before.elapsed() < Duration::from_secs(40));
}
