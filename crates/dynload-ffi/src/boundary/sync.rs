//! The locks and atomics of the crate: those of the standard library, or loom's where its models are run.
//!
//! Only this crate's own tests model with loom: a program that is built with its flag for models of its own gets the real ones.

#[cfg(all(test, loom))]
pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, atomic},
    thread::yield_now,
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, RwLock, atomic},
    thread::yield_now,
};

use std::sync::PoisonError;

/// Locks, also after a panic: what is under the locks of this crate is changed in single steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
