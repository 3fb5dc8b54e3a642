//! The resources that a call used.

use core::time::Duration;

/// The resources that one call used, and the memory of its instance.
///
/// A call is a call from the host, an instantiation or a reset, whether it succeeded or not, together with the start
/// function, the host functions and the workers that it ran. `fuel`, `peak_stack_bytes`, `peak_call_depth`,
/// `gpu_invocations` and `wall_time` are those of the call. `memory_bytes`, `peak_memory_bytes` and
/// `peak_gpu_memory_bytes` are those of the instance since it was created or reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Fuel burnt by the call, including host functions, and the start function and `_initialize` in an
    /// instantiation. See [`schedule`](crate::schedule).
    ///
    /// Code is charged one straight-line region at a time, mostly before it runs. A call that returned has paid for exactly
    /// the operators that it executed. A call that was stopped partway has, in each function that was active, either paid for
    /// code that it did not reach, or not yet paid up to 128 for code that it executed.
    pub fuel: u64,
    /// Bytes in memories and tables (8 bytes per element) of the instance when the call ended, and the other bytes that
    /// count against the memory limit ([`schedule`](crate::schedule)).
    pub memory_bytes: u64,
    /// The peak of these bytes since the instance was created or reset, together with the workers of its calls.
    pub peak_memory_bytes: u64,
    /// The peak of bytes in live Wasm frames during the call. `None` unless the [`Engine`](crate::Engine) profiles.
    pub peak_stack_bytes: Option<u64>,
    /// The peak number of live Wasm frames during the call. `None` unless the [`Engine`](crate::Engine) profiles.
    pub peak_call_depth: Option<u64>,
    /// The peak of bytes in buffers on GPUs, since the instance was created or reset.
    pub peak_gpu_memory_bytes: u64,
    /// The invocations of compute shaders that the call submitted.
    pub gpu_invocations: u64,
    /// Wall-clock time of the call. `None` for a call that ended within its first
    /// [`UNTIMED_FUEL`](crate::schedule::UNTIMED_FUEL) and did not need the time: reading the clock would cost more than the
    /// call does.
    pub wall_time: Option<Duration>,
}

/// What several calls used: sums of their [`Usage`]. A sum that does not fit stays at the maximum.
///
/// As in [`Usage`], an instantiation and a reset count as calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The number of calls. A call that was refused because the instance is poisoned does not count.
    pub calls: u64,
    /// The number of calls that failed, including those of [`call_bytes`](crate::Instance::call_bytes) in which the guest
    /// returned an error.
    pub failures: u64,
    /// The fuel that they burnt.
    pub fuel: u64,
    /// The wall-clock time that they took, without calls that were too short to be measured.
    pub time: Duration,
}

impl Totals {
    /// Returns the sums of both.
    #[must_use]
    pub fn saturating_add(self, other: Totals) -> Totals {
        Totals {
            calls: self.calls.saturating_add(other.calls),
            failures: self.failures.saturating_add(other.failures),
            fuel: self.fuel.saturating_add(other.fuel),
            time: self.time.saturating_add(other.time),
        }
    }

    /// Returns what came in addition to `earlier` totals of the same instance.
    #[must_use]
    pub fn saturating_sub(self, earlier: Totals) -> Totals {
        Totals {
            calls: self.calls.saturating_sub(earlier.calls),
            failures: self.failures.saturating_sub(earlier.failures),
            fuel: self.fuel.saturating_sub(earlier.fuel),
            time: self.time.saturating_sub(earlier.time),
        }
    }
}
