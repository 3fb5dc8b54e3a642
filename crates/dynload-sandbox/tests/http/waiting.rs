//! No wait outlasts the call, in any phase of a request.

use super::{Guest, LIMITS, sandbox, server::Server, server::read_request};
use dynload_caps::{Capabilities, Limits};
use dynload_sandbox::{Error, ErrorKind, HttpClient, Limit};
use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Far longer than a call of these tests may take, and far shorter than the servers would keep it.
const SOON: Duration = Duration::from_secs(10);

const SHORT: Limits = Limits::DEFAULT.with_time(Duration::from_millis(300));

/// Makes a request that ends with the time of the call.
#[track_caller]
fn times_out(scheme: &str, port: u16, body: &[u8]) {
    let json = format!(r#"{{"url":"{scheme}://127.0.0.1:{port}/","method":"POST"}}"#);
    let start = Instant::now();
    let mut guest = Guest::new(sandbox(SHORT, &["127.0.0.1:*"]), HttpClient::new(), &json, body);
    let error = guest.call().unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error:?}");
    assert!(start.elapsed() < SOON);
}

/// Keeps a connection open until the client closes it.
fn keep(mut stream: TcpStream) {
    while stream.write_all(b"").is_ok() && read_request(&mut stream).is_some() {}
}

/// Writes a byte every few milliseconds, for ever.
fn drip(mut stream: TcpStream, head: &[u8], byte: &[u8]) {
    let _ = stream.write_all(head);
    while stream.write_all(byte).is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_that_never_answers() {
    let server = Server::new(keep);
    times_out("http", server.port(), b"");
}

#[test]
fn a_server_that_never_answers_a_handshake() {
    let server = Server::new(keep);
    times_out("https", server.port(), b"");
}

#[test]
fn a_server_that_sends_a_handshake_byte_by_byte() {
    // The header of a record, and its content.
    let server = Server::new(|stream| drip(stream, b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"x"));
    times_out("https", server.port(), b"");
}

#[test]
fn a_server_that_sends_headers_byte_by_byte() {
    let server = Server::new(|stream| drip(stream, b"HTTP/1.1 200 OK\r\nx: ", b"y"));
    times_out("http", server.port(), b"");
}

#[test]
fn a_server_that_sends_a_body_byte_by_byte() {
    for head in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\n\r\n",
    ] {
        let server = Server::new(|stream| drip(stream, head, b"y"));
        times_out("http", server.port(), b"");
    }
}

#[test]
fn a_server_that_sends_trailers_for_ever() {
    let server = Server::new(|stream| {
        drip(
            stream,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"x: y\r\n",
        );
    });
    times_out("http", server.port(), b"");
}

#[test]
fn a_server_that_does_not_read() {
    let server = Server::new(|stream| {
        thread::sleep(2 * SOON);
        drop(stream);
    });
    // More than the buffers of both sockets.
    times_out("http", server.port(), &vec![0; 32 << 20]);
}

#[test]
fn a_server_that_redirects_for_ever() {
    let server = Server::responding(|_| {
        thread::sleep(Duration::from_millis(20));
        b"HTTP/1.1 307 Again\r\nLocation: /\r\n\r\n".to_vec()
    });
    let client = HttpClient::new().with_max_redirects(u32::MAX);
    let mut guest = Guest::new(
        sandbox(SHORT, &[&server.pattern()]),
        client,
        &server.get("/"),
        b"",
    );
    let start = Instant::now();
    assert_eq!(guest.call().unwrap_err().limit(), Some(Limit::Time));
    assert!(start.elapsed() < SOON);
}

/// Makes a request to a server that never answers, and does something once the server has the request.
fn meanwhile(act: impl FnOnce(&Guest, &dynload_sandbox::Authority) -> Box<dyn FnOnce() + Send>) -> Error {
    let (sender, receiver) = mpsc::channel();
    let server = Server::new(move |mut stream| {
        read_request(&mut stream);
        sender.send(()).unwrap();
        keep(stream);
    });
    let sandbox = sandbox(LIMITS.with_time(2 * SOON), &[&server.pattern()]);
    let authority = sandbox.authority().clone();
    let mut guest = Guest::new(sandbox, HttpClient::new(), &server.get("/"), b"");
    let act = act(&guest, &authority);
    let acting = thread::spawn(move || {
        receiver.recv().unwrap();
        act();
    });
    let start = Instant::now();
    let error = guest.call().unwrap_err();
    assert!(start.elapsed() < SOON);
    acting.join().unwrap();
    error
}

#[test]
fn an_interrupt_ends_a_request() {
    let error = meanwhile(|guest, _| {
        let handle = guest.instance.interrupt_handle();
        Box::new(move || handle.interrupt())
    });
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error:?}");
}

#[test]
fn a_revocation_ends_a_request() {
    let error = meanwhile(|_, authority| {
        let authority = authority.clone();
        Box::new(move || authority.revoke(Capabilities::NETWORK))
    });
    let ErrorKind::CapabilityDenied { capability, .. } = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!(*capability, Capabilities::NETWORK);
}
