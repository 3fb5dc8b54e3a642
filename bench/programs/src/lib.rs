//! Large programs for WebAssembly, from the sources that crates carry.
//!
//! The crates are optional dependencies that nothing turns on: cargo only fetches them, and `cargo metadata` says where they
//! are. Each program is a C library with a short driver of ours in `c/`, but for CoreMark, which is a binary already. It
//! exports `run(i32) -> i32` and imports nothing.
//!
//! Building needs clang with a C library for WebAssembly: `apt-get install clang lld wasi-libc libclang-rt-14-dev-wasm32`.
#![forbid(unsafe_code)]

mod build;
mod coremark;
mod list;
mod sources;

pub use build::{BuildError, Builder};
pub use list::{PROGRAMS, Program};
