//! Time, as the host lends it.

use core::time::Duration;

/// A clock of the host.
///
/// The sandbox reads it for deadlines, and guests with the capability TIME read it through host functions.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Time since 1970-01-01 00:00:00 UTC, without leap seconds; `None` where the host does not know the date.
    fn wall(&self) -> Option<Duration> {
        None
    }

    /// Lets `duration` pass. The sandbox asks for a millisecond at a time and looks at deadline and interrupts between.
    fn sleep(&self, duration: Duration) {
        let end = self.monotonic().saturating_add(duration);
        while self.monotonic() < end {
            core::hint::spin_loop();
        }
    }
}

/// The clock of the operating system.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: std::time::Instant,
}

#[cfg(feature = "std")]
impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> SystemClock {
        SystemClock {
            start: std::time::Instant::now(),
        }
    }
}

#[cfg(feature = "std")]
impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

#[cfg(feature = "std")]
impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> Option<Duration> {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
