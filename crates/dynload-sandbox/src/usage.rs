//! What a call used.

use core::time::Duration;

/// The meter's reading after a call from outside, whether it succeeded or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Fuel burnt by the call, start functions and host functions included. See [`schedule`](crate::schedule).
    ///
    /// Code is paid for a stretch at a time, most of it before it runs. A call that returned has paid for exactly the
    /// operators it executed. One that was stopped half-way has, in each function that it was in, also paid for code that it
    /// has not come to, or not yet paid for up to 128 of what it executed there.
    pub fuel: u64,
    /// Bytes in memories and tables (8 bytes an element) when the call ended, with what the instance keeps besides
    /// ([`schedule`](crate::schedule)).
    pub memory_bytes: u64,
    /// The most of these that the instance has had since it was made or reset, together with the workers of its calls.
    pub peak_memory_bytes: u64,
    /// The most bytes of Wasm frames alive at once; read only where the [`Engine`](crate::Engine) profiles.
    pub peak_stack_bytes: Option<u64>,
    /// The most Wasm frames alive at once; read only where the [`Engine`](crate::Engine) profiles.
    pub peak_call_depth: Option<u64>,
    /// Wall clock of the call. `None` for a call that ended within its first
    /// [`UNTIMED_FUEL`](crate::schedule::UNTIMED_FUEL) and asked for no time: reading the clock would cost more than
    /// such a call does.
    pub wall_time: Option<Duration>,
}
