//! TLS, with a server's certificate for `localhost` and the root that signed it, both valid until 2120.

use super::{Guest, LIMITS, cause, sandbox, server::Server, server::read_request};
use dynload_sandbox::{Error, HttpClient, HttpError, HttpResponse};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::io::Write;
use std::sync::Arc;

const ROOT: &[u8] = include_bytes!("root.der");
const CERTIFICATE: &[u8] = include_bytes!("server.der");
const KEY: &[u8] = include_bytes!("server.key.der");

/// A server that answers over TLS, and ends the session properly or not.
fn server(response: Vec<u8>, is_closed: bool) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_slice(CERTIFICATE)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY)),
        )
        .unwrap();
    let config = Arc::new(config);
    Server::new(move |mut socket| {
        let mut session = ServerConnection::new(config.clone()).unwrap();
        let mut stream = Stream::new(&mut session, &mut socket);
        if read_request(&mut stream).is_some() {
            let _ = stream.write_all(&response);
            if is_closed {
                stream.conn.send_close_notify();
            }
            let _ = stream.flush();
        }
    })
}

fn get(server: &Server, client: HttpClient, host: &str) -> Result<HttpResponse, Error> {
    let json = format!(r#"{{"url":"https://{host}:{}/","method":"POST"}}"#, server.port());
    let sandbox = sandbox(LIMITS, &["localhost:*", "127.0.0.1:*"]);
    Guest::new(sandbox, client, &json, &vec![b'x'; 300_000]).call()
}

fn trusting() -> HttpClient {
    HttpClient::new().with_root_certificate(ROOT).unwrap()
}

#[test]
fn a_trusted_server_answers() {
    let body = vec![b'y'; 1_000_000];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let server = server([head.as_bytes(), &body].concat(), true);
    let response = get(&server, trusting(), "localhost").unwrap();
    assert!(response.body == body);
}

#[test]
fn a_server_that_is_not_trusted_gets_no_request() {
    let server = server(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), true);
    for (client, host) in [(HttpClient::new(), "localhost"), (trusting(), "127.0.0.1")] {
        let error = get(&server, client, host).unwrap_err();
        let HttpError::Tls {
            host: named, cause, ..
        } = cause(&error)
        else {
            panic!("{error:?}");
        };
        assert!(
            named == host && cause.to_string().contains("certificate"),
            "{error:?}"
        );
    }
}

#[test]
fn a_body_that_is_cut_off_is_not_a_body() {
    let response = b"HTTP/1.1 200 OK\r\n\r\nall of it".to_vec();
    let complete = get(&server(response.clone(), true), trusting(), "localhost");
    assert_eq!(complete.unwrap().body, b"all of it");
    let error = get(&server(response, false), trusting(), "localhost").unwrap_err();
    assert!(matches!(cause(&error), HttpError::Response(_)), "{error:?}");
}

#[test]
fn a_server_without_tls_is_an_error() {
    let plain = Server::new(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = read_request(&mut stream);
    });
    let error = get(&plain, trusting(), "localhost").unwrap_err();
    assert!(matches!(cause(&error), HttpError::Tls { .. }), "{error:?}");
}

#[test]
fn what_is_not_a_certificate_is_an_error() {
    let error = HttpClient::new()
        .with_root_certificate(b"-----BEGIN")
        .unwrap_err();
    assert!(matches!(error, HttpError::Certificate { .. }), "{error:?}");
}
