//! What a plugin may do, as plain values: its capabilities ([`Capabilities`]), the directories, variables, hosts and
//! programs that they reach ([`Scopes`]), its resource limits ([`Limits`]), and the capability that each Wasm import
//! needs ([`imports`]).
//!
//! Flags say *whether*, scopes say *which*. A plugin with [`Capabilities::NETWORK`] and an empty [`Scopes::net`]
//! reaches no host; a plugin with neither is a pure function.
//!
//! # Examples
//!
//! ```
//! use dynload_caps::{Access, Capabilities, DirScope, Grant, Limits, imports};
//!
//! // What this host is willing to grant to any plugin ...
//! let mut host = Grant::none().with_capabilities("console|fs_read|network".parse()?);
//! host.scopes.dirs.push(DirScope::new("/srv/data", "/data", Access::ReadWrite)?);
//! host.scopes.net.push("*.example.com:443".parse()?);
//!
//! // ... and what this one requests.
//! let mut requested = Grant::none().with_capabilities("console|network|process".parse()?);
//! requested.scopes.net.push("api.example.com:*".parse()?);
//!
//! let granted = host.intersection(&requested);
//! assert_eq!(granted.capabilities.to_string(), "console|network");
//! assert_eq!(granted.scopes.net[0].to_string(), "api.example.com:443");
//! assert!(granted.scopes.dirs.is_empty());
//!
//! // Which capability does an import need?
//! let needs = imports::needs("wasi_snapshot_preview1", "random_get");
//! assert_eq!(needs, imports::ImportNeeds::AllOf(Capabilities::RANDOM));
//! assert!(!needs.satisfied_by(granted.capabilities));
//!
//! assert_eq!(Limits::DEFAULT.intersection(&Limits::RESTRICTIVE).max_time, core::time::Duration::from_secs(1));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What it is not
//! This crate enforces nothing: it is the vocabulary in which a host states its grants. `dynload-sandbox` enforces
//! them for Wasm; nothing can enforce them on a native library. Paths are compared as text. This crate never accesses
//! a file system: where others can write to the directories, resolve symbolic links before comparing paths.
//!
//! # Grants
//! The documentation of each function that widens what a plugin may do has a section of this name, so that these
//! functions can be found and reviewed.
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
    Access, Cidr, DirScope, EnvScope, GpuKind, GpuPattern, GpuScope, NamePattern, NetScope, Network,
    ParseGpuPatternError, ParseNetError, PortRange, ProgramScope, ScopeError, Scopes, canonical_address,
    is_public_address,
};
