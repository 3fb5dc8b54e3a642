//! Which operands on the stack are constants that the interpreter may know.
//!
//! The interpreter computes with constants when it translates, and drops code that they make unreachable; it would then
//! charge the `nop`s of such code to the stretch around it. So no constant may reach a condition, no operator may be
//! computed at translation, and none may be known to trap: not a division by a constant zero, and no access to a constant
//! address beyond what its memory has from the start (the interpreter asks for the declared maximum, for 2^32 and for 2^64).
//! Constants that compilers write (an address of static data, an increment) are left alone: they cost nothing and the
//! interpreter makes good use of them. `tests/constant_operands.rs` tries every operator with every kind of constant.

use super::binary::op;
use alloc::vec::Vec;

/// What is known of an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literal {
    I32(i32),
    I64(i64),
    /// A constant of another type, which is given by its byte.
    Other(u8),
}

impl Literal {
    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Literal::I32(0) | Literal::I64(0))
    }

    /// The byte of its type.
    pub(crate) fn val_type(self) -> u8 {
        match self {
            Literal::I32(_) => op::I32,
            Literal::I64(_) => op::I64,
            Literal::Other(ty) => ty,
        }
    }

    /// As an address.
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

    /// Forgets what is at `height` and above.
    pub(crate) fn truncate(&mut self, height: u32) {
        while self.0.last().is_some_and(|(at, _)| *at >= height) {
            self.0.pop();
        }
    }

    /// What is known of the operand at `height`.
    pub(crate) fn at(&self, height: u32) -> Option<Literal> {
        let found = self
            .0
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= height)
            .find(|(at, _)| *at == height);
        found.map(|(_, literal)| *literal)
    }

    /// Whether all operands from `low` up to `high` (not included) are constants, and there is one.
    pub(crate) fn all_in(&self, low: u32, high: u32) -> bool {
        low < high && (low..high).all(|height| self.at(height).is_some())
    }

    /// The constants at `height` and above.
    pub(crate) fn from(&self, height: u32) -> Vec<(u32, Literal)> {
        self.0.iter().copied().filter(|(at, _)| *at >= height).collect()
    }

    /// Puts back what [`from`](Literals::from) gave.
    pub(crate) fn restore(&mut self, height: u32, literals: &[(u32, Literal)]) {
        self.truncate(height);
        self.0.extend_from_slice(literals);
    }
}
