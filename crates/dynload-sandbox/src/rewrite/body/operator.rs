//! Reads a body operator by operator and notes what has to stand between them.

use super::{BodyRewriter, CARRIED_FREE, Context, Edit, Nest};
use crate::{
    error::ModuleError,
    rewrite::{binary::op, flow::Kind, literals::Literal, operators, ways::Way},
};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{BlockType, Operator};

impl BodyRewriter {
    /// Reads one operator.
    pub(super) fn operator(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        at: Range<usize>,
    ) -> Result<(), ModuleError> {
        let arity @ (taken, given) = self.arity(context, operator);
        if context.max_carried.is_some() && operators::carries(operator) {
            self.bound_carried(context, operator, taken.max(given))?;
        }
        if let Some((since, nesting)) = self.dead {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    self.dead = Some((since, nesting + 1));
                }
                Operator::End if nesting > 0 => self.dead = Some((since, nesting - 1)),
                Operator::Else if nesting > 0 => {}
                Operator::End | Operator::Else => {
                    self.needs_validation |= self.may_lack_results(taken);
                    self.dead = None;
                    let to = self.offset(at.start);
                    self.edit(since, Edit::Skip { to });
                }
                _ => {}
            }
            if self.dead.is_some() {
                // It is left out, so the interpreter does not see whether it is valid.
                self.needs_validation |= !matches!(operator, Operator::Unreachable);
                return self.step(operator, arity, at.start);
            }
        }

        let low = self.stacks.height.saturating_sub(taken);
        let always_traps = !self.only_guides(operator) && self.look_at(context, operator, arity, at.clone());
        self.compared = operators::compares(operator);
        self.step(operator, arity, at.start)?;
        self.after(context, operator, low, at.clone())?;
        if always_traps {
            self.flow.stop();
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

    /// Whether all there is to the operator is where it leads: half of those that come here.
    fn only_guides(&self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::Block { blockty } | Operator::Loop { blockty } => {
                !matches!(blockty, BlockType::FuncType(_))
            }
            Operator::Br { .. } | Operator::Else => true,
            Operator::End => self
                .flow
                .innermost()
                .is_some_and(|frame| frame.kind != Kind::Then),
            Operator::BrIf { .. } => self.constant_on_top().is_none(),
            _ => false,
        }
    }

    fn constant_on_top(&self) -> Option<Literal> {
        let top = self.stacks.height.checked_sub(1)?;
        self.literals.at(top)
    }

    /// What has to be done before the operator, by its operands and by what it names. Says whether it always traps.
    fn look_at(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        arity: (u32, u32),
        at: Range<usize>,
    ) -> bool {
        self.needs_validation |= self.may_hide_an_error(context, operator);
        let effect = operators::effect(operator);
        if let Some(top) = self.constant_on_top() {
            self.keep_constants_out(effect, arity.0, top, at.start);
        }
        self.before(context, operator, arity, at);
        self.always_traps(operator, effect)
    }

    /// Bounds how many values blocks, branches and calls carry: a few bytes carry a thousand, and the interpreter needs
    /// an instruction, or a place, for each.
    fn bound_carried(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        values: u32,
    ) -> Result<(), ModuleError> {
        let ways = match operator {
            Operator::BrTable { targets } => 1 + u64::from(targets.len()),
            _ => 1,
        };
        self.carried += u64::from(values).saturating_sub(CARRIED_FREE) * ways;
        context.check_carried(self.carried)
    }

    /// What the operator does to the stacks, and how high the operand stack is behind it.
    fn step(
        &mut self,
        operator: &Operator<'_>,
        (taken, given): (u32, u32),
        offset: usize,
    ) -> Result<(), ModuleError> {
        #[cfg(feature = "simd")]
        let vectors = {
            let low = self.stacks.height.saturating_sub(taken);
            self.step_vectors(operator, low, offset)?
        };
        #[cfg(not(feature = "simd"))]
        let (vectors, _) = (0, offset);
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
        self.stacks.push(given);
        let bytes = u64::from(self.stacks.height) * 8 + vectors;
        if self.stacks.is_reachable() {
            self.max_operand_bytes = self.max_operand_bytes.max(bytes);
        }
        Ok(())
    }

    /// What has to stand before the operator.
    pub(super) fn before(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        arity: (u32, u32),
        at: Range<usize>,
    ) {
        match operator {
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.calls = true;
                self.edit(at.start, Edit::Call);
            }
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                self.edit(at.start, Edit::TailCall);
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } if arity.1 > 0 => {
                self.before_params(at.start);
            }
            Operator::BrTable { targets } if arity.0 > 1 => self.carry(context, targets, at),
            Operator::TableGrow { table } => self.before_table_growth(context, *table, at.start),
            Operator::MemoryGrow { .. } => self.before_memory_growth(context, at.start),
            Operator::Nop => {
                let to = self.offset(at.end);
                self.edit(at.start, Edit::Skip { to });
            }
            // wasmi 2.0.0 joins the two and then looks for the condition where it is not. A dropped constant between
            // them costs nothing and keeps them apart.
            Operator::Select | Operator::TypedSelect { .. } if self.compared => {
                self.insert(at.start, |out| out.extend([op::I32_CONST, 0, op::DROP]));
            }
            Operator::End
                if arity.1 > 0
                    && self
                        .flow
                        .innermost()
                        .is_some_and(|frame| frame.kind == Kind::Then) =>
            {
                // The interpreter charges for the second arm that is not written, where the `if` has results.
                let arm = self.flow.enter_else();
                self.insert(at.start, |out| out.push(op::ELSE));
                self.price_at(at.start, arm);
            }
            _ => {}
        }
    }

    /// What the operator does to the flow, and what has to stand behind it.
    pub(super) fn after(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        low: u32,
        at: Range<usize>,
    ) -> Result<(), ModuleError> {
        let now = self.stacks.height;
        let below = self.stacks.innermost().map_or(0, |frame| frame.height);
        match operator {
            Operator::Block { .. } => {
                self.flow.block();
                self.nest(context, below, None)?;
            }
            Operator::Loop { .. } => {
                let edit = self.edits.len();
                self.nest(context, below, Some(edit))?;
                self.literals.truncate(below);
                if let Some(turn) = self.flow.enter_loop() {
                    let type_end = self.offset(at.end);
                    let edit = Edit::Loop {
                        turn,
                        branched_to: false,
                        type_end,
                    };
                    self.edit(at.start, edit);
                }
            }
            Operator::If { .. } => {
                self.literals.truncate(now);
                self.nest(context, below, None)?;
                let literals = self.literals.from(below);
                if let Some(nest) = self.nests.last_mut() {
                    nest.params = literals;
                }
                let arm = self.flow.enter_if();
                self.price_at(at.end, arm);
            }
            Operator::Else => {
                let arm = self.flow.enter_else();
                self.price_at(at.end, arm);
                if let Some(nest) = self.nests.last() {
                    self.literals.restore(nest.height, &nest.params);
                }
            }
            Operator::End => self.leave(at.end),
            Operator::Br { relative_depth } => {
                self.flow.charge(1);
                self.flow.branch(*relative_depth);
            }
            Operator::BrIf { relative_depth } => {
                self.flow.charge(1);
                self.literals.truncate(now);
                if let Some((along, behind)) = self.flow.branch_if(*relative_depth, low == now) {
                    let branch = Edit::BranchIf {
                        along,
                        label: *relative_depth,
                        end: self.offset(at.end),
                    };
                    self.edit(at.start, branch);
                    self.price_at(at.end, Some(behind));
                }
            }
            Operator::BrTable { targets } => {
                self.flow.charge(1);
                let labels: Result<Vec<u32>, _> = targets.targets().collect();
                self.flow
                    .branch_table(labels?.into_iter().chain([targets.default()]));
            }
            Operator::Return => self.flow.leave_function(),
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                self.flow.charge(1);
                self.flow.leave_function();
            }
            Operator::Unreachable => self.flow.stop(),
            Operator::Nop => {}
            Operator::Drop => self.literals.truncate(now),
            Operator::LocalTee { .. } => self.flow.charge(1),
            _ => {
                self.flow.charge(1);
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
                self.literals.truncate(low);
                if let Some(literal) = operators::literal(operator) {
                    self.literals.push(low, literal);
                }
                if let Some(ty) = constant {
                    self.hide_top(ty, at.end);
                }
            }
        }
        Ok(())
    }

    /// Enters a control frame whose parameters begin at `height`.
    pub(super) fn nest(
        &mut self,
        context: &Context<'_>,
        height: u32,
        loop_edit: Option<usize>,
    ) -> Result<(), ModuleError> {
        self.nests.push(Nest {
            loop_edit,
            height,
            params: Vec::new(),
        });
        let nesting = self.nests.len() as u64 - 1;
        if nesting > context.max_nesting {
            let (what, limit) = ("blocks nested in one function", context.max_nesting);
            return Err(ModuleError::TooLarge {
                what,
                found: nesting,
                limit,
            });
        }
        Ok(())
    }

    /// Leaves a control frame.
    pub(super) fn leave(&mut self, end: usize) {
        let Some(nest) = self.nests.pop() else { return };
        let (kind, branched_to) = match self.flow.innermost() {
            Some(frame) => (frame.kind, frame.branched_to),
            None => return,
        };
        if let Some((
            _,
            Edit::Loop {
                branched_to: seen, ..
            },
        )) = nest.loop_edit.and_then(|edit| self.edits.get_mut(edit))
        {
            *seen = branched_to;
        }
        let falls_through = self.flow.is_reachable();
        let behind = self.flow.end();
        self.price_at(end, behind);
        // What several ways bring together is no constant any more.
        let merges = matches!(kind, Kind::Then | Kind::Else) || (kind != Kind::Loop && branched_to);
        if merges || !falls_through {
            self.literals.truncate(nest.height);
        }
    }

    /// Puts the price of a way there, if one begins.
    fn price_at(&mut self, offset: usize, way: Option<Way>) {
        if let Some(way) = way {
            self.edit(offset, Edit::Price(way));
        }
    }
}
