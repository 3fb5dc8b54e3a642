//! Tests with real libraries, built by `cc`, `c++` and `rustc` during the tests, and loaded into this process or a child
//! process.
//!
//! `DYNLOAD_PROVE=1` tries all of the changes to a library instead of one in twenty, and every library of the system,
//! which takes some minutes. Under AddressSanitizer (detached images are not leaks):
//!
//! ```sh
//! RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0 \
//!     cargo +nightly test -p dynload-native --target x86_64-unknown-linux-gnu --tests
//! ```
#![cfg(unix)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every opened library was built by its test"
)]

#[path = "native/build.rs"]
mod build;
#[path = "native/child.rs"]
mod child;
#[path = "native/damage.rs"]
mod damage;
#[path = "native/dependencies.rs"]
mod dependencies;
#[path = "native/descriptor.rs"]
mod descriptor;
#[path = "native/inspect.rs"]
mod inspect;
#[path = "native/library.rs"]
mod library;
#[path = "native/links.rs"]
mod links;
#[path = "native/module.rs"]
mod module;
#[path = "native/rust_plugin.rs"]
mod rust_plugin;
#[path = "native/staging.rs"]
mod staging;
#[path = "native/stress.rs"]
mod stress;
