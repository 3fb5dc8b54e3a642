//! Hot reload that never misses a save and never loses a running plugin.
//!
//! A [`Reloader`] watches a source, builds it, loads the result beside the version that runs, carries the state over,
//! and swaps. Each step is an [`Event`]; whichever fails, the version that ran before still runs.
//!
//! ```text
//! changed -> building -> built -> staged -> loaded -> swapped -> retired
//!     \__________\__________________\__________\__________________________ failed(stage, why)
//! ```
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
//! # What it promises
//!
//! - **No save is missed.** Events are only a reason to look; what counts is the content. Directories are watched and
//!   not files, so saving by rename, by truncating, by deleting and creating, through symbolic links, and into
//!   directories that vanish and come back are all the same. Every file is also looked at once a second, or, where there
//!   are so many that looking takes long, at least every eleven.
//! - **None is doubled.** The same content is never loaded twice in a row, however many events tell of it.
//! - **What runs stays** until the new version is loaded and has taken the state over, and a call stays on the version
//!   that it started on: see [`Guard`].
//! - **A half-written file is waited for**, not loaded and not reported.
//!
//! # What it is not
//!
//! - No sandbox: a native plugin that crashes takes the host down. Give [`Reloader`] a loader that isolates, such as one
//!   for Wasm.
//! - No patching: statics of the new version start fresh. What is to live on goes through the state hooks
//!   ([`Loader::save`]).
//! - No build system: one source, one command. Dependencies between plugins are for the command to know.
//!
//! # Loaders
//!
//! The reloader is generic over a [`Loader`]. [`NativeLoader`] is the one for shared libraries. A loader for something
//! else has two things to say: what it makes of an [`Artifact`], and of what type that is.
#![forbid(unsafe_code)]
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
