//! The errors of scopes.

use alloc::string::String;
use core::fmt;

use dynload_diagnostics::printable;

/// An invalid scope.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeError {
    /// A directory with an invalid path.
    #[non_exhaustive]
    Dir {
        /// The path on the host.
        host: String,
        /// The guest name.
        guest: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Two directories with the same guest name.
    #[non_exhaustive]
    DuplicateGuest {
        /// That name.
        guest: String,
    },
    /// A word that is neither `read-only` nor `read-write`.
    #[non_exhaustive]
    UnknownAccess {
        /// The word.
        found: String,
    },
    /// An environment variable whose name or value no environment can contain.
    #[non_exhaustive]
    Env {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Two entries for the same environment variable.
    #[non_exhaustive]
    DuplicateEnv {
        /// Its name.
        name: String,
    },
    /// A program that is not named by an absolute path.
    #[non_exhaustive]
    Program {
        /// The path.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A limit on the size of shaders above [`MAX_SHADER_BYTES`](super::GpuScope::MAX_SHADER_BYTES).
    #[non_exhaustive]
    ShaderBytes {
        /// The limit.
        found: u32,
    },
    /// An invalid `host:port` pattern; the cause is in [`source`](core::error::Error::source).
    #[non_exhaustive]
    Net {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        source: ParseNetError,
    },
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScopeError::Dir { host, guest, reason } => {
                write!(
                    f,
                    "directory {:?} as {:?}: {reason}",
                    printable(host).path(),
                    printable(guest).path()
                )
            }
            ScopeError::DuplicateGuest { guest } => {
                write!(
                    f,
                    "two directories have the guest name {:?}: use different names",
                    printable(guest).path()
                )
            }
            ScopeError::UnknownAccess { found } => {
                write!(
                    f,
                    "unknown access {:?}: write `read-only` or `read-write`",
                    printable(found)
                )
            }
            ScopeError::Env { name, reason } => {
                write!(f, "environment variable {:?}: {reason}", printable(name))
            }
            ScopeError::DuplicateEnv { name } => {
                write!(
                    f,
                    "environment variable {:?} is listed twice: remove one entry",
                    printable(name)
                )
            }
            ScopeError::Program { path, reason } => {
                write!(
                    f,
                    "program {:?}: {reason}; write the absolute path of the file to run",
                    printable(path).path()
                )
            }
            ScopeError::ShaderBytes { found } => {
                let most = super::GpuScope::MAX_SHADER_BYTES;
                write!(f, "shaders of {found} bytes: allow at most {most}")
            }
            ScopeError::Net { pattern, .. } => {
                write!(f, "invalid host pattern {:?}", printable(pattern))
            }
        }
    }
}

impl core::error::Error for ScopeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            ScopeError::Net { source, .. } => Some(source),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(ScopeError);

/// Why a `host:port` pattern is invalid.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseNetError {
    /// The `:port` at the end is missing.
    NoPort,
    /// The port is not a number from 0 to 65535, a range `a-b` with `a <= b`, or `*`.
    BadPort(String),
    /// The host is empty.
    NoHost,
    /// The host is not a name, `*`, `*.suffix`, an address or a network.
    BadHost(String),
    /// An IPv6 address is not in brackets.
    Unbracketed(String),
    /// The text after the `/` is not a valid prefix length for the address.
    BadPrefixLength(String),
    /// The address has bits set beyond its prefix; `network` is the network without them.
    #[non_exhaustive]
    HostBits {
        /// The network as it was written.
        found: String,
        /// The network that contains it.
        network: String,
    },
}

impl fmt::Display for ParseNetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseNetError::NoPort => f.write_str("no port: write `host:443`, `host:8000-8100` or `host:*`"),
            ParseNetError::BadPort(found) => {
                write!(
                    f,
                    "bad port {:?}: write a number up to 65535, a range `8000-8100`, or `*`",
                    printable(found)
                )
            }
            ParseNetError::NoHost => f.write_str("no host: write a name, an address, or `*`"),
            ParseNetError::BadHost(found) => write!(
                f,
                "bad host {:?}: write a name (`api.example.com`), `*.example.com`, an address, a network \
                 (`10.0.0.0/8`), a name in a network (`db.example.com@10.0.0.0/8`), or `*`",
                printable(found)
            ),
            ParseNetError::Unbracketed(found) => {
                let found = printable(found);
                write!(f, "IPv6 address {found:?} without brackets: write `[{found}]`")
            }
            ParseNetError::BadPrefixLength(found) => {
                write!(
                    f,
                    "bad prefix length {:?}: write 0 to 32 for IPv4 and 0 to 128 for IPv6",
                    printable(found)
                )
            }
            ParseNetError::HostBits { found, network } => {
                write!(
                    f,
                    "{} has bits set beyond its prefix: write {}",
                    printable(found),
                    printable(network)
                )
            }
        }
    }
}

impl core::error::Error for ParseNetError {}

dynload_diagnostics::debug_with_causes!(ParseNetError);

/// Why a pattern of GPUs is invalid.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseGpuPatternError {
    /// The kind is unknown.
    UnknownKind(String),
    /// There is no name after `KIND:`, or after `name`.
    NoName,
}

impl fmt::Display for ParseGpuPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseGpuPatternError::UnknownKind(found) => write!(
                f,
                "unknown kind of GPU {:?}: write `*`, `cpu`, `integrated`, `discrete`, `virtual`, `other` or `name:NAME`",
                printable(found)
            ),
            ParseGpuPatternError::NoName => f.write_str(
                "no name: write the device's name after the colon, or the beginning of it and `*`",
            ),
        }
    }
}

impl core::error::Error for ParseGpuPatternError {}

dynload_diagnostics::debug_with_causes!(ParseGpuPatternError);
