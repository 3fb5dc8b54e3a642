//! Tests that cross crates: programs in C, C++, Python and LLVM IR that use the libraries as shipped.

pub mod artifacts;
pub mod header;
pub mod host;
pub mod markdown;
pub mod vais;

/// The program of the README of the workspace is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
