//! The examples of the workspace's README, compiled.
#![forbid(unsafe_code)]

/// The README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
