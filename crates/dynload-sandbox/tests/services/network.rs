//! NETWORK: TCP in both directions, datagrams, and which addresses can be reached.

use super::guest::{errno::*, *};
use dynload_sandbox::*;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Mutex, mpsc},
    thread,
};

const O: i64 = OUT as i64;

fn world(patterns: &[&str]) -> Sandbox {
    let mut scopes = Scopes::none();
    for pattern in patterns {
        scopes.net.push(pattern.parse().unwrap());
    }
    // TIME for the timeout of `poll`.
    let capabilities = Capabilities::NETWORK | Capabilities::CONSOLE | Capabilities::TIME;
    Sandbox::new(Limits::PERMISSIVE)
        .with_capabilities(capabilities)
        .with_scopes(scopes)
}

/// Sends a few lines, expects each of them back, and says goodbye.
fn converse(stream: TcpStream, greeting: &str) {
    let mut lines = BufReader::new(&stream);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, greeting);
    for n in 0..20 {
        let sent = format!("line {n}\n");
        (&stream).write_all(sent.as_bytes()).unwrap();
        line.clear();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, sent);
    }
    (&stream).write_all(b"bye\n").unwrap();
    assert_eq!(lines.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_c_guest_is_a_client() {
    let module = c_program("network", &[]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let mut sandbox = world(&["127.0.0.1:*", "localhost:*"]);
    for host in ["127.0.0.1", "localhost"] {
        let server = server.try_clone().unwrap();
        let serving = thread::spawn(move || converse(server.accept().unwrap().0, "hello from the guest\n"));
        let (code, text) = run(&mut sandbox, &module, &["connect", &port, host]);
        assert_eq!(code, 0, "{text}");
        serving.join().unwrap();
    }
    sandbox.revoke(Capabilities::NETWORK);
    assert_eq!(run(&mut sandbox, &module, &["connect", &port]).0, 76);
}

#[test]
fn a_c_guest_is_a_server() {
    let module = c_program("network", &[]);
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let callback = move |_: Stream, bytes: &[u8]| {
        let _ = sender
            .lock()
            .unwrap()
            .send(String::from_utf8(bytes.to_vec()).unwrap());
        Ok(())
    };
    let mut sandbox = world(&["127.0.0.1:*"]).with_console(Console::new(ConsoleOutput::callback(callback)));
    let talking = thread::spawn(move || {
        let port: u16 = receiver.recv().unwrap().trim().parse().unwrap();
        converse(TcpStream::connect(("127.0.0.1", port)).unwrap(), "welcome\n");
    });
    assert_eq!(run(&mut sandbox, &module, &["serve"]).0, 0);
    talking.join().unwrap();
    sandbox.revoke(Capabilities::NETWORK);
    assert_eq!(run(&mut sandbox, &module, &["serve"]).0, 76);
}

#[test]
fn a_c_guest_sends_datagrams() {
    let module = c_program("network", &[]);
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let serving = thread::spawn(move || {
        let mut bytes = [0; 64];
        let (len, sender) = server.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"ping");
        server.send_to(b"pong", sender).unwrap();
    });
    assert_eq!(
        run(&mut world(&["127.0.0.1:*"]), &module, &["datagrams", &port]),
        (0, String::new())
    );
    serving.join().unwrap();
}

#[test]
fn a_connection_revoked_partway() {
    let module = c_program("network", &[]);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    // The guest's output reports that it is connected.
    let callback = move |_: Stream, bytes: &[u8]| {
        let _ = sender.lock().unwrap().send(bytes.to_vec());
        Ok(())
    };
    let console = Console::new(ConsoleOutput::callback(callback));
    let mut sandbox = world(&["127.0.0.1:*"]).with_console(console);
    let authority = sandbox.authority().clone();
    let revoking = thread::spawn(move || {
        let (stream, _) = server.accept().unwrap();
        assert_eq!(receiver.recv().unwrap(), b"connected\n");
        authority.revoke(Capabilities::NETWORK);
        stream
    });
    let (code, text) = run(&mut sandbox, &module, &["wait", &port]);
    // NOTCAPABLE, which the C library turns into BADF for `read`.
    assert_eq!(code, 8, "{text}");
    drop(revoking.join().unwrap());
}

fn connect(guest: &mut Guest, host: &str, port: u16) -> i64 {
    let [ptr, len] = guest.path(host);
    guest.call("tcp_connect", &[ptr, len, port.into(), O])
}

/// The resolved address counts, whatever the name or the spelling.
#[test]
fn unlisted_addresses_cannot_be_reached() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    // `*` is everything public: not this host, and not its neighbours.
    for patterns in [
        &[][..],
        &["*:*"],
        &["*.example.com:*", "localhost.example.com:*"],
        &["[::1]:*"],
        &["10.0.0.0/8:*"],
    ] {
        let mut guest = Guest::new(&world(patterns));
        for host in [
            "127.0.0.1",
            "127.1",
            "::ffff:127.0.0.1",
            "[::ffff:7f00:1]",
            "0.0.0.0",
            "localhost",
            "LOCALHOST.",
        ] {
            let errno = connect(&mut guest, host, port);
            // A string that is not an address is looked up as a name, if any names are listed.
            assert!(
                [NOTCAPABLE, NOENT].contains(&errno),
                "{patterns:?} {host} returned {errno}"
            );
        }
        let [ptr, len] = guest.path("127.0.0.1");
        assert_eq!(guest.call("tcp_listen", &[ptr, len, 0, O]), NOTCAPABLE);
        assert_eq!(guest.call("udp_bind", &[ptr, len, 0, 0, 0, 0, O]), NOTCAPABLE);
    }
    // A pattern with one port allows that port only.
    let mut guest = Guest::new(&world(&[&format!("127.0.0.1:{port}")]));
    assert_eq!(connect(&mut guest, "127.0.0.1", port), SUCCESS);
    assert_eq!(connect(&mut guest, "127.0.0.1", port ^ 1), NOTCAPABLE);
    assert_eq!(connect(&mut guest, "127.0.0.2", port), NOTCAPABLE);
    let [ptr, len] = guest.path("127.0.0.1");
    assert_eq!(guest.call("tcp_connect", &[ptr, len, 65_536, O]), INVAL);
    assert_eq!(guest.call("tcp_connect", &[ptr, len, -1, O]), INVAL);
    assert_eq!(guest.call("tcp_connect", &[ptr, 0, port.into(), O]), INVAL);
    drop(server);
    assert_eq!(connect(&mut guest, "127.0.0.1", port), CONNREFUSED);
}

/// A datagram socket without a peer answers the last sender, if that address is listed.
#[test]
fn datagrams_are_answered() {
    let (first, second) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    let first_port = first.local_addr().unwrap().port();
    let mut guest = Guest::new(&world(&["127.0.0.1:0", &format!("127.0.0.1:{first_port}")]));
    let [ptr, len] = guest.path("127.0.0.1");
    assert_eq!(guest.call("udp_bind", &[ptr, len, 0, 0, 0, 0, O]), SUCCESS);
    let (fd, port) = (i64::from(guest.u32(OUT)), guest.u32(OUT + 4) as u16);
    let [list, count] = guest.buffer(DATA, 4);
    assert_eq!(guest.call("sock_send", &[fd, list, count, 0, O]), 17);
    for (socket, wanted) in [(&first, SUCCESS), (&second, NOTCAPABLE)] {
        socket.send_to(b"longer than four", ("127.0.0.1", port)).unwrap();
        // Peeked at first, then received, and truncated to the room available.
        for flags in [1, 0] {
            assert_eq!(
                guest.call("sock_recv", &[fd, list, count, flags, O, O + 8]),
                SUCCESS
            );
            assert_eq!((guest.u32(OUT), guest.u32(OUT + 8) & 0xffff), (4, 1));
        }
        assert_eq!(guest.bytes(DATA, 4), b"long");
        assert_eq!(guest.call("sock_send", &[fd, list, count, 0, O]), wanted);
    }
    let mut bytes = [0; 64];
    assert_eq!(first.recv(&mut bytes).unwrap(), 4);
}

#[test]
fn peeking_and_waiting_for_all() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new(&world(&["127.0.0.1:*"]));
    assert_eq!(
        connect(&mut guest, "127.0.0.1", server.local_addr().unwrap().port()),
        SUCCESS
    );
    let fd = guest.u32(OUT).into();
    let (peer, _) = server.accept().unwrap();
    (&peer).write_all(b"abcdef").unwrap();
    let [list, count] = guest.buffer(DATA, 4);
    for (flags, wanted) in [(1, b"abcd"), (1, b"abcd"), (0, b"abcd")] {
        assert_eq!(
            guest.call("sock_recv", &[fd, list, count, flags, O, O + 8]),
            SUCCESS
        );
        assert_eq!((guest.u32(OUT), guest.bytes(DATA, 4)), (4, wanted.to_vec()));
    }
    let writing = thread::spawn(move || {
        for byte in b"ghijkl" {
            (&peer).write_all(&[*byte]).unwrap();
        }
        peer
    });
    let [list, count] = guest.buffer(DATA, 8);
    assert_eq!(guest.call("sock_recv", &[fd, list, count, 2, O, O + 8]), SUCCESS);
    assert_eq!(guest.bytes(DATA, 8), b"efghijkl");
    drop(writing.join().unwrap());
    assert_eq!(guest.call("sock_shutdown", &[fd, 2]), SUCCESS);
    assert_eq!(guest.call("fd_write", &[fd, list, count, O]), 64);
}

/// Returns an address of this host that counts as public, if it has one. Nothing is sent to find it.
fn own_public() -> Option<std::net::IpAddr> {
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .into_iter()
        .filter_map(|(from, to)| {
            let socket = UdpSocket::bind(from).ok()?;
            socket.connect(to).ok()?;
            socket.local_addr().ok()
        })
        .map(|address| address.ip())
        .find(|address| dynload_caps::is_public_address(*address))
}

/// `*` is every other host: not this host by its public address. (If it has none, the tests of `reach` show the
/// rule.)
#[test]
fn the_hosts_own_public_address_has_to_be_listed() {
    let Some(address) = own_public() else { return };
    let server = TcpListener::bind((address, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let bare = address.to_string();
    let shown = if address.is_ipv6() {
        format!("[{bare}]")
    } else {
        bare.clone()
    };
    for (pattern, wanted) in [
        ("*:*".to_owned(), NOTCAPABLE),
        ("0.0.0.0/0:*".into(), NOTCAPABLE),
        ("[::]/0:*".into(), NOTCAPABLE),
        (format!("{shown}:*"), SUCCESS),
    ] {
        let mut guest = Guest::new(&world(&[&pattern]));
        assert_eq!(connect(&mut guest, &bare, port), wanted, "{pattern}");
        let [ptr, len] = guest.path(&bare);
        assert_eq!(guest.call("tcp_listen", &[ptr, len, 0, O]), wanted, "{pattern}");
        assert_eq!(
            guest.call("udp_bind", &[ptr, len, 0, 0, 0, 0, O]),
            wanted,
            "{pattern}"
        );
    }
}

/// `0.0.0.0` is an address to listen on. A connection to it would reach the host itself.
#[test]
fn unspecified_addresses_are_only_for_listening() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let mut guest = Guest::new(&world(&["0.0.0.0:*", "[::]:*"]));
    for host in ["0.0.0.0", "::", "[::]", "::ffff:0.0.0.0", "[::ffff:0:0]"] {
        assert_eq!(connect(&mut guest, host, port), NOTCAPABLE, "{host}");
        let [ptr, len] = guest.path("0.0.0.0");
        let [peer, peer_len] = guest.other_path(host);
        let args = [ptr, len, 0, peer, peer_len, port.into(), O];
        assert_eq!(guest.call("udp_bind", &args), NOTCAPABLE, "{host}");
    }
    let [ptr, len] = guest.path("0.0.0.0");
    assert_eq!(guest.call("tcp_listen", &[ptr, len, 0, O]), SUCCESS);
    TcpStream::connect(("127.0.0.1", guest.u32(OUT + 4) as u16)).unwrap();
    assert_eq!(guest.call("udp_bind", &[ptr, len, 0, 0, 0, 0, O]), SUCCESS);
}

/// With only the server granted, the guest needs no pattern for its own address, unless it would listen there.
#[test]
fn a_pattern_for_the_server_is_enough_for_datagrams() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    for (pattern, name) in [
        (format!("127.0.0.1:{port}"), "127.0.0.1"),
        (format!("localhost:{port}"), "localhost"),
    ] {
        let mut guest = Guest::new(&world(&[&pattern]));
        let [ptr, len] = guest.path("0.0.0.0");
        let [peer, peer_len] = guest.other_path(name);
        let bind = |guest: &mut Guest, local, port: u16| {
            guest.call("udp_bind", &[ptr, len, local, peer, peer_len, port.into(), O])
        };
        assert_eq!(bind(&mut guest, 0, port), SUCCESS);
        let fd = guest.u32(OUT).into();
        guest.put(DATA, b"ask");
        let [list, count] = guest.buffer(DATA, 3);
        assert_eq!(guest.call("sock_send", &[fd, list, count, 0, O]), SUCCESS);
        let mut bytes = [0; 8];
        let (len_read, client) = server.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..len_read], b"ask");
        // The guest does not receive from a stranger, but does from the server.
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _ = stranger.send_to(b"spy", ("127.0.0.1", client.port()));
        server.send_to(b"yes", ("127.0.0.1", client.port())).unwrap();
        assert_eq!(guest.call("sock_recv", &[fd, list, count, 0, O, O + 8]), SUCCESS);
        assert_eq!(guest.bytes(DATA, 3), b"yes");
        // A local port of its choice, an unlisted peer or no peer is refused.
        assert_eq!(bind(&mut guest, 53, port), NOTCAPABLE);
        assert_eq!(bind(&mut guest, 0, port ^ 1), NOTCAPABLE);
        assert_eq!(guest.call("udp_bind", &[ptr, len, 0, 0, 0, 0, O]), NOTCAPABLE);
    }
}

/// Connecting ends with the call: a thread used to continue after the end of the call, the grant and the sandbox.
#[cfg(unix)]
#[test]
fn nothing_connects_after_the_call() {
    let (listener, waiting) = super::endings::full("127.0.0.1:0");
    let port = listener.local_addr().unwrap().port();
    let sandbox = world(&["127.0.0.1:*"]);
    let mut guest = Guest::new(&sandbox);
    let authority = sandbox.authority().clone();
    let revoking = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(50));
        authority.revoke(Capabilities::NETWORK);
    });
    let [ptr, len] = guest.path("127.0.0.1");
    let args = [ptr, len, port.into(), O];
    assert_eq!(guest.call("tcp_connect", &args), NOTCAPABLE);
    revoking.join().unwrap();
    drop((guest, sandbox));
    // Room for more: the connections that filled the queue arrive, and none after them.
    let filled = waiting.len();
    listener.set_nonblocking(true).unwrap();
    let mut accepted = 0;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(3);
    while std::time::Instant::now() < end {
        match listener.accept() {
            Ok(_) => accepted += 1,
            Err(_) => thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
    assert!(accepted <= filled, "{accepted} of {filled}");
}

/// A socket that listens on all IPv6 addresses does not listen on those of IPv4, which need another pattern.
#[test]
fn the_ipv6_wildcard_does_not_include_ipv4() {
    let mut guest = Guest::new(&world(&["[::]:*"]));
    let [ptr, len] = guest.path("::");
    if guest.call("tcp_listen", &[ptr, len, 0, O]) != SUCCESS {
        // The machine has no IPv6.
        return;
    }
    let port = guest.u32(OUT + 4) as u16;
    TcpStream::connect(("::1", port)).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
