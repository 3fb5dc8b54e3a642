//! The counters.

use crate::error::Trap;
use crate::schedule::Schedule;

/// The limits of a run. `None` means no limit. A limit of L lets a program use exactly L.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Fuel of one call from outside, or of one instantiation.
    pub fuel: Option<u64>,
    /// Wasm frames alive at the same time.
    pub call_depth: Option<u64>,
    /// Stack bytes of the frames alive at the same time.
    pub stack_bytes: Option<u64>,
    /// Bytes of all memories and tables together.
    pub memory_bytes: Option<u64>,
    /// Operators executed: a guard against programs that do not terminate. Free operators count too.
    pub steps: Option<u64>,
}

/// What one call from outside, or one instantiation, used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel, including surcharges. After [`Trap::OutOfFuel`]: the fuel burned before the charge that exceeded the limit.
    pub fuel: u64,
    /// The part of [`fuel`](Self::fuel) that is surcharges: everything except operators and function entries.
    pub surcharge: u64,
    /// The maximum number of Wasm frames alive at the same time.
    pub peak_call_depth: u64,
    /// The maximum stack bytes of Wasm frames alive at the same time.
    pub peak_stack_bytes: u64,
    /// The maximum bytes of memories and tables together. They never shrink, so this is also their size at the end.
    pub peak_memory_bytes: u64,
    /// Operators executed, including free ones.
    pub steps: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) schedule: Schedule,
    pub(crate) limits: Limits,
    usage: Usage,
    depth: u64,
    stack_bytes: u64,
    memory_bytes: u64,
}

impl Meter {
    pub(crate) fn new(schedule: Schedule, limits: Limits) -> Self {
        Self {
            schedule,
            limits,
            ..Self::default()
        }
    }

    /// Begins a call from outside.
    pub(crate) fn start(&mut self) {
        self.usage = Usage {
            peak_memory_bytes: self.memory_bytes,
            ..Usage::default()
        };
        self.depth = 0;
        self.stack_bytes = 0;
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    pub(crate) fn step(&mut self) -> Result<(), Trap> {
        if self.limits.steps == Some(self.usage.steps) {
            return Err(Trap::StepCap);
        }
        self.usage.steps += 1;
        Ok(())
    }

    pub(crate) fn burn(&mut self, amount: u64) -> Result<(), Trap> {
        let fuel = self.usage.fuel.saturating_add(amount);
        if self.limits.fuel.is_some_and(|limit| fuel > limit) {
            return Err(Trap::OutOfFuel);
        }
        self.usage.fuel = fuel;
        Ok(())
    }

    pub(crate) fn surcharge(&mut self, amount: u64) -> Result<(), Trap> {
        self.burn(amount)?;
        self.usage.surcharge += amount;
        Ok(())
    }

    pub(crate) fn push_frame(&mut self, bytes: u64) -> Result<(), Trap> {
        let depth = self.depth + 1;
        let stack_bytes = self.stack_bytes + bytes;
        if self.limits.call_depth.is_some_and(|limit| depth > limit) {
            return Err(Trap::CallDepth);
        }
        if self.limits.stack_bytes.is_some_and(|limit| stack_bytes > limit) {
            return Err(Trap::StackBytes);
        }
        self.depth = depth;
        self.stack_bytes = stack_bytes;
        self.usage.peak_call_depth = self.usage.peak_call_depth.max(depth);
        self.usage.peak_stack_bytes = self.usage.peak_stack_bytes.max(stack_bytes);
        Ok(())
    }

    pub(crate) fn pop_frame(&mut self, bytes: u64) {
        self.depth -= 1;
        self.stack_bytes -= bytes;
    }

    /// Returns whether `bytes` more of memories and tables are within the limit.
    pub(crate) fn may_grow(&self, bytes: u64) -> bool {
        let total = self.memory_bytes.checked_add(bytes);
        total.is_some_and(|total| self.limits.memory_bytes.is_none_or(|limit| total <= limit))
    }

    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Trap> {
        if !self.may_grow(bytes) {
            return Err(Trap::MemoryLimit);
        }
        self.memory_bytes += bytes;
        self.usage.peak_memory_bytes = self.memory_bytes;
        Ok(())
    }
}
