//! The atomics that threads share: those of the core library, or those of loom in this crate's models.
//!
//! Only this crate's own tests use loom: a program that is built with loom's flag for its own models gets the real atomics.

#[cfg(all(not(all(test, loom)), target_has_atomic = "64"))]
pub(crate) use core::sync::atomic::AtomicU64;
#[cfg(not(all(test, loom)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

pub(crate) use core::sync::atomic::Ordering;
