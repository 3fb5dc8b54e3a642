//! The atomics that threads share: those of the core library, or loom's where its models are run.
//!
//! Only this crate's own tests model with loom: a program that is built with its flag for models of its own gets the real ones.

#[cfg(all(not(all(test, loom)), target_has_atomic = "64"))]
pub(crate) use core::sync::atomic::AtomicU64;
#[cfg(not(all(test, loom)))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

pub(crate) use core::sync::atomic::Ordering;
