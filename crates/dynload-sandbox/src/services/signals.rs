//! Signals that the system raises beside an error, and that end a host which does not expect them.
//!
//! A write to a pipe that nobody reads any more raises SIGPIPE, and one beyond the size that the process may give a file
//! (`RLIMIT_FSIZE`) raises SIGXFSZ. Both go to the thread that writes, so holding them back there is enough. (SIGBUS, of a
//! file that shrinks while it is mapped, does not come up: nothing here maps a file.)
//!
//! Other systems than Linux may drop a signal that is held back, or send it to the whole process. There a host has to
//! ignore the two itself, as every Rust program does SIGPIPE.

/// Writes something, and lets none of the two signals that may come of it reach the host. The error says it all.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn held_back<T>(write: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};

    const SIGNALS: [Signal; 2] = [Signal::SIGPIPE, Signal::SIGXFSZ];

    /// The mask of the thread from before, which it gets back.
    struct Before(SigSet);

    impl Drop for Before {
        fn drop(&mut self) {
            for signal in SIGNALS {
                // To take a signal is to wait for it. Raised once more it is there for sure, and there only once.
                if raise(signal).is_ok() {
                    let _ = SigSet::from(signal).wait();
                }
            }
            let _ = self.0.thread_set_mask();
        }
    }

    let signals: SigSet = SIGNALS.into_iter().collect();
    let Ok(before) = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK) else {
        return write();
    };
    let _before = Before(before);
    write()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn held_back<T>(write: impl FnOnce() -> T) -> T {
    write()
}
