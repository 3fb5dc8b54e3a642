//! Keeps constants from where the interpreter would compute with them or branch on them. See
//! [`literals`](crate::rewrite::literals).

use super::BodyRewriter;
use crate::rewrite::{
    binary::{indexed, op},
    literals::Literal,
    operators::{self, Effect},
};
use wasmparser::Operator;

impl BodyRewriter {
    /// Sends constants through a local where the interpreter would compute with them or branch on them: the operator
    /// takes so many operands.
    pub(super) fn keep_constants_out(&mut self, effect: Effect, taken: u32, offset: usize) {
        let height = self.stacks.height;
        match effect {
            Effect::Condition => self.keep_condition_out(offset),
            Effect::Compute if self.literals.all_in(height.saturating_sub(taken), height) => {
                self.keep_condition_out(offset);
            }
            Effect::Compute | Effect::Memory { .. } | Effect::Other => {}
        }
    }

    /// Sends the top of the operand stack through a local if it is a constant.
    pub(super) fn keep_condition_out(&mut self, offset: usize) {
        let Some(at) = self.stacks.height.checked_sub(1) else {
            return;
        };
        if let Some(top) = self.literals.at(at) {
            self.hide_top(top.val_type(), offset);
            self.literals.truncate(at);
        }
    }

    /// Sends the top of the operand stack through a hidden local.
    pub(super) fn hide_top(&mut self, ty: u8, offset: usize) {
        let local = self.hidden_local(ty);
        self.insert(offset, |out| {
            indexed(out, op::LOCAL_SET, local);
            indexed(out, op::LOCAL_GET, local);
        });
    }

    /// A hidden local of that type. All who hide a value share it: it is read right after it is written.
    pub(super) fn hidden_local(&mut self, ty: u8) -> u32 {
        self.nth_hidden_local(ty, 0)
    }

    /// The `n`th hidden local of that type, from 0.
    pub(super) fn nth_hidden_local(&mut self, ty: u8, n: usize) -> u32 {
        let mut of_type = self
            .hidden_locals
            .iter()
            .enumerate()
            .filter(|(_, other)| **other == ty);
        let position = match of_type.nth(n) {
            Some((position, _)) => position,
            None => {
                self.hidden_locals.push(ty);
                self.hidden_locals.len() - 1
            }
        };
        self.locals.saturating_add(position as u32)
    }

    /// Whether the constants on the stack make the operator trap whenever it is executed.
    pub(super) fn always_traps(&self, operator: &Operator<'_>, effect: Effect) -> bool {
        let operand = |from_top: u32| {
            self.stacks
                .height
                .checked_sub(from_top)
                .and_then(|height| self.literals.at(height))
        };
        match effect {
            Effect::Memory { offset, address } => {
                let address = operand(address).and_then(Literal::address);
                address.is_some_and(|address| match address.checked_add(offset) {
                    // A 32-bit memory ends there; a 64-bit one may go on, but not in any host's address space.
                    Some(end) => end > u64::from(u32::MAX),
                    None => true,
                })
            }
            Effect::Compute if operators::divides(operator) => operand(1).is_some_and(Literal::is_zero),
            _ => false,
        }
    }
}
