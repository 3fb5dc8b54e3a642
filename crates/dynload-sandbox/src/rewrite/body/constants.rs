//! Hides constants from the interpreter's constant folding. See [`literals`](crate::rewrite::literals).

use super::{BodyRewriter, Context};
use crate::rewrite::{
    binary::{indexed, op},
    literals::Literal,
    operators::{self, Effect},
};
use wasmparser::Operator;

/// The bytes of the widest access.
const WIDEST: u64 = 16;

impl BodyRewriter {
    /// Passes constants through a local if the interpreter would fold them, branch on them, or conclude that the operator
    /// traps. The operator pops `popped` operands.
    pub(super) fn hide_constants(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        effect: Effect,
        popped: u32,
        offset: usize,
    ) {
        let height = self.stacks.height;
        match effect {
            Effect::Condition => self.hide_condition(offset),
            Effect::Compute if self.literals.all_in(height.saturating_sub(popped), height) => {
                self.hide_condition(offset);
            }
            Effect::Compute
                if operators::divides(operator) && self.operand(1).is_some_and(Literal::is_zero) =>
            {
                self.hide_condition(offset);
            }
            Effect::Access {
                memory,
                offset: from,
                value,
            } => {
                let address = self.operand(popped).filter(|address| {
                    // An access within the initial size never traps.
                    let end = address
                        .address()
                        .and_then(|at| at.checked_add(from)?.checked_add(WIDEST));
                    end.is_none_or(|end| end > context.spaces.initial_bytes(memory))
                });
                if let Some(address) = address {
                    self.hide_address(address.val_type(), value, offset);
                    self.literals.truncate(height.saturating_sub(popped));
                }
            }
            Effect::Compute | Effect::Other => {}
        }
    }

    /// Returns the operand at a position from the top (the top is 1) if it is a constant.
    fn operand(&self, from_top: u32) -> Option<Literal> {
        let height = self.stacks.height.checked_sub(from_top)?;
        self.literals.at(height)
    }

    /// Passes an address through a hidden local, and the value above it, if there is one.
    fn hide_address(&mut self, ty: u8, value: Option<u8>, offset: usize) {
        let address = self.nth_hidden_local(ty, 0);
        // A different local, even if it has the same type.
        let value = value.map(|value| self.nth_hidden_local(value, usize::from(value == ty)));
        self.insert(offset, |out| {
            if let Some(value) = value {
                indexed(out, op::LOCAL_SET, value);
            }
            indexed(out, op::LOCAL_SET, address);
            indexed(out, op::LOCAL_GET, address);
            if let Some(value) = value {
                indexed(out, op::LOCAL_GET, value);
            }
        });
    }

    /// Passes the top of the operand stack through a hidden local if it is a constant.
    pub(super) fn hide_condition(&mut self, offset: usize) {
        let Some(at) = self.stacks.height.checked_sub(1) else {
            return;
        };
        if let Some(top) = self.literals.at(at) {
            self.hide_top(top.val_type(), offset);
            self.literals.truncate(at);
        }
    }

    /// Passes the top of the operand stack through a hidden local.
    pub(super) fn hide_top(&mut self, ty: u8, offset: usize) {
        let local = self.hidden_local(ty);
        self.insert(offset, |out| {
            indexed(out, op::LOCAL_SET, local);
            indexed(out, op::LOCAL_GET, local);
        });
    }

    /// Returns the hidden local of a type. It is shared: each value is read right after it is written.
    pub(super) fn hidden_local(&mut self, ty: u8) -> u32 {
        self.nth_hidden_local(ty, 0)
    }

    /// Returns the `n`th hidden local of a type, from 0.
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
}
