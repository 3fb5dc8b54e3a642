//! Load, reload and unload shared libraries without taking the host down.
//!
//! For programs whose plugins change while they run, or may be broken:
//!
//! - [`Module`] loads a private copy of a library, and [reloads](Module::reload) it beside the old one. The new one
//!   takes over only after it was read, checked, opened and started. If any step fails, the old one stays.
//! - [`inspect`](mod@inspect) reads a file's headers before the platform's loader does, and for ELF every table that
//!   glibc's loader reads: a truncated or damaged file is an error, where `dlopen` would end the process with `SIGBUS`.
//! - [`Library`] and [`Symbol`] are the foundation: typed symbols that keep their library in memory. Nothing is
//!   unmapped unless the caller requests it with `unsafe`.
//! - [`export_plugin!`] and `include/dynload_plugin.h` are for plugins: a [descriptor], by which an incompatible
//!   plugin is refused before any of its code runs, and functions that catch panics.
//!
//! ```no_run
//! # #[cfg(feature = "host")] {
//! use dynload_native::{Flags, Module};
//!
//! // SAFETY: we trust the library that is built there.
//! let module = unsafe { Module::load("target/debug/libgreeter.so", Flags::NOW) }?;
//! let call = module.enter()?;
//! // SAFETY: the plugin's source declares this type.
//! let add = unsafe { call.symbol::<extern "C" fn(i64, i64) -> i64>("add") }?;
//! assert_eq!(add(2, 3), 5);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this is not
//!
//! A sandbox. Native code can do whatever the process can, and its constructors run when it is loaded. The check
//! is that a file is what it claims to be, not that it is harmless; for untrusted plugins, use Wasm. This crate does
//! not check types either: a symbol has the type that the caller declares, which is why requesting one is `unsafe`.
//!
//! # Thread safety
//!
//! Everything here may be used from any thread, except a [`Symbol<T>`](Symbol) of a `T` that may not: it is `Send` and
//! `Sync` only if `T` is, which a raw pointer is not. Only one thread at a time replaces a module; calls never wait for
//! that.
//!
//! The functions allocate memory and take locks. So a signal handler must not call them, and neither may the child of a
//! `fork` in a program with several threads, until it calls `execve`.
//!
//! # Platforms
//!
//! Linux is tested. The code for macOS, the BSDs and Windows exists, but is not yet tested. For ELF,
//! [`inspect`](mod@inspect) follows glibc's loader; for Mach-O and PE it checks that the parts that the headers name
//! are in the file.
//!
//! # Features
//!
//! - `host` (on by default): everything that loads. Without it only the plugin side is left, which has no
//!   dependencies: a plugin that uses [`export_plugin!`] needs no more.

// The documentation is never built for the plugin side alone: docs.rs enables all features.
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(feature = "host"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "host")]
mod calls;
#[cfg(feature = "host")]
mod dependencies;
pub mod descriptor;
#[cfg(feature = "host")]
mod error;
#[expect(unsafe_code, reason = "functions for C")]
mod export;
#[cfg(feature = "host")]
mod flags;
#[cfg(feature = "host")]
#[expect(unsafe_code, reason = "loading runs foreign code")]
mod generation;
#[cfg(feature = "host")]
mod hash;
#[cfg(feature = "host")]
#[expect(unsafe_code, reason = "closing unmaps code")]
mod image;
#[cfg(feature = "host")]
pub mod inspect;
#[cfg(feature = "host")]
#[expect(unsafe_code, reason = "symbols of any type")]
mod library;
#[cfg(feature = "host")]
#[expect(unsafe_code, reason = "loading runs foreign code")]
mod module;
#[cfg(feature = "host")]
mod name;
#[cfg(feature = "host")]
mod open_regular;
#[cfg(all(unix, feature = "host"))]
mod origin;
#[cfg(feature = "host")]
#[expect(unsafe_code, reason = "the platform's loader")]
mod os;
#[cfg(feature = "host")]
#[expect(unsafe_code, reason = "settings are passed to foreign code")]
mod settings;
#[cfg(feature = "host")]
pub mod staging;
#[cfg(feature = "host")]
mod symbol;
#[cfg(feature = "host")]
mod sync;

pub use self::export::catch_panic;
#[doc(hidden)]
pub use self::export::{read_host, run_configure, run_init, take_panic};
#[cfg(feature = "host")]
pub use self::{
    calls::CallGuard,
    error::{Error, LoaderError, Step},
    flags::{Flags, UnknownFlags},
    generation::{Generation, Options},
    hash::ContentHash,
    image::{DetachedImage, Unload, detached_images},
    library::Library,
    module::{Module, Retired},
    name::{is_plugin_library, library_extension, library_filename},
    open_regular::{open_regular, read_regular},
    symbol::{Symbol, SymbolName},
};

#[cfg(all(doctest, feature = "host"))]
#[doc = include_str!("../README.md")]
struct Readme;
