//! The worker thread of a reloader.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Instant;

use crate::inbox::Wake;
use crate::loader::Loader;
use crate::pipeline::Pipeline;
use crate::shared::Shared;
use crate::sync::lock;

/// Runs the worker. `done` receives a message when the first attempt has ended, and is dropped if that attempt was
/// stopped.
pub(crate) fn work<L: Loader>(shared: Arc<Shared<L>>, done: SyncSender<()>) {
    /// Records that the worker has ended, even if it panics.
    struct End<'a, L: Loader>(&'a Shared<L>);
    impl<L: Loader> Drop for End<'_, L> {
        fn drop(&mut self) {
            *lock(&self.0.worker) = None;
            let arriving = lock(&self.0.arrival.0);
            self.0.running.store(false, Ordering::Release);
            drop(arriving);
            self.0.arrival.1.notify_all();
        }
    }

    let _end = End(&shared);
    *lock(&shared.worker) = Some(thread::current().id());
    let first = shared.version() == 0;
    let mut pipeline = Pipeline::new(Arc::clone(&shared));
    shared.bus.deliver();
    let mut started = false;
    let mut attempt = |changed| {
        let over = pipeline.attempt(changed, !started);
        if !started && first {
            // The version that `start` loaded is not announced.
            shared.announced.fetch_max(shared.version(), Ordering::AcqRel);
        }
        if over && !started {
            started = true;
            let _ = done.send(());
        }
    };
    attempt(Instant::now());
    loop {
        match shared.inbox.next(shared.config.debounce) {
            Wake::Stop => break,
            Wake::Callbacks => shared.bus.deliver(),
            Wake::Due(pending) => attempt(pending.first),
        }
    }
    shared.bus.deliver();
}
