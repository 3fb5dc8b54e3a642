//! The resources that a call used.

use core::time::Duration;

/// The resources that a call from the host used, whether it succeeded or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Fuel burnt by the call, including start functions and host functions. See [`schedule`](crate::schedule).
    ///
    /// Code is charged one straight-line region at a time, mostly before it runs. A call that returned has paid for exactly
    /// the operators that it executed. A call that was stopped partway has, in each function that was active, either paid for
    /// code that it did not reach, or not yet paid up to 128 for code that it executed.
    pub fuel: u64,
    /// Bytes in memories and tables (8 bytes per element) when the call ended, and the other bytes that count against the
    /// memory limit ([`schedule`](crate::schedule)).
    pub memory_bytes: u64,
    /// The peak of these bytes since the instance was created or reset, together with the workers of its calls.
    pub peak_memory_bytes: u64,
    /// The peak of bytes in live Wasm frames. `None` unless the [`Engine`](crate::Engine) profiles.
    pub peak_stack_bytes: Option<u64>,
    /// The peak number of live Wasm frames. `None` unless the [`Engine`](crate::Engine) profiles.
    pub peak_call_depth: Option<u64>,
    /// Wall-clock time of the call. `None` for a call that ended within its first
    /// [`UNTIMED_FUEL`](crate::schedule::UNTIMED_FUEL) and did not need the time: reading the clock would cost more than the
    /// call does.
    pub wall_time: Option<Duration>,
}
