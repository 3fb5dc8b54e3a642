//! A thread of the process that counts while calls run, so that looking whether time has passed costs one load.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{
    sync::Mutex,
    thread::{self, Thread},
    time::Duration,
};

/// How often it counts.
const TICK: Duration = Duration::from_micros(500);
/// How many ticks it goes on after somebody asked.
const LEASE: usize = 1_000;

static TICKS: AtomicUsize = AtomicUsize::new(0);
/// The tick after which it may rest.
static NEEDED_UNTIL: AtomicUsize = AtomicUsize::new(0);
static RESTS: AtomicBool = AtomicBool::new(false);
/// The thread, and the process that it belongs to: a fork does not take it along.
static THREAD: Mutex<Option<(u32, Thread)>> = Mutex::new(None);

/// The counter, which goes on for half a second at least; `None` where no thread can be started.
pub(super) fn ticks() -> Option<&'static AtomicUsize> {
    let until = TICKS.load(Ordering::SeqCst).wrapping_add(LEASE);
    NEEDED_UNTIL.store(until, Ordering::SeqCst);
    // Whoever holds the lock for longer was interrupted by a fork.
    let mut running = THREAD.try_lock().ok()?;
    let process = std::process::id();
    match &*running {
        Some((of, thread)) if *of == process => {
            if RESTS.swap(false, Ordering::SeqCst) {
                thread.unpark();
            }
        }
        _ => {
            RESTS.store(false, Ordering::SeqCst);
            let builder = thread::Builder::new().name("dynload-ticker".into());
            let started = builder.stack_size(64 << 10).spawn(count).ok()?;
            *running = Some((process, started.thread().clone()));
        }
    }
    Some(&TICKS)
}

fn count() {
    loop {
        thread::sleep(TICK);
        let now = TICKS.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
        let is_needed = || NEEDED_UNTIL.load(Ordering::SeqCst).wrapping_sub(now) as isize > 0;
        if is_needed() {
            continue;
        }
        // Who asks after this look sees that it rests, and wakes it.
        RESTS.store(true, Ordering::SeqCst);
        if is_needed() {
            RESTS.store(false, Ordering::SeqCst);
        }
        while RESTS.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}
