//! Workers that have been started before a session needs them.

use crate::{client::timespec, window::Window};
use rustix::event::{PollFd, PollFlags, poll};
use std::{
    any::Any,
    collections::VecDeque,
    os::unix::net::UnixStream,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A worker that no session uses yet.
pub(super) struct Spare {
    pub(super) socket: UnixStream,
    pub(super) window: Option<Window>,
    pub(super) has_greeted: bool,
    /// Dropping it ends the worker.
    pub(super) other_end: Option<Box<dyn Any + Send>>,
}

impl Spare {
    /// Returns whether its worker has not closed its end.
    fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let is_polled = poll(&mut fds, Some(&timespec(Duration::ZERO))).is_ok();
        is_polled && !fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

/// The workers that wait, the oldest first.
#[derive(Default)]
pub(super) struct Spares(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Spare>,
    target: usize,
}

impl Spares {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_target(&self, target: usize) {
        self.lock().target = target;
    }

    pub(super) fn is_short(&self) -> bool {
        let inner = self.lock();
        inner.waiting.len() < inner.target
    }

    pub(super) fn put(&self, spare: Spare) {
        self.lock().waiting.push_back(spare);
    }

    /// Takes one whose worker is alive. Those whose worker has died are dropped.
    pub(super) fn take(&self) -> Option<Spare> {
        let mut inner = self.lock();
        while let Some(spare) = inner.waiting.pop_front() {
            if spare.is_alive() {
                return Some(spare);
            }
        }
        None
    }
}
