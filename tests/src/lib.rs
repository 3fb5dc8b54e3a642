//! Tests that cross crates: programs in C, C++, Python and LLVM IR against the libraries as their users get them.

pub mod artifacts;
pub mod header;
pub mod host;
pub mod vais;
