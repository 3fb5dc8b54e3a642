//! Time, as the host lends it.

#[cfg(feature = "std")]
mod ticker;

use core::{sync::atomic::AtomicUsize, time::Duration};

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

    /// A counter that changes every millisecond or oftener, for half a second at least from now on.
    ///
    /// The clock is looked at around each host function; where there is such a counter, only if it has changed. An
    /// interrupt of a timer can keep one. By default there is none, and the clock is read each time.
    fn ticks(&self) -> Option<&'static AtomicUsize> {
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

/// What guests with the capability TIME see of the clock: which clocks, and how finely.
///
/// A fine clock tells a guest about more than the time: how long other code took, what was in a cache. Deadlines are kept
/// by the clock itself, whatever guests see of it.
///
/// ```
/// # use dynload_sandbox::{ClockScope, Limits, Sandbox};
/// # use core::time::Duration;
/// let scope = ClockScope::FULL.with_resolution(Duration::from_millis(10)).without_wall();
/// let sandbox = Sandbox::new(Limits::DEFAULT).with_clock_scope(scope);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockScope {
    resolution: Duration,
    wall: bool,
}

impl ClockScope {
    /// Both clocks, as fine as the host has them. The default of a sandbox.
    pub const FULL: ClockScope = ClockScope {
        resolution: Duration::from_nanos(1),
        wall: true,
    };

    /// The same, with what guests read rounded down to multiples of `resolution` (at least a nanosecond).
    #[must_use]
    pub fn with_resolution(mut self, resolution: Duration) -> ClockScope {
        self.resolution = resolution.max(Duration::from_nanos(1));
        self
    }

    /// The same without the date: guests see time pass and not what time it is.
    #[must_use]
    pub fn without_wall(mut self) -> ClockScope {
        self.wall = false;
        self
    }

    /// The step in which guests see time pass.
    #[must_use]
    pub fn resolution(self) -> Duration {
        self.resolution
    }

    /// The monotonic clock, as a guest sees it.
    pub(crate) fn monotonic(self, clock: &dyn Clock) -> Duration {
        self.coarse(clock.monotonic())
    }

    /// The date, as a guest sees it, if it does.
    pub(crate) fn wall(self, clock: &dyn Clock) -> Option<Duration> {
        clock.wall().filter(|_| self.wall).map(|now| self.coarse(now))
    }

    fn coarse(self, now: Duration) -> Duration {
        let past = now.as_nanos() % self.resolution.as_nanos();
        // Less than `now`, which is what it is taken from.
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

    fn ticks(&self) -> Option<&'static AtomicUsize> {
        ticker::ticks()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
