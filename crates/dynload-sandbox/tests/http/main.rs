//! HTTP requests of guests, to servers in this process.

#![cfg(any(unix, windows))]
#![allow(clippy::disallowed_methods, reason = "these are the servers")]

mod limits;
mod redirects;
mod responses;
mod server;
mod tls;
mod waiting;

use dynload_caps::{Capabilities, Limits, Scopes};
use dynload_sandbox::{
    Caller, Engine, Error, ErrorKind, HttpClient, HttpError, HttpResponse, Instance, Module, Sandbox,
};
use server::Server;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Long enough for any request that is answered.
const LIMITS: Limits = Limits::DEFAULT.with_time(Duration::from_secs(20));

/// A sandbox with NETWORK for these patterns.
fn sandbox(limits: Limits, patterns: &[&str]) -> Sandbox {
    let mut scopes = Scopes::none();
    scopes.net = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
    Sandbox::new(limits)
        .with_capabilities(Capabilities::NETWORK)
        .with_scopes(scopes)
}

/// A guest of the embedder's own host function that makes one request.
struct Guest {
    instance: Instance,
    response: Arc<Mutex<Option<HttpResponse>>>,
}

impl Guest {
    fn new(mut sandbox: Sandbox, client: HttpClient, request: &str, body: &[u8]) -> Guest {
        let response = Arc::new(Mutex::new(None));
        let (result, request, body) = (response.clone(), request.to_owned(), body.to_vec());
        sandbox.func_wrap(
            "env",
            "request",
            Capabilities::NONE,
            move |caller: &mut Caller<'_>, (): ()| {
                let response = client.send(caller, request.as_bytes(), &body)?;
                *result.lock().unwrap() = Some(response);
                Ok(())
            },
        );
        let wasm =
            r#"(module (import "env" "request" (func $request)) (func (export "go") (call $request)))"#;
        let module = Module::new(&Engine::default(), wat::parse_str(wasm).unwrap()).unwrap();
        Guest {
            instance: sandbox.instantiate(&module).unwrap(),
            response,
        }
    }

    fn call(&mut self) -> Result<HttpResponse, Error> {
        let called = self.instance.call("go", &[]);
        // Whatever happened, the host holds nothing.
        assert_eq!(self.instance.usage().memory_bytes, 0);
        called?;
        Ok(self.response.lock().unwrap().take().unwrap())
    }
}

/// Makes a request to a server that the scopes allow.
fn request(server: &Server, json: &str, body: &[u8]) -> Result<HttpResponse, Error> {
    let sandbox = sandbox(LIMITS, &[&server.pattern()]);
    Guest::new(sandbox, HttpClient::new(), json, body).call()
}

fn get(server: &Server) -> Result<HttpResponse, Error> {
    request(server, &server.get("/"), b"")
}

/// The error of the client that ended a call.
#[track_caller]
fn cause(error: &Error) -> &HttpError {
    match error.kind() {
        ErrorKind::Host(cause) => cause.downcast_ref().unwrap(),
        _ => panic!("{error}"),
    }
}

#[test]
fn a_request_and_its_response() {
    let server = Server::answering(
        b"HTTP/1.1 201 Created\r\nX-One: a\r\nx-one: b\r\nSet-Cookie: c=\"d\"\r\nContent-Length: 5\r\n\r\nhello",
    );
    let json = format!(
        r#"{{"url":"{}","method":"put","headers":{{"X-Key":"value","User-Agent":"test"}}}}"#,
        server.url("/path?query")
    );
    let response = request(&server, &json, b"body").unwrap();
    assert_eq!((response.status, &response.body[..]), (201, &b"hello"[..]));
    assert_eq!(
        String::from_utf8(response.headers).unwrap(),
        r#"{"content-length":"5","set-cookie":"c=\"d\"","x-one":"a, b"}"#
    );
    let received = server.requests().remove(0);
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    let host = format!("host: 127.0.0.1:{}", server.port());
    assert_eq!(
        lines,
        [
            "PUT /path?query HTTP/1.1",
            "accept: */*",
            "connection: close",
            "content-length: 4",
            &host,
            "user-agent: test",
            "x-key: value",
        ]
    );
    assert_eq!(body, "body");
}

#[test]
fn bodies_are_sent_where_the_guest_passes_one() {
    for (method, body, length) in [
        ("GET", "", None),
        ("GET", "x", Some("1")),
        ("POST", "", Some("0")),
        ("DELETE", "", None),
        ("DELETE", "xyz", Some("3")),
    ] {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let json = format!(r#"{{"url":"{}","method":"{method}"}}"#, server.url("/"));
        request(&server, &json, body.as_bytes()).unwrap();
        let received = server.requests().remove(0);
        let found = received
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(found, length, "{method} {body}");
        assert!(received.ends_with(&format!("\r\n\r\n{body}")), "{received}");
    }
}

/// An Extism plugin that requests its input and returns the body of the response.
#[test]
fn an_extism_plugin_makes_a_request() {
    let server = Server::answering(b"HTTP/1.0 404 None\r\nx: y\r\n\r\nnothing here");
    let wasm = r#"(module
        (import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64)))
        (import "extism:host/env" "http_status_code" (func $http_status_code (result i32)))
        (import "extism:host/env" "http_headers" (func $http_headers (result i64)))
        (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
        (import "extism:host/env" "length" (func $length (param i64) (result i64)))
        (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
        (func (export "get") (result i32) (local $body i64)
            (local.set $body (call $http_request (call $input_offset) (i64.const 0)))
            (call $output_set (local.get $body) (call $length (local.get $body)))
            (if (i32.ne (call $http_status_code) (i32.const 404)) (then unreachable))
            (if (i64.ne (call $length (call $http_headers)) (i64.const 9)) (then unreachable))
            (i32.const 0)))"#;
    let module = Module::new(&Engine::default(), wat::parse_str(wasm).unwrap()).unwrap();
    let mut sandbox = sandbox(LIMITS, &[&server.pattern()]);
    let client = HttpClient::new();
    sandbox.set_http_client(move |caller, request, body| client.send(caller, request, body));
    let mut instance = sandbox.instantiate(&module).unwrap();
    let result = instance.call_str("get", &server.get("/")).unwrap();
    assert_eq!(result, "nothing here");
    assert_eq!(instance.usage().memory_bytes, 0);
}

#[test]
fn hosts_outside_of_the_scopes_are_not_connected_to() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\n\r\n");
    let named = format!(r#"{{"url":"http://localhost:{}/"}}"#, server.port());
    let addressed = server.get("/");
    let other = format!("127.0.0.1:{}", server.port() ^ 1);
    let elsewhere = format!("localhost@127.0.0.2/32:{}", server.port());
    for (patterns, json) in [
        (&[][..], &addressed),
        (&[&other[..]], &addressed),
        // A pattern that matches the name, but the name resolves to the host itself.
        (&["*:*"], &named),
        (&["*:*"], &addressed),
        (&[&elsewhere], &named),
        (&["127.0.0.1:*"], &named),
    ] {
        let error = Guest::new(sandbox(LIMITS, patterns), HttpClient::new(), json, b"")
            .call()
            .unwrap_err();
        assert!(
            matches!(cause(&error), HttpError::NotAllowed { port, .. } if *port == server.port()),
            "{patterns:?} {error:?}"
        );
    }
    // Unspecified addresses lead to the host itself.
    for host in ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]"] {
        let json = format!(r#"{{"url":"http://{host}:{}/"}}"#, server.port());
        let all = ["0.0.0.0:*", "[::]:*", "0.0.0.0/0:*", "[::]/0:*"];
        let error = Guest::new(sandbox(LIMITS, &all), HttpClient::new(), &json, b"")
            .call()
            .unwrap_err();
        assert!(
            matches!(cause(&error), HttpError::NotAllowed { .. }),
            "{host} {error:?}"
        );
    }
    assert_eq!(server.connections(), 0);
    for patterns in [["localhost:*"], ["localhost@127.0.0.0/8:*"]] {
        Guest::new(sandbox(LIMITS, &patterns), HttpClient::new(), &named, b"")
            .call()
            .unwrap();
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn the_network_is_required() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\n\r\n");
    let sandbox = sandbox(LIMITS, &[&server.pattern()]);
    sandbox.revoke(Capabilities::NETWORK);
    let error = Guest::new(sandbox, HttpClient::new(), &server.get("/"), b"")
        .call()
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::CapabilityDenied { .. }),
        "{error}"
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_server_that_refuses_is_an_error() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let json = format!(r#"{{"url":"http://127.0.0.1:{port}/"}}"#);
    let error = Guest::new(sandbox(LIMITS, &["127.0.0.1:*"]), HttpClient::new(), &json, b"")
        .call()
        .unwrap_err();
    assert!(
        matches!(cause(&error), HttpError::Unreachable { .. }),
        "{error:?}"
    );
    let json = r#"{"url":"http://name.invalid/"}"#;
    let error = Guest::new(sandbox(LIMITS, &["*:*"]), HttpClient::new(), json, b"")
        .call()
        .unwrap_err();
    assert!(
        matches!(cause(&error), HttpError::Unreachable { .. }),
        "{error:?}"
    );
}

/// The variables with which other clients use a proxy or other certificates.
#[test]
fn the_environment_changes_nothing() {
    const INNER: &str = "DYNLOAD_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\n\r\n");
        get(&server).unwrap();
        assert_eq!(server.connections(), 1);
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "the_environment_changes_nothing"])
        .env(INNER, "1");
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "https_proxy",
    ] {
        command.env(name, "http://127.0.0.1:1");
    }
    assert!(command.status().unwrap().success());
}
