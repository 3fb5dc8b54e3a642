//! The number of host descriptors that all guests of the process hold together.
//!
//! A process has few descriptors, and the host opens files too. Each instance may have
//! [`MAX_DESCRIPTORS`](super::descriptor::MAX_DESCRIPTORS), and there may be any number of instances and workers.

use super::{system::files, wasi::Errno};
use std::sync::atomic::{AtomicU64, Ordering};

static HELD: AtomicU64 = AtomicU64::new(0);

/// One host descriptor that a guest holds.
#[derive(Debug)]
pub(super) struct Held(());

impl Held {
    /// Takes one, if all guests together hold less than three quarters of the process limit.
    pub(super) fn take() -> Result<Held, Errno> {
        let most = files::descriptor_limit() / 4 * 3;
        let order = Ordering::SeqCst;
        let taken = HELD.fetch_update(order, order, |held| (held < most).then_some(held + 1));
        taken.map(|_| Held(())).map_err(|_| Errno::Nfile)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}
