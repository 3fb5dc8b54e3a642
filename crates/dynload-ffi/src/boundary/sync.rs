//! The locks and atomics of the crate: those of the standard library, or those of loom when its models run.
//!
//! Only this crate's own tests use loom: a program that is built with `--cfg loom` for its own models gets the real types.

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

/// Locks the mutex, even after a panic: the state under this crate's locks is changed in single steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
