//! Why an HTTP request failed.

use crate::services::wasi::Errno;
use dynload_diagnostics::printable;
use std::{error::Error, fmt, string::String, sync::Arc};

/// Why an HTTP request of a guest failed.
///
/// It is the `source` of an [`ErrorKind::Host`](crate::ErrorKind::Host).
#[non_exhaustive]
pub enum HttpError {
    /// The guest's request is not one that the client makes: this says why.
    Request(String),
    /// The network scopes do not allow the host, or none of the addresses that its name resolves to.
    #[non_exhaustive]
    NotAllowed {
        /// The host in the URL.
        host: String,
        /// The port.
        port: u16,
    },
    /// No connection could be made.
    #[non_exhaustive]
    Unreachable {
        /// The host in the URL.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        reason: &'static str,
    },
    /// A connection failed.
    #[non_exhaustive]
    Connection {
        /// Why.
        reason: &'static str,
    },
    /// TLS failed: the certificate of the server is not trusted, for instance.
    #[non_exhaustive]
    Tls {
        /// The host in the URL.
        host: String,
        /// What TLS says.
        cause: Arc<dyn Error + Send + Sync>,
    },
    /// The server's response is not HTTP, or ended early: this says what is wrong.
    Response(String),
    /// A part of the response has more bytes than it may have.
    #[non_exhaustive]
    TooLarge {
        /// The part: `headers` or `body`.
        part: &'static str,
        /// The number of bytes that it may have.
        limit: u64,
    },
    /// The server redirects too often.
    #[non_exhaustive]
    TooManyRedirects {
        /// The number of redirects that are followed.
        limit: u32,
    },
    /// A root certificate of the embedder is not valid.
    #[non_exhaustive]
    Certificate {
        /// What is wrong with it.
        cause: Arc<dyn Error + Send + Sync>,
    },
}

impl HttpError {
    /// The connection was closed before the end of the response.
    pub(super) fn ended_early() -> HttpError {
        HttpError::Response("it ended early".into())
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::Request(why) => write!(f, "the HTTP request is invalid: {}", printable(why).message()),
            HttpError::NotAllowed { host, port } => write!(
                f,
                "an HTTP request to `{}:{port}` is not within the network scopes: add a pattern for the host and its addresses",
                printable(host)
            ),
            HttpError::Unreachable { host, port, reason } => {
                write!(f, "cannot connect to `{}:{port}`: {reason}", printable(host))
            }
            HttpError::Connection { reason } => {
                write!(f, "the connection of an HTTP request failed: {reason}")
            }
            HttpError::Tls { host, .. } => {
                write!(f, "cannot make a secure connection to `{}`", printable(host))
            }
            HttpError::Response(what) => {
                write!(f, "the HTTP response is invalid: {}", printable(what).message())
            }
            HttpError::TooLarge { part, limit } => {
                write!(f, "the {part} of the HTTP response have more than {limit} bytes")
            }
            HttpError::TooManyRedirects { limit } => {
                write!(f, "the server redirects the HTTP request more than {limit} times")
            }
            HttpError::Certificate { .. } => f.write_str("the root certificate is not valid"),
        }
    }
}

impl Error for HttpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            HttpError::Tls { cause, .. } | HttpError::Certificate { cause } => Some(&**cause),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(HttpError);

/// Returns what an errno of the network services means for a request.
pub(super) fn reason(errno: Errno) -> &'static str {
    match errno {
        Errno::Again => "too many host names are being looked up",
        Errno::Noent => "the host name cannot be resolved",
        Errno::Connrefused => "the connection is refused",
        Errno::Connreset | Errno::Connaborted | Errno::Pipe => "the server closed the connection",
        Errno::Timedout => "the server does not answer in time",
        Errno::Hostunreach | Errno::Netunreach | Errno::Netdown | Errno::Addrnotavail => {
            "the network does not reach it"
        }
        Errno::Mfile | Errno::Nfile | Errno::Nomem | Errno::Nobufs => {
            "the system has no resources left for it"
        }
        _ => "the system does not say why",
    }
}
