//! The height of the operand stack, and the open control frames.
//!
//! The bookkeeping is that of the [validation algorithm](https://webassembly.github.io/spec/core/appendix/algorithm.html)
//! without the types, which the interpreter checks. In an invalid body the heights are meaningless, and harmless, since the
//! interpreter rejects it.

use alloc::vec::Vec;
use wasmparser::BlockType;

/// A control frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) ty: BlockType,
    pub(super) is_loop: bool,
    /// The height of the operand stack below its parameters.
    pub(super) height: u32,
    /// Whether the current position in it is unreachable, as validation defines it.
    pub(super) unreachable: bool,
    /// Whether a frame around it was unreachable when it was opened.
    within_unreachable: bool,
}

/// The operand stack and the control stack of a function, without types.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    /// The number of operands.
    pub(super) height: u32,
    /// The height of the innermost frame, below which no operand is popped.
    floor: u32,
    frames: Vec<Frame>,
}

impl Stacks {
    /// Starts a function of this type.
    pub(super) fn start(&mut self, ty: u32) {
        self.frames.clear();
        self.height = 0;
        self.open(BlockType::FuncType(ty), false);
    }

    /// Pops operands.
    #[inline(always)]
    pub(super) fn pop(&mut self, count: u32) {
        self.height = self.height.saturating_sub(count).max(self.floor);
    }

    /// Pushes operands.
    #[inline(always)]
    pub(super) fn push(&mut self, count: u32) {
        self.height = self.height.saturating_add(count);
    }

    /// Opens a control frame. The caller pops its parameters before and pushes them after.
    pub(super) fn open(&mut self, ty: BlockType, is_loop: bool) {
        let within_unreachable = !self.is_reachable();
        self.floor = self.height;
        self.frames.push(Frame {
            ty,
            is_loop,
            height: self.height,
            unreachable: false,
            within_unreachable,
        });
    }

    /// Starts the second arm of an `if`.
    pub(super) fn reopen(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.unreachable = false;
            self.height = frame.height;
        }
    }

    /// Closes the innermost frame. The caller pushes its results.
    pub(super) fn close(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.height = frame.height;
        }
        self.floor = self.innermost().map_or(0, |frame| frame.height);
    }

    /// Makes the rest of the innermost frame unreachable.
    pub(super) fn diverge(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.unreachable = true;
            self.height = frame.height;
        }
    }

    /// Returns whether the current position is reachable, as validation defines it.
    pub(super) fn is_reachable(&self) -> bool {
        self.innermost()
            .is_none_or(|frame| !frame.unreachable && !frame.within_unreachable)
    }

    /// Returns the innermost frame, or `None` after the end of the function.
    pub(super) fn innermost(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// Returns the frame of the function.
    pub(super) fn outermost(&self) -> Option<&Frame> {
        self.frames.first()
    }

    /// Returns the frame that a label refers to.
    pub(super) fn label(&self, depth: u32) -> Option<&Frame> {
        let index = self.frames.len().checked_sub(1 + depth as usize)?;
        self.frames.get(index)
    }
}
