//! Runs untrusted WebAssembly with exact metering, hard limits and capability-gated host services.
//!
//! The steps are always the same: an [`Engine`] compiles a [`Module`]; a [`Sandbox`], which defines what plugins may do and
//! use, creates an [`Instance`] of it; and the exports of the instance are called. [`schedule`] lists the costs in fuel.
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "rewriter"),
    allow(dead_code, reason = "only the rewriter uses some of it")
)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    all(feature = "std", not(any(unix, windows))),
    allow(dead_code, reason = "the services that use it exist on Unix and Windows only")
)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod authority;
mod bytes;
#[cfg(all(feature = "cache", unix))]
mod cache;
mod call;
mod clock;
mod config;
mod engine;
mod error;
mod host;
mod instance;
mod metering;
mod module;
mod prepared;
#[cfg(feature = "rewriter")]
mod rewrite;
mod rewritten;
mod sandbox;
pub mod schedule;
#[cfg(all(feature = "std", any(unix, windows)))]
mod services;
mod sync;
mod translation;
mod usage;
mod value;

pub use authority::Authority;
#[cfg(feature = "extism")]
pub use bytes::HttpResponse;
#[cfg(all(feature = "cache", unix))]
pub use cache::ModuleCache;
pub use call::interrupt::InterruptHandle;
#[cfg(feature = "std")]
pub use clock::SystemClock;
pub use clock::{Clock, ClockScope};
pub use dynload_caps as caps;
pub use dynload_caps::{
    Access, Capabilities, DirScope, EnvScope, Grant, ImportNeeds, Limits, NetScope, ProgramScope, ScopeError,
    Scopes,
};
pub use engine::{Engine, EngineConfig, Translation, Validation};
pub use error::{
    DeniedGrowth, Error, ErrorKind, Invocation, Limit, MissingImport, ModuleError, Stop, Trap, UnsafeBuild,
};
#[cfg(feature = "std")]
pub use host::OsEntropy;
pub use host::{
    Caller, Console, ConsoleOutput, Entropy, EntropyError, EntropyStream, GuestMemory, HostArgs,
    HostFunctions, HostResults, MAX_REENTRY, NoMemory, OutOfBounds, OutputError, OutputFn, SeededEntropy,
    Stream, UnsupportedSignature,
};
pub use instance::Instance;
pub use instance::typed::{TypedFunc, WasmNumber, WasmParams, WasmResults};
pub use metering::budget::FuelBudget;
pub use module::limits::{ModuleLimit, ModuleLimits, ParseModuleLimitError};
pub use module::{Export, ExternType, Import, Module};
pub use prepared::Prepared;
pub use sandbox::Sandbox;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use services::ServiceError;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use services::gpu::backend as gpu;
#[cfg(all(feature = "http", any(unix, windows)))]
pub use services::{HttpClient, HttpError};
pub use usage::{Totals, Usage};
pub use value::{Signature, ValType, Value, ValueTypeMismatch};

/// Returns the module as the interpreter receives it, to inspect what the rewriter adds. Nothing depends on its form.
///
/// # Errors
///
/// As [`Module::new`].
#[cfg(feature = "rewriter")]
#[doc(hidden)]
pub fn rewritten(wasm: &[u8], config: &EngineConfig) -> Result<alloc::vec::Vec<u8>, ModuleError> {
    rewrite::module(wasm, config).map(|(bytes, _)| bytes)
}

/// Returns the estimated memory that loading the module takes, to compare the estimate with measurements.
///
/// # Errors
///
/// As [`Module::new`].
#[cfg(feature = "rewriter")]
#[doc(hidden)]
pub fn load_estimate(wasm: &[u8], config: &EngineConfig) -> Result<u64, ModuleError> {
    rewrite::module(wasm, config).map(|(_, rewritten)| rewritten.load_bytes)
}
