//! Compares the WASI preview 1 functions of `dynload-sandbox` with those of Wasmtime.
//!
//! A [sequence](generator) of calls runs in both, each in its own copy of the same [directory](tree). After each call the
//! [outcomes](outcome) and the two directories are compared. A difference must be in the table of
//! [known differences](differences), which states for each why the two differ and which document the sandbox follows.

pub mod call;
pub mod compare;
pub mod differences;
mod engines;
pub mod generator;
mod guest;
pub mod outcome;
pub mod random;
pub mod rights;
pub mod tree;
