//! From directories to running plugins: discovery, policy, sandbox and hot reload together.
//!
//! [`Plugins`] finds the plugins in directories, grants each what its manifest requests and the host's [`Policy`] allows,
//! loads them, and calls them by id. On [`refresh`](Plugins::refresh), or by itself with [`watch`](Plugins::watch), it follows
//! what changes: plugins that come and go, manifests, files to load. A version that cannot be loaded leaves the one before it
//! running. One stream of [events](Plugins::next_event) says what happened, and why.
//!
//! # Examples
//!
//! ```
//! use dynload_plugins::{Limits, Plugins, Policy, Grant};
//!
//! # let temp = tempfile::tempdir()?;
//! # let directory = temp.path();
//! # std::fs::write(directory.join("echo.wat"), "")?;
//! # std::fs::remove_file(directory.join("echo.wat"))?;
//! # std::fs::create_dir(directory.join("echo"))?;
//! std::fs::write(directory.join("echo/plugin.toml"), r#"
//!     [plugin]
//!     id = "echo"
//!     version = "1.0.0"
//!     format = "wasm"
//!     entry = "echo.wat"
//! "#)?;
//! std::fs::write(directory.join("echo/echo.wat"), r#"(module
//!     (import "vais" "read_args" (func $read_args (param i32)))
//!     (import "vais" "set_result" (func $set_result (param i32 i32)))
//!     (memory (export "memory") 1)
//!     (func (export "echo") (param $len i32) (result i32)
//!         (call $read_args (i32.const 0))
//!         (call $set_result (i32.const 0) (local.get $len))
//!         (i32.const 0)))"#)?;
//!
//! let plugins = Plugins::open(directory, Policy::new(Grant::none(), Limits::DEFAULT));
//! assert_eq!(plugins.call_str("echo", "echo", "hello")?, "hello");
//! assert_eq!(plugins.next_event().unwrap().to_string(), "echo: version 1.0.0 is loaded");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it is not
//!
//! - Not a sandbox for native plugins. They are loaded only if the host passes a loader for them
//!   ([`Settings::with_native`]).
//! - Not a way to keep state: a reload creates new instances of a Wasm plugin, and a call that was aborted resets its instance.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod event;
mod forward;
mod loader;
mod plugins;
mod pool;
mod refresh;
mod settings;
mod watch;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/editor.md")]
struct Editor;

pub use dynload_caps::{Capabilities, Grant, Limits};
pub use dynload_discovery as discovery;
pub use dynload_discovery::{ConfigValue, Policy, Scanner, SearchPath};
pub use dynload_hotreload as hotreload;
pub use dynload_sandbox as sandbox;

pub use dynload_sandbox::Totals;
pub use error::CallError;
pub use event::{Event, EventKind, LoadFailure};
pub use loader::WasmLoader;
pub use plugins::{Native, Plugins};
pub use pool::{Checkout, Pool, PoolError};
pub use settings::Settings;
