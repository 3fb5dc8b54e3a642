//! Call depth and stack bytes, packed into one hidden global.
//!
//! ```text
//! bit 63   62 ............ 32   31   30 ............. 0
//!  guard    frames alive        guard   bytes of frames
//! ```
//!
//! Both counters start so high that exceeding their limit carries into the guard bit above them. So the code that the rewriter
//! inserts at the entry of a function adds the constant of the frame and tests both guards at the same time.

use crate::{error::Limit, state::State};
use dynload_caps::Limits;
use wasmi::{Global, StoreContext, StoreContextMut, Val};

/// The amount that one more frame adds to the counters.
pub(crate) const FRAME: i64 = 1 << 32;
/// Both guard bits.
pub(crate) const GUARDS: i64 = (1 << 63) | STACK_GUARD;
const STACK_GUARD: i64 = 1 << 31;
/// The maximum of either counter. A larger limit in [`Limits`] means this one.
pub(crate) const MAX: u64 = (1 << 31) - 1;

/// The frame limits of a sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameLimits {
    stack: u64,
    depth: u64,
}

impl FrameLimits {
    pub(crate) fn new(limits: &Limits) -> FrameLimits {
        FrameLimits {
            stack: limits.max_stack_bytes.min(MAX),
            depth: limits.max_call_depth.min(MAX),
        }
    }

    /// Returns the counters when no frame is alive.
    pub(crate) fn start(self) -> u64 {
        ((MAX - self.depth) << 32) | (MAX - self.stack)
    }

    /// Returns the limit that the counters have exceeded, and its value.
    pub(crate) fn exceeded(self, counters: u64) -> Option<(Limit, u64)> {
        if counters >> 63 != 0 {
            Some((Limit::CallDepth, self.depth))
        } else if counters & STACK_GUARD as u64 != 0 {
            Some((Limit::Stack, self.stack))
        } else {
            None
        }
    }
}

/// Reads a hidden i64 global.
pub(crate) fn read(ctx: StoreContext<'_, State>, global: Global) -> u64 {
    match global.get(ctx) {
        Val::I64(value) => value as u64,
        _ => 0,
    }
}

/// Writes a hidden i64 global.
pub(crate) fn write(ctx: StoreContextMut<'_, State>, global: Global, value: u64) {
    let written = global.set(ctx, Val::I64(value as i64));
    debug_assert!(written.is_ok(), "hidden globals are mutable i64");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(limits: FrameLimits, frames: u64, bytes: u64) -> Option<(Limit, u64)> {
        limits.exceeded(limits.start().wrapping_add(frames * FRAME as u64 + bytes))
    }

    #[test]
    fn a_limit_can_be_reached_but_not_exceeded() {
        let limits = FrameLimits { stack: 100, depth: 3 };
        assert_eq!(after(limits, 3, 100), None);
        assert_eq!(after(limits, 4, 100), Some((Limit::CallDepth, 3)));
        assert_eq!(after(limits, 3, 101), Some((Limit::Stack, 100)));
    }

    #[test]
    fn limits_of_zero_and_of_the_maximum_are_exact() {
        let none = FrameLimits { stack: 0, depth: 0 };
        assert_eq!(after(none, 0, 0), None);
        assert_eq!(after(none, 1, 0), Some((Limit::CallDepth, 0)));
        let all = FrameLimits::new(
            &Limits::DEFAULT
                .with_stack_bytes(u64::MAX)
                .with_call_depth(u64::MAX),
        );
        assert_eq!(after(all, MAX, MAX), None);
        assert_eq!(after(all, MAX, MAX + 1), Some((Limit::Stack, MAX)));
    }
}
