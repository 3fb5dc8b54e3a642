//! Tracks which operands on the stack are constants that the interpreter may know.
//!
//! When the interpreter translates, it folds constants and drops code that they make unreachable; it would then charge the
//! `nop`s of that code to the region around it. So a constant must not reach a condition, an operator must not be folded, and
//! it must not be known to trap: by a division by a constant zero, or by an access to a constant address beyond the initial
//! size of its memory (the interpreter checks for the declared maximum, for 2^32 and for 2^64).
//! Constants that compilers emit (an address of static data, an increment) are left alone: they are free and the
//! interpreter makes good use of them. `tests/sandbox/constant_operands.rs` tries every operator with every kind of constant.

use super::binary::op;
use alloc::vec::Vec;

/// A constant operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literal {
    I32(i32),
    I64(i64),
    /// A constant of another type, represented by the byte of that type.
    Other(u8),
}

impl Literal {
    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Literal::I32(0) | Literal::I64(0))
    }

    /// Returns the byte of its type.
    pub(crate) fn val_type(self) -> u8 {
        match self {
            Literal::I32(_) => op::I32,
            Literal::I64(_) => op::I64,
            Literal::Other(ty) => ty,
        }
    }

    /// Returns the value as an address.
    pub(crate) fn address(self) -> Option<u64> {
        match self {
            Literal::I32(address) => Some(u64::from(address as u32)),
            Literal::I64(address) => Some(address as u64),
            Literal::Other(_) => None,
        }
    }
}

/// The constants on the operand stack, by their height (the lowest operand has height 0), ascending.
#[derive(Debug, Default)]
pub(crate) struct Literals(Vec<(u32, Literal)>);

impl Literals {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(feature = "simd")]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, height: u32, literal: Literal) {
        self.truncate(height);
        self.0.push((height, literal));
    }

    /// Removes the constants at `height` and above.
    pub(crate) fn truncate(&mut self, height: u32) {
        while self.0.last().is_some_and(|(at, _)| *at >= height) {
            self.0.pop();
        }
    }

    /// Returns the operand at `height` if it is a constant.
    pub(crate) fn at(&self, height: u32) -> Option<Literal> {
        let found = self
            .0
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= height)
            .find(|(at, _)| *at == height);
        found.map(|(_, literal)| *literal)
    }

    /// Returns whether the operands from `low` up to `high` (not included) are all constants, and at least one.
    pub(crate) fn all_in(&self, low: u32, high: u32) -> bool {
        low < high && (low..high).all(|height| self.at(height).is_some())
    }

    /// Returns the constants at `height` and above.
    pub(crate) fn from(&self, height: u32) -> Vec<(u32, Literal)> {
        let first = self.0.partition_point(|(at, _)| *at < height);
        self.0[first..].to_vec()
    }

    /// Restores the constants that [`from`](Literals::from) returned.
    pub(crate) fn restore(&mut self, height: u32, literals: &[(u32, Literal)]) {
        self.truncate(height);
        self.0.extend_from_slice(literals);
    }
}
