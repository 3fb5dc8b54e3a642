//! The process that runs a reloader: the child of a `fork` has none of its threads.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// The process in which a thread was started, if there is one.
#[derive(Default)]
pub(crate) struct Owner(AtomicU32);

impl Owner {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Makes this process the owner.
    pub(crate) fn claim(&self) {
        self.0.store(process::id(), Ordering::Release);
    }

    /// Records that there is no owner.
    pub(crate) fn release(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Returns the process id of the owner if it is another process.
    pub(crate) fn other_process(&self) -> Option<u32> {
        let owner = self.0.load(Ordering::Acquire);
        (owner != 0 && owner != process::id()).then_some(owner)
    }
}
