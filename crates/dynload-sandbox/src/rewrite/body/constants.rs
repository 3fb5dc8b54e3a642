//! Keeps constants from where the interpreter would compute with them or branch on them. See
//! [`literals`](crate::rewrite::literals).

use super::{BodyRewriter, Context};
use crate::rewrite::{
    binary::{indexed, op},
    literals::Literal,
    operators::{self, Effect},
};
use wasmparser::Operator;

/// Bytes of the widest access.
const WIDEST: u64 = 16;

impl BodyRewriter {
    /// Sends constants through a local where the interpreter would compute with them, branch on them, or know that the
    /// operator traps: the operator takes so many operands.
    pub(super) fn keep_constants_out(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        effect: Effect,
        taken: u32,
        offset: usize,
    ) {
        let height = self.stacks.height;
        match effect {
            Effect::Condition => self.keep_condition_out(offset),
            Effect::Compute if self.literals.all_in(height.saturating_sub(taken), height) => {
                self.keep_condition_out(offset);
            }
            Effect::Compute
                if operators::divides(operator) && self.operand(1).is_some_and(Literal::is_zero) =>
            {
                self.keep_condition_out(offset);
            }
            Effect::Access {
                memory,
                offset: from,
                value,
            } => {
                let address = self.operand(taken).filter(|address| {
                    // An access to what is there from the start never traps.
                    let end = address
                        .address()
                        .and_then(|at| at.checked_add(from)?.checked_add(WIDEST));
                    end.is_none_or(|end| end > context.spaces.initial_bytes(memory))
                });
                if let Some(address) = address {
                    self.hide_address(address.val_type(), value, offset);
                    self.literals.truncate(height.saturating_sub(taken));
                }
            }
            Effect::Compute | Effect::Other => {}
        }
    }

    /// What is known of the operand that is so many from the top; the top is 1.
    fn operand(&self, from_top: u32) -> Option<Literal> {
        let height = self.stacks.height.checked_sub(from_top)?;
        self.literals.at(height)
    }

    /// Sends an address through a hidden local, and the value above it, if there is one.
    fn hide_address(&mut self, ty: u8, value: Option<u8>, offset: usize) {
        let address = self.nth_hidden_local(ty, 0);
        // Another one, even if it has the same type.
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
}
