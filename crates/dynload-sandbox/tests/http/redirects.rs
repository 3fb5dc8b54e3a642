//! Redirects: each is a new request.

use super::{Guest, LIMITS, cause, request, sandbox, server::Server};
use dynload_sandbox::{HttpClient, HttpError};

fn redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 3\r\n\r\nxyz").into_bytes()
}

#[test]
fn a_redirect_is_followed_within_the_scopes_only() {
    let target = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let location = target.url("/there");
    let server = Server::responding(move |_| redirect(302, &location));
    let json = server.get("/");
    let allowed =
        |patterns: &[&str]| Guest::new(sandbox(LIMITS, patterns), HttpClient::new(), &json, b"").call();

    let error = allowed(&[&server.pattern()]).unwrap_err();
    assert!(
        matches!(cause(&error), HttpError::NotAllowed { port, .. } if *port == target.port()),
        "{error:?}"
    );
    assert_eq!(target.connections(), 0);

    let response = allowed(&[&server.pattern(), &target.pattern()]).unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
    assert!(target.requests()[0].starts_with("GET /there HTTP/1.1\r\n"));
}

#[test]
fn a_redirect_to_another_scheme_is_refused() {
    for location in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:1/",
        "http://user:pass@127.0.0.1/",
    ] {
        let server = Server::responding(move |_| redirect(301, location));
        let error = super::get(&server).unwrap_err();
        assert!(
            matches!(cause(&error), HttpError::Request(_) | HttpError::Response(_)),
            "{location} {error:?}"
        );
    }
}

#[test]
fn secrets_are_not_passed_on_to_another_port() {
    let target = Server::answering(b"HTTP/1.1 200 OK\r\n\r\n");
    let location = target.url("/");
    let server = Server::responding(move |request| {
        redirect(
            307,
            if request.starts_with("POST /first") {
                "/second"
            } else {
                &location
            },
        )
    });
    let json = format!(
        r#"{{"url":"{}","method":"POST","headers":{{"Authorization":"secret","Cookie":"secret","X":"kept"}}}}"#,
        server.url("/first")
    );
    let patterns = [&server.pattern()[..], &target.pattern()];
    Guest::new(sandbox(LIMITS, &patterns), HttpClient::new(), &json, b"body")
        .call()
        .unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in requests.iter().chain(&target.requests()) {
        assert!(
            request.contains("x: kept\r\n") && request.ends_with("\r\n\r\nbody"),
            "{request}"
        );
    }
    assert!(
        requests
            .iter()
            .all(|request| request.matches("secret").count() == 2)
    );
    assert!(!target.requests()[0].contains("secret"));
}

#[test]
fn the_number_of_redirects_is_limited() {
    let server = Server::responding(|_| redirect(302, "/again"));
    let error = super::get(&server).unwrap_err();
    assert!(
        matches!(cause(&error), HttpError::TooManyRedirects { limit: 10, .. }),
        "{error:?}"
    );
    assert_eq!(server.connections(), 11);

    // Exactly as many as are followed.
    let server = Server::responding(|request| {
        if request.starts_with("GET /../.. ") {
            redirect(302, "/aa")
        } else {
            b"HTTP/1.1 200 OK\r\n\r\n".to_vec()
        }
    });
    let client = HttpClient::new().with_max_redirects(1);
    let response = Guest::new(
        sandbox(LIMITS, &[&server.pattern()]),
        client,
        &server.get("/../.."),
        b"",
    )
    .call();
    assert_eq!(response.unwrap().status, 200);

    let client = HttpClient::new().with_max_redirects(0);
    let server = Server::responding(|_| redirect(302, "/again"));
    let response = Guest::new(
        sandbox(LIMITS, &[&server.pattern()]),
        client,
        &server.get("/"),
        b"",
    )
    .call()
    .unwrap();
    assert_eq!((response.status, &response.body[..]), (302, &b"xyz"[..]));
}

#[test]
fn a_redirect_without_a_location_is_the_response() {
    let server = Server::answering(b"HTTP/1.1 302 Found\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(request(&server, &server.get("/"), b"").unwrap().status, 302);
}
