//! Why the services of a sandbox could not be set up.

use dynload_caps::ScopeError;
use dynload_diagnostics::printable;
use std::{fmt, io, string::String};

/// The scopes of a sandbox could not be opened.
///
/// It is the `source` of an [`ErrorKind::Host`](crate::ErrorKind::Host) from an instantiation.
#[non_exhaustive]
pub enum ServiceError {
    /// The scopes contradict themselves.
    Scope(ScopeError),
    /// A directory of the scopes could not be opened.
    #[non_exhaustive]
    Directory {
        /// The directory on the host.
        host: String,
        /// The name that the guest would have seen.
        guest: String,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// It could not be determined whether the directories of the scopes are nested, so their effective access is
    /// unknown. Grant only directories whose parent directories are accessible, or grant all of them with the same
    /// access.
    #[non_exhaustive]
    Nesting {
        /// The error of the operating system.
        cause: io::Error,
    },
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::Scope(_) => f.write_str("the scopes of the sandbox are invalid"),
            ServiceError::Directory { host, guest, .. } => {
                write!(
                    f,
                    "cannot open the directory `{}`, granted to the guest as `{}`",
                    printable(host).path(),
                    printable(guest).path()
                )
            }
            ServiceError::Nesting { .. } => f.write_str(
                "cannot determine whether a directory granted read-only is inside one granted read-write; grant them with the \
                 same access, or make their parent directories accessible",
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

dynload_diagnostics::debug_with_causes!(ServiceError);
