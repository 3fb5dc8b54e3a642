//! Clocks that the host provides.

#[cfg(feature = "std")]
mod ticker;

use alloc::sync::Arc;
use core::{sync::atomic::AtomicUsize, time::Duration};

/// A clock of the host.
///
/// The sandbox reads it for deadlines, and guests with the capability TIME read it through host functions.
pub trait Clock: Send + Sync {
    /// Returns the time since some fixed moment; never decreases.
    fn monotonic(&self) -> Duration;

    /// Returns the time since 1970-01-01 00:00:00 UTC, without leap seconds; `None` if the host does not know the
    /// date.
    fn wall(&self) -> Option<Duration> {
        None
    }

    /// Returns a counter that changes at least every millisecond for at least the next half second, or `None` (the
    /// default) if the clock has none; a timer interrupt can maintain one.
    ///
    /// With a counter, the sandbox reads the clock around a host function only if the counter has changed since it was
    /// last read, or after 64 checks without a change; without a counter, it reads the clock each time.
    fn ticks(&self) -> Option<&'static AtomicUsize> {
        None
    }

    /// Sleeps for `duration`. The sandbox sleeps a millisecond at a time and checks deadline and interrupts in
    /// between.
    fn sleep(&self, duration: Duration) {
        let end = self.monotonic().saturating_add(duration);
        while self.monotonic() < end {
            core::hint::spin_loop();
        }
    }
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }

    fn wall(&self) -> Option<Duration> {
        (**self).wall()
    }

    fn ticks(&self) -> Option<&'static AtomicUsize> {
        (**self).ticks()
    }
}

/// The clocks that guests with the capability TIME can read, and their resolution.
///
/// A fine clock reveals more than the time: how long other code took, what was in a cache. Deadlines use the clock
/// itself, whatever guests can read of it.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use dynload_sandbox::{ClockScope, Limits, Sandbox};
///
/// let scope = ClockScope::FULL.with_resolution(Duration::from_millis(10)).without_wall();
/// let sandbox = Sandbox::new(Limits::DEFAULT).with_clock_scope(scope);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockScope {
    resolution: Duration,
    wall: bool,
}

impl ClockScope {
    /// Both clocks, at the resolution of the host. The default of a sandbox.
    pub const FULL: ClockScope = ClockScope {
        resolution: Duration::from_nanos(1),
        wall: true,
    };

    /// Sets the resolution: guests read times rounded down to multiples of it (at least a nanosecond).
    #[must_use]
    pub fn with_resolution(mut self, resolution: Duration) -> ClockScope {
        self.resolution = resolution.max(Duration::from_nanos(1));
        self
    }

    /// Removes the wall clock: guests can measure elapsed time but cannot read the date.
    #[must_use]
    pub fn without_wall(mut self) -> ClockScope {
        self.wall = false;
        self
    }

    /// Returns the resolution of the times that guests read.
    #[must_use]
    pub fn resolution(self) -> Duration {
        self.resolution
    }

    /// Returns the monotonic time as a guest reads it.
    pub(crate) fn monotonic(self, clock: &dyn Clock) -> Duration {
        self.coarse(clock.monotonic())
    }

    /// Returns the wall-clock time as a guest reads it, if it may.
    pub(crate) fn wall(self, clock: &dyn Clock) -> Option<Duration> {
        clock.wall().filter(|_| self.wall).map(|now| self.coarse(now))
    }

    fn coarse(self, now: Duration) -> Duration {
        let past = now.as_nanos() % self.resolution.as_nanos();
        // `past` is at most `now`, so this does not saturate.
        now.saturating_sub(Duration::new(
            (past / 1_000_000_000) as u64,
            (past % 1_000_000_000) as u32,
        ))
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
    /// Returns a clock whose monotonic time starts now.
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

    fn ticks(&self) -> Option<&'static AtomicUsize> {
        ticker::ticks()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
