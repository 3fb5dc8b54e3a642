//! Hot reload of plugins from their source. The newest saved content is loaded or its failure is reported, and a failed
//! reload leaves the old version running.
//!
//! A [`Reloader`] watches a source, builds it, loads the result beside the running version, transfers the state and
//! swaps the two. Each step emits an [`Event`]; if any step fails, the previous version keeps running.
//!
//! ```text
//! changed -> building -> built -> staged -> loaded -> swapped -> retired
//!     \__________\__________________\__________\__________________________ failed(step, error)
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
//! if let Some(error) = reloader.last_error() {
//!     // The first build failed. `start` succeeds nevertheless: the next save would be another attempt.
//!     eprintln!("{}", error.report());
//! }
//! while let Some(plugin) = reloader.current() {
//!     // SAFETY: greeter.c defines `int64_t greet(int64_t)`.
//!     let greet = unsafe { plugin.library().symbol::<extern "C" fn(i64) -> i64>("greet") }?;
//!     println!("version {}: {}", plugin.version(), greet(1));
//!     drop(plugin); // An old version is retired when its last guard is dropped.
//!     std::thread::sleep(Duration::from_secs(1));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - **The newest saved content is loaded or reported.** Events are only a reason to look; the content decides. The
//!   reloader watches directories, not files, so saving by rename, by truncating, by deleting and creating, through
//!   symbolic links, and into directories that are removed and created again all work the same. It also checks every
//!   file once a second or, if there are so many files that checking takes long, at least every eleven seconds. Only
//!   the newest content counts: saves within the [debounce time](Config::with_debounce) are one change, and a build is
//!   stopped when newer content is saved.
//! - **The same content is not loaded twice in a row**, however many events report it, unless loading it failed and it
//!   was saved again.
//! - **The running version stays** until the new version is loaded and has restored the state, and a call stays on
//!   the version on which it started: see [`Guard`].
//! - **A partly written file is waited for.** It is reported as broken only if it stays incomplete for the
//!   [settle timeout](Config::with_settle_timeout).
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
mod owner;
mod pipeline;
mod reloader;
mod shared;
mod snapshot;
mod step;
mod sync;
mod vais;
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
pub use reloader::{Reloader, Stop};
pub use step::Step;
pub use version::Guard;
pub use watch::{PollReason, WatchError, WatchLimit, WatchState};

/// Keeps the example of the README compiling.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
