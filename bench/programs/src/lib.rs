//! Large programs for WebAssembly, from the sources in published crates.
//!
//! The crates are optional dependencies that are never enabled in a build: cargo only fetches them, and `cargo metadata`
//! reports their location. Each program is a C library with a short driver in `c/`, except CoreMark, which is already a binary.
//! A program exports `run(i32) -> i32` and has no imports.
//!
//! Building needs clang with a C library for WebAssembly: `apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32`.
#![forbid(unsafe_code)]

mod build;
mod coremark;
mod list;
mod sources;

pub use build::{BuildError, Builder};
pub use list::{PROGRAMS, Program};
