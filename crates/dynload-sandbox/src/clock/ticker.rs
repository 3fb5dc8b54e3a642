//! A thread that increments a counter while calls run, so that checking whether time has passed costs one load.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{
    sync::Mutex,
    thread::{self, Thread},
    time::Duration,
};

/// The interval between two increments.
const TICK: Duration = Duration::from_micros(500);
/// How many ticks the thread continues after a call of [`ticks`].
const LEASE: usize = 1_000;

static TICKS: AtomicUsize = AtomicUsize::new(0);
/// The tick after which the thread may park.
static NEEDED_UNTIL: AtomicUsize = AtomicUsize::new(0);
static IS_PARKED: AtomicBool = AtomicBool::new(false);
/// The process, and its thread if one could be started: a forked process does not have the thread.
static THREAD: Mutex<Option<(u32, Option<Thread>)>> = Mutex::new(None);

/// Returns the counter, which runs for at least half a second; `None` if no thread can be started.
pub(super) fn ticks() -> Option<&'static AtomicUsize> {
    let until = TICKS.load(Ordering::SeqCst).wrapping_add(LEASE);
    NEEDED_UNTIL.store(until, Ordering::SeqCst);
    // Not `lock`: in a forked process the lock stays taken if a thread of the parent held it during the fork.
    let mut running = THREAD.try_lock().ok()?;
    let process = std::process::id();
    if running.as_ref().is_none_or(|(of, _)| *of != process) {
        IS_PARKED.store(false, Ordering::SeqCst);
        let builder = thread::Builder::new().name("dynload-ticker".into());
        let started = builder.stack_size(64 << 10).spawn(count);
        // A failure is recorded: a retry on every call would fail too.
        *running = Some((process, started.ok().map(|started| started.thread().clone())));
    }
    let (_, thread) = running.as_ref()?;
    let thread = thread.as_ref()?;
    if IS_PARKED.swap(false, Ordering::SeqCst) {
        thread.unpark();
    }
    Some(&TICKS)
}

fn count() {
    // The host's signal handlers expect threads of the host, and may need more stack.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = nix::sys::signal::SigSet::all().thread_block();
    loop {
        thread::sleep(TICK);
        let now = TICKS.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
        let is_needed = || NEEDED_UNTIL.load(Ordering::SeqCst).wrapping_sub(now) as isize > 0;
        if is_needed() {
            continue;
        }
        // A caller that asks after the check below sees that the thread rests, and unparks it.
        IS_PARKED.store(true, Ordering::SeqCst);
        if is_needed() {
            IS_PARKED.store(false, Ordering::SeqCst);
        }
        while IS_PARKED.load(Ordering::SeqCst) {
            thread::park();
        }
    }
}
