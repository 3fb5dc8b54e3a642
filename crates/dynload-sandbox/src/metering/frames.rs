//! Call depth and stack bytes, packed into one hidden global.
//!
//! ```text
//! bit 63   62   61 ............ 32   31   30 ............. 0
//!  lazy  guard    frames alive      guard   bytes of frames
//! ```
//!
//! Both counters start so high that exceeding their limit carries into the guard bit above them. So the code that the rewriter
//! inserts at the entry of a function adds the constant of the frame and tests both guards at the same time. The highest bit
//! is constant during a call: it is set if functions report [their first use](crate::translation).

use crate::error::Limit;
use dynload_caps::Limits;

/// The shift of the call depth: below it are the stack bytes.
pub(crate) const DEPTH_SHIFT: u32 = 32;
/// The mask of the stack bytes and their guard bit.
pub(crate) const STACK_MASK: u64 = (1 << DEPTH_SHIFT) - 1;
/// Both guard bits.
pub(crate) const GUARDS: i64 = (DEPTH_GUARD | STACK_GUARD) as i64;
/// The bit that is set while functions report their first use.
pub(crate) const LAZY: u64 = 1 << 63;
const DEPTH_GUARD: u64 = 1 << 62;
const STACK_GUARD: u64 = 1 << 31;
/// The maximum of each counter. A larger limit in [`Limits`] means this one.
const MAX_DEPTH: u64 = (1 << 30) - 1;
const MAX_STACK: u64 = (1 << 31) - 1;

/// Returns the value that one frame of `bytes` adds to the counters.
pub(crate) fn frame(bytes: u64) -> i64 {
    // A frame that does not fit into the counter exceeds every limit, as it should.
    ((1 << DEPTH_SHIFT) + bytes.min(MAX_STACK + 1)) as i64
}

/// The frame limits of a sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameLimits {
    stack: u64,
    depth: u64,
}

impl FrameLimits {
    pub(crate) fn new(limits: &Limits) -> FrameLimits {
        FrameLimits {
            stack: limits.max_stack_bytes.min(MAX_STACK),
            depth: limits.max_call_depth.min(MAX_DEPTH),
        }
    }

    /// Returns the counters when no frame is alive.
    pub(crate) fn none_alive(self) -> u64 {
        ((MAX_DEPTH - self.depth) << DEPTH_SHIFT) | (MAX_STACK - self.stack)
    }

    /// Returns the limit that the counters have exceeded, and its value.
    pub(crate) fn exceeded(self, counters: u64) -> Option<(Limit, u64)> {
        if counters & DEPTH_GUARD != 0 {
            Some((Limit::CallDepth, self.depth))
        } else if counters & STACK_GUARD != 0 {
            Some((Limit::Stack, self.stack))
        } else {
            None
        }
    }

    /// Returns the stack bytes and the call depth of the highest values that the two counters had.
    pub(crate) fn peaks(self, stack: u64, depth: u64) -> (u64, u64) {
        let depth = depth & !(LAZY >> DEPTH_SHIFT);
        (
            stack.saturating_sub(MAX_STACK - self.stack),
            depth.saturating_sub(MAX_DEPTH - self.depth),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(limits: FrameLimits, frames: u64, bytes: u64) -> Option<(Limit, u64)> {
        limits.exceeded(limits.none_alive().wrapping_add((frames << DEPTH_SHIFT) + bytes))
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
        assert_eq!(after(all, MAX_DEPTH, MAX_STACK), None);
        assert_eq!(
            after(all, MAX_DEPTH, MAX_STACK + 1),
            Some((Limit::Stack, MAX_STACK))
        );
    }
}
