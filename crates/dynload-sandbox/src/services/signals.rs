//! Signals that the system raises along with an error, and that kill a host that does not handle them.
//!
//! A write to a pipe without readers raises SIGPIPE, and a write beyond the file size limit of the process
//! (`RLIMIT_FSIZE`) raises SIGXFSZ. Both are sent to the writing thread, so blocking them there is sufficient.
//! (SIGBUS, raised if a mapped file shrinks, cannot occur: no code here maps a file.)
//!
//! Systems other than Linux may drop a blocked signal, or send it to the whole process. There the host must ignore
//! both signals itself, as every Rust program does with SIGPIPE.

/// Calls `write` while the two signals that it may raise are blocked, so that neither reaches the host. The returned
/// error is sufficient.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn with_signals_blocked<T>(write: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};

    const SIGNALS: [Signal; 2] = [Signal::SIGPIPE, Signal::SIGXFSZ];

    /// The previous signal mask of the thread, which is restored.
    struct Before(SigSet);

    impl Drop for Before {
        fn drop(&mut self) {
            for signal in SIGNALS {
                // `wait` consumes a pending signal. `raise` ensures that one is pending, and a signal is pending at
                // most once.
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
pub(crate) fn with_signals_blocked<T>(write: impl FnOnce() -> T) -> T {
    write()
}
