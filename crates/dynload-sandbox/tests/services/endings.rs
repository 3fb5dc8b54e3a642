//! Every wait ends with the deadline, an interrupt or a revocation.

use super::{
    guest::{errno::*, *},
    waiting::{EVENTS, SUBSCRIPTIONS, clock, connect, descriptor, world},
};
use dynload_sandbox::*;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    io::ioctl_fionbio,
    net::{AddressFamily, SocketType, bind, listen, socket},
};
use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

const O: i64 = OUT as i64;

/// Calls that would wait forever.
#[derive(Debug, Clone, Copy)]
enum Endless {
    Clock,
    PollSocket,
    PollListener,
    Connect,
    Read,
    Recv,
    RecvAll,
    Write,
    Send,
    Accept,
    Datagram,
    Process,
    Flood,
    Pipe,
    Join,
}

const ALL: [Endless; 15] = [
    Endless::Clock,
    Endless::PollSocket,
    Endless::PollListener,
    Endless::Connect,
    Endless::Read,
    Endless::Recv,
    Endless::RecvAll,
    Endless::Write,
    Endless::Send,
    Endless::Accept,
    Endless::Datagram,
    Endless::Process,
    Endless::Flood,
    Endless::Pipe,
    Endless::Join,
];

/// A listener that accepts no more connections: a further one gets no answer. With it, the connections that filled it.
pub(crate) fn full(address: &str) -> (TcpListener, Vec<OwnedFd>) {
    let address: SocketAddr = address.parse().unwrap();
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let listener = socket(family, SocketType::STREAM, None).unwrap();
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = socket(family, SocketType::STREAM, None).unwrap();
        ioctl_fionbio(&client, true).unwrap();
        let _ = rustix::net::connect(&client, &address);
        let mut fds = [PollFd::new(&client, PollFlags::OUT)];
        let soon = Timespec {
            tv_sec: 0,
            tv_nsec: 200_000_000,
        };
        let is_connected = poll(&mut fds, Some(&soon)).unwrap() > 0;
        waiting.push(client);
        if !is_connected {
            return (listener, waiting);
        }
    }
}

/// A module with a function that waits forever for a worker.
fn guest(sandbox: &Sandbox) -> Guest {
    let body = "(func (export \"spin\") (param i64) (result i64) (loop (br 0)) (i64.const 0))
        (data (i32.const 30000) \"spin\")
        (func (export \"spawn_and_join\") (result i32)
            (if (i32.ne (call $thread_spawn (i32.const 30000) (i32.const 4) (i64.const 0) (i32.const 30016)) (i32.const 0))
                (then (return (i32.const -1))))
            (call $thread_join (i32.load (i32.const 30016)) (i32.const 30024)))
        (func (export \"recv_all\") (param i32 i32 i32) (result i32) (local i32)
            (loop $again
                (local.set 3 (call $sock_recv (local.get 0) (local.get 1) (local.get 2) (i32.const 2) (i32.const 65536) (i32.const 65544)))
                (br_if $again (i32.eqz (local.get 3))))
            (local.get 3))
        (func (export \"write_on\") (param i32 i32 i32) (result i32) (local i32)
            (loop $again
                (local.set 3 (call $fd_write (local.get 0) (local.get 1) (local.get 2) (i32.const 65536)))
                (br_if $again (i32.eqz (local.get 3))))
            (local.get 3))
        (func (export \"send_on\") (param i32 i32 i32) (result i32) (local i32)
            (loop $again
                (local.set 3 (call $sock_send (local.get 0) (local.get 1) (local.get 2) (i32.const 0) (i32.const 65536)))
                (br_if $again (i32.eqz (local.get 3))))
            (local.get 3))";
    Guest(sandbox.instantiate(&module(body)).unwrap())
}

impl Endless {
    /// Prepares the call. Returns it, with the values that must be kept alive meanwhile.
    fn prepare(
        self,
        guest: &mut Guest,
        dir: &std::path::Path,
    ) -> (&'static str, Vec<i64>, Box<dyn std::any::Any>) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let [host, len] = guest.path("127.0.0.1");
        let poll = vec![SUBSCRIPTIONS.into(), EVENTS.into(), 1, O];
        match self {
            Endless::Clock => {
                clock(guest, 0, 0, 1, u64::MAX, 0);
                ("poll_oneoff", poll, Box::new(()))
            }
            Endless::PollSocket => {
                let fd = connect(guest, port);
                descriptor(guest, 0, 0, 1, fd);
                ("poll_oneoff", poll, Box::new(server))
            }
            Endless::PollListener => {
                assert_eq!(guest.call("tcp_listen", &[host, len, 0, O]), SUCCESS);
                let fd = guest.u32(OUT).into();
                descriptor(guest, 0, 0, 1, fd);
                ("poll_oneoff", poll, Box::new(()))
            }
            Endless::Connect => {
                let full = full("127.0.0.1:0");
                let args = vec![host, len, full.0.local_addr().unwrap().port().into(), O];
                ("tcp_connect", args, Box::new(full))
            }
            Endless::RecvAll => {
                let fd = connect(guest, port);
                let (mut peer, _) = server.accept().unwrap();
                peer.write_all(b"some").unwrap();
                let [list, count] = guest.buffer(DATA, 10);
                // Ten bytes never arrive.
                ("recv_all", vec![fd, list, count], Box::new(peer))
            }
            Endless::Write | Endless::Send => {
                let fd = connect(guest, port);
                let [list, count] = guest.buffer(DATA, 40_000);
                let name = if let Endless::Write = self {
                    "write_on"
                } else {
                    "send_on"
                };
                (name, vec![fd, list, count], Box::new(server))
            }
            Endless::Flood => {
                let at = super::process::request(guest, "/bin/cat", &["/dev/zero"], b"", 100);
                ("process_run", vec![at], Box::new(()))
            }
            Endless::Read | Endless::Recv => {
                let fd = connect(guest, port);
                let [list, count] = guest.buffer(DATA, 10);
                match self {
                    Endless::Read => ("fd_read", vec![fd, list, count, O], Box::new(server)),
                    _ => ("sock_recv", vec![fd, list, count, 0, O, O + 8], Box::new(server)),
                }
            }
            Endless::Accept => {
                assert_eq!(guest.call("tcp_listen", &[host, len, 0, O]), SUCCESS);
                ("sock_accept", vec![guest.u32(OUT).into(), 0, O], Box::new(()))
            }
            Endless::Datagram => {
                assert_eq!(guest.call("udp_bind", &[host, len, 0, 0, 0, 0, O]), SUCCESS);
                let fd = guest.u32(OUT).into();
                let [list, count] = guest.buffer(DATA, 10);
                ("sock_recv", vec![fd, list, count, 0, O, O + 8], Box::new(()))
            }
            Endless::Process => {
                let at = super::process::request(guest, "/bin/sleep", &["1000"], b"", 0);
                ("process_run", vec![at], Box::new(()))
            }
            Endless::Pipe => {
                let pipe = dir.join("pipe");
                let created = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
                assert!(created.success());
                let fd = guest.open("pipe", 0, READ_RIGHTS).unwrap();
                // A write end to which nothing is written.
                let writer = std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
                let [list, count] = guest.buffer(DATA, 10);
                ("fd_read", vec![fd, list, count, O], Box::new(writer))
            }
            Endless::Join => ("spawn_and_join", vec![], Box::new(())),
        }
    }

    fn capability(self) -> Capabilities {
        match self {
            Endless::Clock => Capabilities::TIME,
            Endless::Process | Endless::Flood => Capabilities::PROCESS,
            Endless::Pipe => Capabilities::FS_READ,
            Endless::Join => Capabilities::THREADING,
            _ => Capabilities::NETWORK,
        }
    }
}

#[test]
fn the_deadline_ends_every_wait() {
    for endless in ALL {
        // The calls that prepare the wait have to end within it, on an emulated processor too.
        let (dir, sandbox) = world(Limits::DEFAULT.with_time(Duration::from_millis(500)));
        let mut guest = guest(&sandbox);
        let (name, args, _kept) = endless.prepare(&mut guest, dir.path());
        let before = Instant::now();
        let error = guest.try_call(name, &args).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Time), "{endless:?}: {error}");
        let took = before.elapsed().as_millis();
        assert!((500..60_000).contains(&took), "{endless:?} took {took} ms");
    }
}

#[test]
fn an_interrupt_ends_every_wait() {
    for endless in ALL {
        let (dir, sandbox) = world(Limits::PERMISSIVE);
        let mut guest = guest(&sandbox);
        let (name, args, _kept) = endless.prepare(&mut guest, dir.path());
        let interrupt = guest.0.interrupt_handle_for_next_call();
        let interrupting = thread::spawn(move || {
            thread::sleep(Duration::from_millis(30));
            interrupt.interrupt();
        });
        let before = Instant::now();
        let error = guest.try_call(name, &args).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Interrupted),
            "{endless:?}: {error}"
        );
        assert!(before.elapsed() < Duration::from_secs(60), "{endless:?}");
        interrupting.join().unwrap();
    }
}

#[test]
fn a_revocation_ends_every_wait() {
    for endless in ALL {
        let (dir, sandbox) = world(Limits::PERMISSIVE);
        let mut guest = guest(&sandbox);
        let (name, args, _kept) = endless.prepare(&mut guest, dir.path());
        let authority = sandbox.authority().clone();
        let revoking = thread::spawn(move || {
            thread::sleep(Duration::from_millis(30));
            authority.revoke(endless.capability());
        });
        let before = Instant::now();
        assert_eq!(guest.call(name, &args), NOTCAPABLE, "{endless:?}");
        assert!(before.elapsed() < Duration::from_secs(60), "{endless:?}");
        revoking.join().unwrap();
    }
}
