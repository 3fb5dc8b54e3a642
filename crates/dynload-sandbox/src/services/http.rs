//! HTTP requests of guests, within the network scopes.
//!
//! The protocol and TLS are state machines without sockets; the sockets are those of the other network services. So every wait
//! ends with the call, and each connection is made to an address that was checked.

mod connection;
mod error;
mod exchange;
mod received;
mod request;

pub use error::HttpError;

use super::{answer::Fail, network, wasi::Errno};
use crate::{HttpResponse, error::Stop, host::Caller};
use connection::Connection;
use dynload_caps::Capabilities;
use received::Received;
use request::Request;
use rustls::{ClientConfig, RootCertStore, client::Resumption, crypto::ring, pki_types::CertificateDer};
use std::{
    fmt,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use ureq_proto::http::HeaderMap;

/// The name of this service in errors.
const NAME: &str = "http_request";

/// Makes HTTP requests for guests, to the hosts in the network scopes of their sandbox.
///
/// It is for [`Sandbox::set_http_client`](crate::Sandbox::set_http_client), and for host functions of the embedder. Cloning
/// it is cheap.
///
/// - NETWORK is required, and a revocation ends a request.
/// - A host name is looked up only if a pattern of the scopes matches it. The connection is made to the address that was
///   checked, so a name that resolves to another address the next time leads nowhere else. Proxies and environment variables
///   are not used.
/// - A redirect is a new request: scheme, scopes and address are checked again. The headers `Authorization` and `Cookie` are
///   not passed on to another scheme, host or port.
/// - Every wait ends with the time of the call, or with an interrupt of it: lookups, connecting, TLS, and each byte of the
///   request and the response.
/// - The response counts as memory of the guest while it is received. Its headers have at most 64 KiB and its body
///   [`max_body_bytes`](HttpClient::with_max_body_bytes).
///
/// It speaks HTTP/1.1 over TCP or TLS 1.2 and 1.3, with one connection for each request. The certificates of servers are
/// checked against the roots of Mozilla, as of the version of `webpki-roots`. Contents are not decompressed.
///
/// # Examples
///
/// ```
/// use dynload_sandbox::{Capabilities, HttpClient, Limits, Sandbox, Scopes};
///
/// let mut scopes = Scopes::none();
/// scopes.net.push("api.example.com:443".parse()?);
/// let mut sandbox = Sandbox::new(Limits::DEFAULT)
///     .with_capabilities(Capabilities::NETWORK)
///     .with_scopes(scopes);
/// let client = HttpClient::new();
/// sandbox.set_http_client(move |caller, request, body| client.send(caller, request, body));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HttpClient {
    tls: Arc<ClientConfig>,
    roots: Arc<RootCertStore>,
    max_body_bytes: u64,
    max_redirects: u32,
}

impl HttpClient {
    /// Creates a client that accepts bodies of 50 MiB and follows 10 redirects, as Extism's does.
    #[must_use]
    pub fn new() -> HttpClient {
        let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        HttpClient {
            tls: config(&roots),
            roots: Arc::new(roots),
            max_body_bytes: 50 << 20,
            max_redirects: 10,
        }
    }

    /// Sets the maximum length of the body of a response. The memory limit of the guest applies as well.
    #[must_use]
    pub fn with_max_body_bytes(mut self, bytes: u64) -> HttpClient {
        self.max_body_bytes = bytes;
        self
    }

    /// Sets how many redirects of one request are followed; one more is an error. With 0, the guest receives the redirect
    /// itself.
    #[must_use]
    pub fn with_max_redirects(mut self, most: u32) -> HttpClient {
        self.max_redirects = most;
        self
    }

    /// Trusts another root certificate, in DER, in addition to those of Mozilla.
    ///
    /// # Errors
    ///
    /// [`HttpError::Certificate`] if it is not a certificate.
    pub fn with_root_certificate(mut self, der: &[u8]) -> Result<HttpClient, HttpError> {
        let added = Arc::make_mut(&mut self.roots).add(CertificateDer::from_slice(der));
        added.map_err(|cause| HttpError::Certificate {
            cause: Arc::new(cause),
        })?;
        self.tls = config(&self.roots);
        Ok(self)
    }

    /// Makes a request and returns the response, whatever its status.
    ///
    /// `request` is a JSON object with `url`, and optionally `method` (a text, by default `GET`) and `headers` (an object of
    /// texts). The headers that belong to a connection are the client's own: `Connection` and `Keep-Alive` are ignored, and
    /// `Host` and `Content-Length` must be right. The headers of the response are a JSON object as well; several values of one
    /// name are one text, separated by commas.
    ///
    /// # Errors
    ///
    /// - An [`HttpError`] as [`ErrorKind::Host`](crate::ErrorKind::Host).
    /// - As [`Caller::require`] without NETWORK, and as [`Caller::check`].
    /// - [`ErrorKind::LimitExceeded`](crate::ErrorKind::LimitExceeded) if the memory limit does not allow the response.
    pub fn send(&self, caller: &mut Caller<'_>, request: &[u8], body: &[u8]) -> Result<HttpResponse, Stop> {
        caller.require(Capabilities::NETWORK, NAME)?;
        let request = Request::parse(request, body.len()).map_err(Stop::host)?;
        let mut received = Received::new(self.max_body_bytes);
        let result = self.follow(caller, request, body, &mut received);
        let body = received.release(caller);
        let (status, headers) = result?;
        Ok(HttpResponse {
            status,
            headers: json(&headers),
            body,
        })
    }

    /// Makes a request, and those that it is redirected to. Returns the status and the headers of the last response.
    fn follow(
        &self,
        caller: &mut Caller<'_>,
        mut request: Request,
        body: &[u8],
        received: &mut Received,
    ) -> Result<(u16, HeaderMap), Stop> {
        for left in (0..=self.max_redirects).rev() {
            let mut connection = Connection::open(self, caller, &request)?;
            let body = if request.has_body { body } else { &[] };
            let mut reply = exchange::start(caller, &mut connection, &request, body)?;
            let next = if self.max_redirects == 0 {
                None
            } else {
                request.redirected(&reply.response).map_err(Stop::host)?
            };
            match next {
                Some(next) if left > 0 => request = next,
                Some(_) => break,
                None => {
                    reply.read_body(caller, &mut connection, received)?;
                    let response = reply.response;
                    return Ok((response.status().as_u16(), response.into_parts().0.headers));
                }
            }
        }
        Err(Stop::host(HttpError::TooManyRedirects {
            limit: self.max_redirects,
        }))
    }
}

impl Default for HttpClient {
    fn default() -> HttpClient {
        HttpClient::new()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_redirects", &self.max_redirects)
            .finish_non_exhaustive()
    }
}

fn config(roots: &RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites of both versions");
    let mut config = config.with_root_certificates(roots.clone()).with_no_client_auth();
    // Plugins that share a client do not share sessions.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = Vec::from([b"http/1.1".to_vec()]);
    Arc::new(config)
}

/// Returns headers as a JSON object.
fn json(headers: &HeaderMap) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    for name in headers.keys() {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        object.insert(name.as_str().into(), values.join(", ").into());
    }
    serde_json::Value::Object(object).to_string().into_bytes()
}

/// Returns the end of the call for a failure to reach the host of a request.
fn refused(caller: &Caller<'_>, host: &network::Host, fail: Fail) -> Stop {
    let errno = match fail {
        Fail::Stop(stop) => return stop,
        Fail::Errno(errno) => errno,
    };
    let (host, port) = (host.name.clone(), host.port);
    match errno {
        // Either NETWORK was revoked, or the scopes do not list the host or any of its addresses.
        Errno::Notcapable => match caller.require(Capabilities::NETWORK, NAME) {
            Err(revoked) => revoked,
            Ok(()) => Stop::host(HttpError::NotAllowed { host, port }),
        },
        errno => Stop::host(HttpError::Unreachable {
            host,
            port,
            reason: error::reason(errno),
        }),
    }
}

/// Returns the end of the call for a failure on a connection.
fn broken(caller: &Caller<'_>, fail: Fail) -> Stop {
    let errno = match fail {
        Fail::Stop(stop) => return stop,
        Fail::Errno(errno) => errno,
    };
    match caller.require(Capabilities::NETWORK, NAME) {
        Err(revoked) if errno == Errno::Notcapable => revoked,
        _ => Stop::host(HttpError::Connection {
            reason: error::reason(errno),
        }),
    }
}
