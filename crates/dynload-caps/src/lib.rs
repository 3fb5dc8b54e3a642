//! What a plugin may do, as plain values: which powers ([`Capabilities`]), which directories, names, hosts and
//! programs those powers reach ([`Scopes`]), how much it may use ([`Limits`]), and which power each Wasm import
//! needs ([`imports`]).
//!
//! Flags say *whether*, scopes say *which*. A plugin that holds [`Capabilities::NETWORK`] and an empty
//! [`Scopes::net`] reaches no host at all; a plugin that holds neither is a pure function.
//!
//! ```
//! use dynload_caps::{Access, Capabilities, DirScope, Grant, Limits, imports};
//!
//! // What this host is willing to give to any plugin ...
//! let mut host = Grant::none().with_capabilities("console|fs_read|network".parse()?);
//! host.scopes.dirs.push(DirScope::new("/srv/data", "/data", Access::ReadWrite)?);
//! host.scopes.net.push("*.example.com:443".parse()?);
//!
//! // ... and what this one asks for.
//! let mut asked = Grant::none().with_capabilities("console|network|process".parse()?);
//! asked.scopes.net.push("api.example.com:*".parse()?);
//!
//! let given = host.intersection(&asked);
//! assert_eq!(given.capabilities.to_string(), "console|network");
//! assert_eq!(given.scopes.net[0].to_string(), "api.example.com:443");
//! assert!(given.scopes.dirs.is_empty());
//!
//! // Which power does an import need?
//! let needs = imports::required_capability("wasi_snapshot_preview1", "random_get");
//! assert_eq!(needs, imports::ImportNeeds::AllOf(Capabilities::RANDOM));
//! assert!(!needs.satisfied_by(given.capabilities));
//!
//! assert_eq!(Limits::DEFAULT.intersection(&Limits::RESTRICTIVE).max_time, core::time::Duration::from_secs(1));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What it is not
//! Nothing here is enforced: these are the words in which a host says what it grants. `dynload-sandbox` enforces
//! them for Wasm, and a native library cannot be held to them by anybody. Paths are compared as text; this crate
//! never looks at a file system, so whoever compares paths that others can write to resolves symbolic links first.
//!
//! # Grants
//! Functions that widen what a plugin may do have a section of this name in their documentation, so that they
//! can be found and reviewed.
//!
//! # Features
//! The crate is `no_std` and needs `alloc`. `serde` (off by default) adds `Serialize` and `Deserialize`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

mod capabilities;
mod grant;
pub mod imports;
mod limits;
mod scopes;

pub use capabilities::{Capabilities, CapabilityNames, ParseCapabilitiesError, RawBits, UnknownCapability};
pub use grant::Grant;
pub use imports::ImportNeeds;
pub use limits::Limits;
pub use scopes::{
    Access, Cidr, DirScope, EnvScope, NamePattern, NetScope, Network, ParseNetError, PortRange, ProgramScope,
    ScopeError, Scopes, canonical_address, is_public_address,
};
