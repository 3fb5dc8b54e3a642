//! Tests that cross crates: programs in C, C++, Python and LLVM IR that use the libraries as shipped.

pub mod artifacts;
pub mod header;
pub mod host;
pub mod vais;
