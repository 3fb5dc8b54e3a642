//! Hot reload that never misses a save and never loses a running plugin.
//!
//! A [`Reloader`] watches a source, builds it, loads the result beside the running version, transfers the state and
//! swaps the two. Each step emits an [`Event`]; if any step fails, the previous version keeps running.
//!
//! ```text
//! changed -> building -> built -> staged -> loaded -> swapped -> retired
//!     \__________\__________________\__________\__________________________ failed(stage, why)
//! ```
//!
//! # Examples
//!
//! ```no_run
//! use std::time::Duration;
//! use dynload_hotreload::{Config, Reloader, native_loader};
//!
//! // SAFETY: we write this plugin ourselves; its constructors are harmless.
//! let loader = unsafe { native_loader!() };
//! let reloader = Reloader::new(Config::new("plugins/greeter.c"), loader)?;
//! reloader.start()?;
//! loop {
//!     if reloader.check() {
//!         println!("version {}", reloader.version());
//!     }
//!     if let Some(plugin) = reloader.current() {
//!         // SAFETY: greeter.c defines `int64_t greet(int64_t)`.
//!         let greet = unsafe { plugin.library().symbol::<extern "C" fn(i64) -> i64>("greet") }?;
//!         println!("{}", greet(1));
//!     }
//!     std::thread::sleep(Duration::from_secs(1));
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - **No save is missed.** Events are only a reason to look; the content decides. The reloader watches
//!   directories, not files, so saving by rename, by truncating, by deleting and creating, through symbolic links,
//!   and into directories that are removed and created again all work the same. It also checks every file once a
//!   second or, if there are so many files that checking takes long, at least every eleven seconds.
//! - **No save is loaded twice.** The same content is never loaded twice in a row, however many events report it.
//! - **The running version stays** until the new version is loaded and has restored the state, and a call stays on
//!   the version on which it started: see [`Guard`].
//! - **A partly written file is waited for.** It is neither loaded nor reported.
//!
//! # What it is not
//!
//! - Not a sandbox: a native plugin that crashes takes the host down. For isolation, use a loader that isolates,
//!   such as one for Wasm.
//! - Not a patching tool: the statics of the new version are initialized again. Pass state on through the state
//!   hooks ([`Loader::save`]).
//! - Not a build system: one source, one command. The command handles dependencies between plugins.
//!
//! # Loaders
//!
//! The reloader is generic over a [`Loader`]. [`NativeLoader`] is the loader for shared libraries. Another loader
//! defines two things: the type of its loaded plugins, and how to load one from an [`Artifact`].
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod artifact;
mod builder;
mod bus;
mod config;
mod error;
mod event;
mod inbox;
mod loader;
mod native_loader;
mod pipeline;
mod reloader;
mod shared;
mod snapshot;
mod step;
mod sync;
mod version;
mod watch;
mod worker;

pub use dynload_native as native;
pub use dynload_native::ContentHash;

pub use artifact::{Artifact, ArtifactKind};
pub use config::{BuildCommand, Builder, Config, WatchMode};
pub use error::{ReloadError, StartError};
pub use event::{Event, EventKind};
pub use loader::{LoadError, Loader, State};
pub use native_loader::{
    NativeLoader, NativePlugin, STATE_RESTORE_SYMBOL, STATE_SAVE_SYMBOL, STATE_SCHEMA_SYMBOL,
};
pub use reloader::Reloader;
pub use step::Step;
pub use version::Guard;
pub use watch::{PollReason, WatchError, WatchLimit, WatchState};

/// Keeps the example of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
