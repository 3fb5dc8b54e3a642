//! Reads a body operator by operator and notes what has to stand between them.

use super::{BodyRewriter, CARRIED_FREE, Context, Edit};
use crate::{
    error::ModuleError,
    rewrite::{
        binary::op,
        literals::Literal,
        load,
        operators::{self, Effect},
    },
};
use core::ops::Range;
use wasmparser::Operator;

impl BodyRewriter {
    /// Reads one operator.
    pub(super) fn operator(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        at: Range<usize>,
    ) -> Result<(), ModuleError> {
        #[cfg(feature = "simd")]
        self.step_vectors(context, operator, at.start)?;
        if let Some((since, nesting)) = self.dead
            && self.pass_over(context, operator, since, nesting, &at)?
        {
            return Ok(());
        }
        if !self.control(context, operator, &at)? {
            self.compute(context, operator, &at);
        }
        if !self.flow.is_reachable() && self.dead.is_none() && self.flow.depth() > 0 {
            let polymorphic = self.stacks.innermost().is_none_or(|frame| frame.unreachable);
            if !polymorphic {
                // The interpreter's validator does not know what nobody gets to: it has to be told.
                self.insert(at.end, |out| out.push(op::UNREACHABLE));
            }
            self.dead = Some((at.end, 0));
        }
        Ok(())
    }

    /// Leaves out an operator that nobody gets to, in code that began at `since` and in so many frames that were opened
    /// there. Says whether it is one: not if it ends that code.
    fn pass_over(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        since: usize,
        nesting: u32,
        at: &Range<usize>,
    ) -> Result<bool, ModuleError> {
        let (taken, given) = self.arity(context, operator);
        let nesting = match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => nesting + 1,
            Operator::End if nesting > 0 => nesting - 1,
            Operator::End | Operator::Else if nesting == 0 => {
                self.needs_validation |= self.may_lack_results(taken);
                self.dead = None;
                let to = self.offset(at.start);
                self.edit(since, Edit::Skip { to });
                return Ok(false);
            }
            _ => nesting,
        };
        self.dead = Some((since, nesting));
        // The interpreter does not see whether it is valid.
        self.needs_validation |= !matches!(operator, Operator::Unreachable);
        if operators::carries(operator) {
            let ways = match operator {
                Operator::BrTable { targets } => 1 + u64::from(targets.len()),
                _ => 1,
            };
            self.bound_carried(context, taken.max(given), ways)?;
        }
        self.stacks.pop(taken);
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
        self.give(given);
        Ok(true)
    }

    /// Reads an operator that only computes, or moves values.
    fn compute(&mut self, context: &Context<'_>, operator: &Operator<'_>, at: &Range<usize>) {
        self.needs_validation |= self.may_hide_an_error(context, operator);
        let (taken, given) = match operator {
            // It leaves what is there.
            Operator::LocalTee { .. } => (0, 0),
            _ => self.arity(context, operator),
        };
        let effect = operators::effect(operator);
        self.load += match effect {
            Effect::Access { .. } => load::ACCESS,
            _ if operators::is_bulk(operator) => load::BULK,
            _ => load::OPERATOR,
        };
        self.keep_constants_out(context, operator, effect, taken, at.start);
        match operator {
            Operator::TableGrow { table } => {
                self.load += load::control(operator);
                self.before_table_growth(context, *table, at.start);
            }
            Operator::MemoryGrow { .. } => {
                self.load += load::control(operator);
                self.before_memory_growth(context, at.start);
            }
            // wasmi 2.0.0 has no instruction for it and panics where address and value are one register.
            _ if self.top_is_local && operators::stores_far(operator, effect) => {
                if let Effect::Access { value: Some(ty), .. } = effect {
                    self.hide_top(ty, at.start);
                }
            }
            // wasmi 2.0.0 joins the two and then looks for the condition where it is not. A dropped constant between
            // them costs nothing and keeps them apart.
            Operator::Select | Operator::TypedSelect { .. } if self.compared => {
                self.insert(at.start, |out| out.extend([op::I32_CONST, 0, op::DROP]));
            }
            _ => {}
        }
        self.compared =
            operators::compares(operator) || self.compared && operators::may_write_nothing(operator);
        self.top_is_local = match operator {
            Operator::LocalGet { .. } | Operator::LocalTee { .. } => true,
            Operator::I64ExtendI32U => self.top_is_local,
            // What was below is on top now.
            _ => given == 0,
        };
        let low = self.stacks.height.saturating_sub(taken);
        // A `select` between equal constants is one.
        let selected = operators::selects(operator) && self.literals.all_in(low, low + 2);
        let constant = match operator {
            _ if selected => self.literals.at(low).map(Literal::val_type),
            Operator::GlobalGet { global_index } => {
                let global = context.spaces.globals.get(*global_index as usize);
                global.and_then(|global| global.constant)
            }
            _ => None,
        };
        self.take(taken);
        self.give(given);
        if !matches!(operator, Operator::Drop) {
            self.flow.charge(1);
        }
        if let Some(literal) = operators::literal(operator) {
            self.literals.push(low, literal);
        }
        if let Some(ty) = constant {
            self.hide_top(ty, at.end);
        }
    }

    /// Takes operands away.
    pub(super) fn take(&mut self, operands: u32) {
        self.stacks.pop(operands);
        self.literals.truncate(self.stacks.height);
    }

    /// Puts operands on top.
    pub(super) fn give(&mut self, operands: u32) {
        self.stacks.push(operands);
        if self.stacks.is_reachable() {
            let bytes = u64::from(self.stacks.height) * 8;
            #[cfg(feature = "simd")]
            let bytes = bytes + self.vector_bytes;
            self.max_operand_bytes = self.max_operand_bytes.max(bytes);
        }
    }

    /// Bounds how many values blocks, branches and calls carry: a few bytes carry a thousand, and the interpreter needs
    /// an instruction, or a place, for each.
    pub(super) fn bound_carried(
        &mut self,
        context: &Context<'_>,
        values: u32,
        ways: u64,
    ) -> Result<(), ModuleError> {
        self.load += load::CARRIED * u64::from(values) * ways;
        let beyond = u64::from(values).saturating_sub(CARRIED_FREE);
        if beyond == 0 {
            return Ok(());
        }
        self.count_carried(context, beyond * ways)
    }

    /// Counts values that are carried.
    pub(super) fn count_carried(&mut self, context: &Context<'_>, values: u64) -> Result<(), ModuleError> {
        self.carried += values;
        context.check_carried(self.carried)
    }
}
