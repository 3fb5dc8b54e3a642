//! How much a plugin may use.

use core::time::Duration;

/// The resources that one sandboxed plugin may use.
///
/// Every value is valid: 0 forbids (no memory page, no frame), and a huge value is merely never reached. Only
/// [`max_fuel`](Limits::max_fuel) has a value for "unlimited". [`Default`] is [`Limits::DEFAULT`].
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use dynload_caps::Limits;
///
/// let limits = Limits::RESTRICTIVE.with_time(Duration::from_millis(250)).with_fuel(1_000_000);
/// assert_eq!(limits.max_memory_bytes, 16 * 1024 * 1024);
/// assert_eq!(limits.intersection(&Limits::PERMISSIVE), limits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Limits {
    /// Total bytes of all linear memories and tables of an instance, initial sizes included.
    ///
    /// A table element counts as 8 bytes. The workers of a call count towards the limit of the instance. So do the
    /// references of passive element segments, and the definitions of an instance that has very many.
    pub max_memory_bytes: u64,
    /// Wall-clock time of one call from outside, host calls and start function included. Serialized in milliseconds.
    #[cfg_attr(feature = "serde", serde(rename = "max_time_ms", with = "milliseconds"))]
    pub max_time: Duration,
    /// Bytes of the Wasm frames alive at the same time: the parameters, the locals and the maximum operand stack of each
    /// function, with 8 bytes for a number or a reference and 16 for a vector.
    pub max_stack_bytes: u64,
    /// Wasm frames alive at the same time in one call from outside, counted across host functions that call back. With
    /// a limit of N, N frames run and frame N + 1 stops the call.
    pub max_call_depth: u64,
    /// Fuel that one call from outside may consume: 1 for each Wasm operator, and more for operators that process many
    /// bytes. `None`: limited by time only, not by fuel.
    pub max_fuel: Option<u64>,
}

impl Limits {
    /// 64 MiB of memory, 5 seconds for each call, 1 MiB of stack, 1 000 frames; fuel is not limited.
    pub const DEFAULT: Limits = Limits {
        max_memory_bytes: 64 << 20,
        max_time: Duration::from_secs(5),
        max_stack_bytes: 1 << 20,
        max_call_depth: 1_000,
        max_fuel: None,
    };

    /// For untrusted code: 16 MiB of memory, 1 second for each call, 256 KiB of stack, 500 frames; fuel is not limited.
    pub const RESTRICTIVE: Limits = Limits {
        max_memory_bytes: 16 << 20,
        max_time: Duration::from_secs(1),
        max_stack_bytes: 256 << 10,
        max_call_depth: 500,
        max_fuel: None,
    };

    /// For heavy work: 256 MiB of memory, 60 seconds for each call, 4 MiB of stack, 5 000 frames; fuel is not limited.
    pub const PERMISSIVE: Limits = Limits {
        max_memory_bytes: 256 << 20,
        max_time: Duration::from_secs(60),
        max_stack_bytes: 4 << 20,
        max_call_depth: 5_000,
        max_fuel: None,
    };

    /// Sets the memory limit, in bytes.
    #[must_use]
    pub const fn with_memory_bytes(mut self, bytes: u64) -> Limits {
        self.max_memory_bytes = bytes;
        self
    }

    /// Sets the time limit of a call.
    #[must_use]
    pub const fn with_time(mut self, time: Duration) -> Limits {
        self.max_time = time;
        self
    }

    /// Sets the stack limit, in bytes.
    #[must_use]
    pub const fn with_stack_bytes(mut self, bytes: u64) -> Limits {
        self.max_stack_bytes = bytes;
        self
    }

    /// Sets the limit of frames.
    #[must_use]
    pub const fn with_call_depth(mut self, frames: u64) -> Limits {
        self.max_call_depth = frames;
        self
    }

    /// Sets the fuel limit of a call.
    #[must_use]
    pub const fn with_fuel(mut self, fuel: u64) -> Limits {
        self.max_fuel = Some(fuel);
        self
    }

    /// Removes the fuel limit of a call.
    #[must_use]
    pub const fn without_fuel_limit(mut self) -> Limits {
        self.max_fuel = None;
        self
    }

    /// Returns the lower of each limit: whatever is within the result is within both.
    #[must_use]
    pub const fn intersection(&self, other: &Limits) -> Limits {
        const fn smaller(a: u64, b: u64) -> u64 {
            if a < b { a } else { b }
        }
        Limits {
            max_memory_bytes: smaller(self.max_memory_bytes, other.max_memory_bytes),
            max_time: if self.max_time.as_nanos() < other.max_time.as_nanos() {
                self.max_time
            } else {
                other.max_time
            },
            max_stack_bytes: smaller(self.max_stack_bytes, other.max_stack_bytes),
            max_call_depth: smaller(self.max_call_depth, other.max_call_depth),
            max_fuel: match (self.max_fuel, other.max_fuel) {
                (Some(a), Some(b)) => Some(smaller(a, b)),
                (Some(one), None) | (None, Some(one)) => Some(one),
                (None, None) => None,
            },
        }
    }
}

/// Serializes durations as whole milliseconds.
#[cfg(feature = "serde")]
mod milliseconds {
    use core::time::Duration;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

impl Default for Limits {
    /// Returns [`Limits::DEFAULT`].
    fn default() -> Limits {
        Limits::DEFAULT
    }
}
