//! Processes the operators of a body that the [fast path](super::fast_path) defers, and records the edits between them.

use super::{BodyRewriter, CARRIED_FREE, Context, Edit};
use crate::{
    error::Refused,
    rewrite::{
        binary::op,
        literals::Literal,
        load_estimate,
        operators::{self, Effect},
    },
};
use core::ops::Range;
use wasmparser::Operator;

impl BodyRewriter {
    /// Processes one operator.
    pub(super) fn operator(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        at: Range<usize>,
    ) -> Result<(), Refused> {
        #[cfg(feature = "simd")]
        self.step_vectors(context, operator, at.start)?;
        if let Some((since, nesting)) = self.dead
            && self.skip_dead(context, operator, since, nesting, &at)?
        {
            return Ok(());
        }
        if !self.control(context, operator, &at)? {
            self.compute(context, operator, &at);
        }
        if !self.flow.is_reachable() && self.dead.is_none() && self.flow.depth() > 0 {
            let polymorphic = self.stacks.innermost().is_none_or(|frame| frame.unreachable);
            if !polymorphic {
                // For validation the code is reachable until an operator ends that.
                self.insert(at.end, |out| out.push(op::UNREACHABLE));
            }
            self.dead = Some((at.end, 0));
        }
        Ok(())
    }

    /// Omits an operator in dead code that started at `since`, inside of `nesting` control frames that were opened there.
    /// Returns `false` if the operator ends the dead code instead.
    fn skip_dead(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        since: usize,
        nesting: u32,
        at: &Range<usize>,
    ) -> Result<bool, Refused> {
        let (popped, pushed) = self.arity(context, operator);
        let nesting = match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => nesting + 1,
            Operator::End if nesting > 0 => nesting - 1,
            Operator::End | Operator::Else if nesting == 0 => {
                self.needs_validation |= self.may_lack_results(popped);
                self.dead = None;
                let to = self.offset(at.start);
                self.edit(since, Edit::Skip { to });
                return Ok(false);
            }
            _ => nesting,
        };
        self.dead = Some((since, nesting));
        // The interpreter does not get the operator, so it cannot validate it.
        self.needs_validation |= !matches!(operator, Operator::Unreachable);
        if operators::carries(operator) {
            let edges = match operator {
                Operator::BrTable { targets } => 1 + u64::from(targets.len()),
                _ => 1,
            };
            self.bound_carried(context, popped.max(pushed), edges)?;
        }
        self.stacks.pop(popped);
        match operator {
            Operator::Block { blockty } | Operator::If { blockty } => self.stacks.open(*blockty, false),
            Operator::Loop { blockty } => self.stacks.open(*blockty, true),
            Operator::Else => self.stacks.reopen(),
            Operator::End => self.stacks.close(),
            Operator::Unreachable
            | Operator::Br { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. } => self.stacks.diverge(),
            _ => {}
        }
        self.push(pushed);
        Ok(true)
    }

    /// Processes an operator that is not a control operator.
    fn compute(&mut self, context: &Context<'_>, operator: &Operator<'_>, at: &Range<usize>) {
        self.needs_validation |= self.may_hide_an_error(context, operator);
        let (popped, pushed) = match operator {
            // The operand stays.
            Operator::LocalTee { .. } => (0, 0),
            _ => self.arity(context, operator),
        };
        let effect = operators::effect(operator);
        self.load += match effect {
            Effect::Access { .. } => load_estimate::ACCESS,
            _ if operators::is_bulk(operator) => load_estimate::BULK,
            _ => load_estimate::OPERATOR,
        };
        self.hide_constants(context, operator, effect, popped, at.start);
        match operator {
            Operator::TableGrow { table } => {
                self.load += load_estimate::control(operator);
                self.before_table_growth(context, *table, at.start);
            }
            Operator::MemoryGrow { .. } => {
                self.load += load_estimate::control(operator);
                self.before_memory_growth(context, at.start);
            }
            // wasmi 2.0.0 has no instruction for it, and panics if address and value are in one register.
            _ if self.top_is_local && operators::stores_far(operator, effect) => {
                if let Effect::Access { value: Some(ty), .. } = effect {
                    self.hide_top(ty, at.start);
                }
            }
            // wasmi 2.0.0 fuses the two, and then reads the condition from the wrong cell. A dropped constant between them
            // is free and prevents that.
            Operator::Select | Operator::TypedSelect { .. } if self.compared => {
                self.insert(at.start, |out| out.extend([op::I32_CONST, 0, op::DROP]));
            }
            _ => {}
        }
        self.compared =
            operators::compares(operator) || self.compared && operators::may_emit_nothing(operator);
        self.top_is_local = match operator {
            Operator::LocalGet { .. } | Operator::LocalTee { .. } => true,
            Operator::I64ExtendI32U => self.top_is_local,
            // The operand below is on top now.
            _ => pushed == 0,
        };
        let low = self.stacks.height.saturating_sub(popped);
        // A `select` between equal constants is a constant.
        let selected = operators::selects(operator) && self.literals.all_in(low, low + 2);
        let constant = match operator {
            _ if selected => self.literals.at(low).map(Literal::val_type),
            Operator::GlobalGet { global_index } => {
                let global = context.spaces.globals.get(*global_index as usize);
                global.and_then(|global| global.constant)
            }
            _ => None,
        };
        self.pop(popped);
        self.push(pushed);
        if !matches!(operator, Operator::Drop) {
            self.flow.add_cost(1);
        }
        if let Some(literal) = operators::literal(operator) {
            self.literals.push(low, literal);
        }
        if let Some(ty) = constant {
            self.hide_top(ty, at.end);
        }
    }

    /// Pops operands.
    pub(super) fn pop(&mut self, operands: u32) {
        self.stacks.pop(operands);
        self.literals.truncate(self.stacks.height);
    }

    /// Pushes operands.
    pub(super) fn push(&mut self, operands: u32) {
        self.stacks.push(operands);
        if self.stacks.is_reachable() {
            let bytes = u64::from(self.stacks.height) * 8;
            #[cfg(feature = "simd")]
            let bytes = bytes + self.vector_bytes;
            self.max_operand_bytes = self.max_operand_bytes.max(bytes);
        }
    }

    /// Checks the number of values that blocks, branches and calls carry: a few bytes carry a thousand, and the interpreter
    /// needs an instruction, or a cell, for each.
    pub(super) fn bound_carried(
        &mut self,
        context: &Context<'_>,
        values: u32,
        edges: u64,
    ) -> Result<(), Refused> {
        self.load += load_estimate::CARRIED * u64::from(values) * edges;
        let beyond = u64::from(values).saturating_sub(CARRIED_FREE);
        if beyond == 0 {
            return Ok(());
        }
        self.count_carried(context, beyond * edges)
    }

    /// Counts carried values.
    pub(super) fn count_carried(&mut self, context: &Context<'_>, values: u64) -> Result<(), Refused> {
        self.carried += values;
        context.check_carried(self.carried)
    }
}
