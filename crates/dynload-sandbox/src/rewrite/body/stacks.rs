//! How high the operand stack is, and which control frames are open.
//!
//! The same bookkeeping as in the [validation algorithm](https://webassembly.github.io/spec/core/appendix/algorithm.html),
//! but for types: the interpreter checks those. In a body that is not valid the heights mean nothing, and nothing comes
//! of them, for the interpreter refuses it.

use alloc::vec::Vec;
use wasmparser::BlockType;

/// A control frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) ty: BlockType,
    pub(super) is_loop: bool,
    /// The height of the operand stack below its parameters.
    pub(super) height: u32,
    /// Whether nothing gets to the current point of it, as validation knows.
    pub(super) unreachable: bool,
    /// Whether that is so of a frame around it.
    within_unreachable: bool,
}

/// The operand stack and the control stack of a function, without types.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    /// Operands.
    pub(super) height: u32,
    /// The height of the innermost frame: no operand is taken from below.
    floor: u32,
    frames: Vec<Frame>,
}

impl Stacks {
    /// Starts over with a function of that type.
    pub(super) fn start(&mut self, ty: u32) {
        self.frames.clear();
        self.height = 0;
        self.open(BlockType::FuncType(ty), false);
    }

    /// Takes operands away.
    #[inline(always)]
    pub(super) fn pop(&mut self, count: u32) {
        self.height = self.height.saturating_sub(count).max(self.floor);
    }

    /// Puts operands on top.
    #[inline(always)]
    pub(super) fn push(&mut self, count: u32) {
        self.height = self.height.saturating_add(count);
    }

    /// Opens a control frame; its parameters were taken away and are to be put back.
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

    /// Begins the second arm of an `if`.
    pub(super) fn reopen(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.unreachable = false;
            self.height = frame.height;
        }
    }

    /// Closes the innermost frame; its results are to be put on top.
    pub(super) fn close(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.height = frame.height;
        }
        self.floor = self.innermost().map_or(0, |frame| frame.height);
    }

    /// Nothing gets further than here.
    pub(super) fn diverge(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.unreachable = true;
            self.height = frame.height;
        }
    }

    /// Whether anything gets to the current point, as far as validation knows.
    pub(super) fn is_reachable(&self) -> bool {
        self.innermost()
            .is_none_or(|frame| !frame.unreachable && !frame.within_unreachable)
    }

    /// The innermost frame, `None` behind the end of the function.
    pub(super) fn innermost(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// The frame of the function.
    pub(super) fn outermost(&self) -> Option<&Frame> {
        self.frames.first()
    }

    /// The frame that a label stands for.
    pub(super) fn label(&self, depth: u32) -> Option<&Frame> {
        let index = self.frames.len().checked_sub(1 + depth as usize)?;
        self.frames.get(index)
    }
}
