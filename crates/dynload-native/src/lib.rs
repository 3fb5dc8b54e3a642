//! Load, reload and unload shared libraries without taking the host down.
//!
//! For programs whose plugins change while they run, or may be broken:
//!
//! - [`Module`] loads a private copy of a library, and [reloads](Module::reload) it beside the old one: only when
//!   the new one was read, checked, opened and started does it take over. Whatever fails, the old one stays.
//! - [`inspect`](mod@inspect) reads every table that the platform's loader will read, before it does: a truncated or damaged file is an
//!   error, where `dlopen` would end the process with `SIGBUS`.
//! - [`Library`] and [`Symbol`] are the ground that it stands on: typed symbols that keep their library in memory.
//!   Nothing is unmapped unless somebody says so with `unsafe`.
//! - [`export_plugin!`] and `include/dynload_plugin.h` are for plugins: a [descriptor] by which one that does not fit
//!   is refused before anything of it has run, and functions that no panic leaves.
//!
//! ```no_run
//! # #[cfg(feature = "host")] {
//! use dynload_native::{Flags, Module};
//!
//! // SAFETY: we trust what is built there.
//! let module = unsafe { Module::load("target/debug/libgreeter.so", Flags::NOW) }?;
//! let call = module.enter()?;
//! // SAFETY: the plugin's source says so.
//! let add = unsafe { call.symbol::<extern "C" fn(i64, i64) -> i64>("add") }?;
//! assert_eq!(add(2, 3), 5);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this is not
//!
//! A sandbox. Native code can do whatever the process can, and its constructors run when it is loaded. What is
//! checked is that a file is what it seems, not that it means well; for plugins that are not trusted there is
//! Wasm. Nor does it check types: a symbol has the type that the caller says, which is why that is `unsafe`.
//!
//! # Thread safety
//!
//! Everything here may be used from any thread at any time. A module is replaced by one thread at a time; calls
//! never wait for that.
//!
//! # Platforms
//!
//! Linux is tested. For macOS, the BSDs and Windows the code is there, and is not yet tested. What
//! [`inspect`](mod@inspect) knows of ELF follows glibc's loader; of Mach-O and PE it checks that what the headers name is in the
//! file.
//!
//! # Features
//!
//! - `host` (on by default): everything that loads. Without it there is only the plugin's side, with no dependency:
//!   what a plugin wants that uses [`export_plugin!`].

// The plugin's side alone is not documented by itself: docs.rs has all features.
#![cfg_attr(not(feature = "host"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "host")]
mod calls;
#[cfg(feature = "host")]
mod dependencies;
pub mod descriptor;
#[cfg(feature = "host")]
mod error;
mod export;
#[cfg(feature = "host")]
mod flags;
#[cfg(feature = "host")]
mod generation;
#[cfg(feature = "host")]
mod hash;
#[cfg(feature = "host")]
mod image;
#[cfg(feature = "host")]
pub mod inspect;
#[cfg(feature = "host")]
mod library;
#[cfg(feature = "host")]
mod module;
#[cfg(feature = "host")]
mod name;
#[cfg(feature = "host")]
mod os;
#[cfg(feature = "host")]
mod regular;
#[cfg(feature = "host")]
pub mod staging;
#[cfg(feature = "host")]
mod symbol;

pub use self::export::catch_panic;
#[doc(hidden)]
pub use self::export::{run_init, take_panic};
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
    regular::{open_regular, read_regular},
    symbol::{Symbol, SymbolName},
};

#[cfg(all(doctest, feature = "host"))]
#[doc = include_str!("../README.md")]
struct Readme;
