//! Responses of all forms, and what is not one.

use super::{cause, get, request, server::Server};
use dynload_sandbox::HttpError;

#[test]
fn bodies_of_all_forms() {
    for (response, body) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"[..], &b"abc"[..]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 204 None\r\n\r\n", b""),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n", b""),
        (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", b"x"),
    ] {
        let response_text = String::from_utf8_lossy(response);
        let found = get(&Server::answering(response));
        assert_eq!(found.unwrap().body, body, "{response_text}");
    }
}

#[test]
fn a_response_to_head_has_no_body() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
    let json = format!(r#"{{"url":"{}","method":"HEAD"}}"#, server.url("/"));
    let response = request(&server, &json, b"").unwrap();
    assert!(response.body.is_empty());
    let headers = String::from_utf8(response.headers).unwrap();
    assert_eq!(headers, r#"{"content-length":"1000000000000"}"#);
}

#[test]
fn what_is_not_a_response_is_an_error() {
    for response in [
        &b""[..],
        b"\0\xff",
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nx\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"SSH-2.0-server\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://a b/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\r\n\r\n",
    ] {
        let error = get(&Server::answering(response)).unwrap_err();
        assert!(
            matches!(cause(&error), HttpError::Response(_)),
            "{} {error:?}",
            String::from_utf8_lossy(response)
        );
    }
}
