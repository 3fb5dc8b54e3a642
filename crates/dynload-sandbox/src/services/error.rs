//! Why the services of a sandbox could not be set up.

use dynload_caps::ScopeError;
use dynload_diagnostics::printable;
use std::{fmt, io, string::String};

/// The scopes of a sandbox could not be opened. Found as the `source` of an instantiation's
/// [`ErrorKind::Host`](crate::ErrorKind::Host).
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError {
    /// The scopes contradict themselves.
    Scope(ScopeError),
    /// A directory of the scopes could not be opened.
    Directory {
        /// The directory on the host.
        host: String,
        /// The name that the guest would have known it by.
        guest: String,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Whether the directories of the scopes lie in each other could not be found out, so what governs in them is not
    /// known. Give only directories whose parents can be looked into, or all of them with the same access.
    Nesting {
        /// What the operating system said.
        cause: io::Error,
    },
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Scope(_) => f.write_str("the scopes of the sandbox are not valid"),
            ServiceError::Directory { host, guest, .. } => {
                write!(
                    f,
                    "cannot open the directory `{}`, which the guest was to see as `{}`",
                    printable(host).path(),
                    printable(guest).path()
                )
            }
            ServiceError::Nesting { .. } => f.write_str(
                "cannot find out whether a directory given read-only lies in one given read-write; give them with the same \
                 access, or make the directories above them accessible",
            ),
        }
    }
}

impl std::error::Error for ServiceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServiceError::Scope(cause) => Some(cause),
            ServiceError::Directory { cause, .. } | ServiceError::Nesting { cause } => Some(cause),
        }
    }
}
