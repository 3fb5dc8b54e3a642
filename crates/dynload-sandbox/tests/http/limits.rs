//! The limits of what a server sends.

use super::{Guest, LIMITS, cause, get, sandbox, server::Server, server::read_request};
use dynload_caps::Limits;
use dynload_sandbox::{Error, HttpClient, HttpError, HttpResponse, Limit};
use std::io::Write;
use std::net::TcpStream;

/// Writes a head, and then the same bytes until the client closes the connection.
fn endless(head: &'static [u8], rest: &'static [u8]) -> Server {
    Server::new(move |mut stream: TcpStream| {
        read_request(&mut stream);
        let many = rest.repeat(8192 / rest.len());
        let _ = stream.write_all(head);
        while stream.write_all(&many).is_ok() {}
    })
}

fn get_with(server: &Server, limits: Limits, client: HttpClient) -> (Result<HttpResponse, Error>, u64) {
    let mut guest = Guest::new(
        sandbox(limits, &[&server.pattern()]),
        client,
        &server.get("/"),
        b"",
    );
    let result = guest.call();
    (result, guest.instance.usage().peak_memory_bytes)
}

#[test]
fn the_length_of_a_body_is_limited_exactly() {
    for response in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        let server = Server::answering(response);
        let client = HttpClient::new().with_max_body_bytes(5);
        let (result, peak) = get_with(&server, LIMITS, client);
        assert_eq!((&result.unwrap().body[..], peak), (&b"hello"[..], 5));
        let client = HttpClient::new().with_max_body_bytes(4);
        let error = get_with(&server, LIMITS, client).0.unwrap_err();
        assert!(
            matches!(
                cause(&error),
                HttpError::TooLarge {
                    part: "body",
                    limit: 4,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

/// An announced length reserves nothing, and is refused if it is too large.
#[test]
fn an_announced_length_is_only_an_announcement() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\nhello");
    let (result, peak) = get_with(&server, LIMITS, HttpClient::new());
    assert!(matches!(cause(&result.unwrap_err()), HttpError::Response(_)));
    assert!(peak <= 4096, "{peak}");
    let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello");
    let (result, peak) = get_with(&server, LIMITS, HttpClient::new());
    assert!(matches!(cause(&result.unwrap_err()), HttpError::TooLarge { .. }));
    assert_eq!(peak, 0);
}

#[test]
fn a_body_counts_as_memory_while_it_is_received() {
    let limits = LIMITS.with_memory_bytes(1_000_000);
    for (head, rest) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], &b"x"[..]),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"4\r\nabcd\r\n",
        ),
    ] {
        let server = endless(head, rest);
        let (result, peak) = get_with(&server, limits, HttpClient::new());
        assert_eq!(result.unwrap_err().limit(), Some(Limit::Memory));
        assert!((900_000..=1_000_000).contains(&peak), "{peak}");
    }
    // A body as large as the limit.
    let server = Server::responding(|_| [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![7; 1_000_000]].concat());
    let (result, peak) = get_with(&server, limits, HttpClient::new());
    assert_eq!((result.unwrap().body.len(), peak), (1_000_000, 1_000_000));
}

#[test]
fn headers_are_limited() {
    for (head, rest) in [
        (&b""[..], &b"x"[..]),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"HTTP/1.1 200 ", b"O"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"),
    ] {
        let error = get(&endless(head, rest)).unwrap_err();
        let is_refused = match cause(&error) {
            HttpError::TooLarge { part, limit, .. } => (*part, *limit) == ("headers", 65536),
            // Not even the beginning of a response.
            HttpError::Response(_) => head.is_empty() && rest == b"x",
            _ => false,
        };
        assert!(is_refused, "{error:?}");
    }
    let error = get(&endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n")).unwrap_err();
    assert!(
        matches!(cause(&error), HttpError::Response(_) | HttpError::TooLarge { .. }),
        "{error:?}"
    );
}

#[test]
fn lines_between_chunks_are_limited() {
    for rest in [&b"1"[..], b";", b" "] {
        let server = endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", rest);
        let error = get(&server).unwrap_err();
        assert!(matches!(cause(&error), HttpError::Response(_)), "{error:?}");
    }
}
