//! Reads a body operator by operator and notes what has to stand between them.

use super::{BodyRewriter, CARRIED_FREE, Context, Edit, Nest};
#[cfg(feature = "simd")]
use crate::rewrite::literals::Literal;
use crate::{
    error::ModuleError,
    rewrite::{
        balance::SiteKind,
        binary::op,
        flow::Kind,
        operators::{self, Effect},
    },
};
use alloc::vec::Vec;
#[cfg(feature = "simd")]
use wasmparser::ValType;
use wasmparser::{FuncValidator, Operator, ValidatorResources};

impl BodyRewriter {
    /// Reads one operator.
    pub(super) fn operator(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        at: core::ops::Range<usize>,
        validator: &mut FuncValidator<ValidatorResources>,
    ) -> Result<(), ModuleError> {
        if context.max_carried.is_some() && operators::carries(operator) {
            self.bound_carried(context, operator, at.start, validator)?;
        }
        if let Some((since, nesting)) = self.dead {
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    self.dead = Some((since, nesting + 1));
                }
                Operator::End if nesting > 0 => self.dead = Some((since, nesting - 1)),
                Operator::Else if nesting > 0 => {}
                Operator::End | Operator::Else => {
                    self.dead = None;
                    self.edits.push((since, Edit::Skip { to: at.start }));
                }
                _ => {}
            }
            if self.dead.is_some() {
                return self.validate(operator, at.start, validator);
            }
        }

        let height = validator.operand_stack_height();
        let effect = operators::effect(operator);
        let literal_on_top = height > 0 && self.literals.at(height - 1).is_some();
        let asks_arity = match effect {
            Effect::Compute => literal_on_top,
            Effect::Other => !self.literals.is_empty() || matches!(operator, Operator::End),
            Effect::Condition => matches!(operator, Operator::BrTable { .. }),
            Effect::Memory { .. } => false,
        };
        // Not cheap, and rarely needed.
        let arity = if asks_arity {
            operator
                .operator_arity(&validator.visitor(at.start))
                .unwrap_or_default()
        } else {
            (0, 0)
        };
        let low = height.saturating_sub(arity.0);
        if literal_on_top {
            self.keep_constants_out(effect, low, height, at.start, validator);
        }
        self.before(context, operator, arity, at.clone(), validator);
        self.compared = operators::compares(operator);
        let always_traps = self.always_traps(operator, effect, height);
        self.validate(operator, at.start, validator)?;
        let now = validator.operand_stack_height();
        let low = match effect {
            // A store takes two operands and gives none; whatever else is here gives one result.
            Effect::Memory { .. } if now + 2 == height => now,
            Effect::Compute | Effect::Condition | Effect::Memory { .. } => now.saturating_sub(1),
            Effect::Other => low,
        };
        self.after(context, operator, low, at.clone(), validator)?;
        if always_traps {
            self.flow.stop();
        }
        if !self.flow.is_reachable() && self.dead.is_none() && self.flow.depth() > 0 {
            let polymorphic = validator
                .get_control_frame(0)
                .is_none_or(|frame| frame.unreachable);
            if !polymorphic {
                // The interpreter's validator does not know what nobody gets to: it has to be told.
                self.insert(at.end, |out| out.push(op::UNREACHABLE));
            }
            self.dead = Some((at.end, 0));
        }
        Ok(())
    }

    /// Bounds how many values blocks, branches and calls carry: a few bytes carry a thousand, and the interpreter needs
    /// an instruction, or a place, for each.
    fn bound_carried(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        offset: usize,
        validator: &mut FuncValidator<ValidatorResources>,
    ) -> Result<(), ModuleError> {
        let (taken, given) = operator
            .operator_arity(&validator.visitor(offset))
            .unwrap_or_default();
        let ways = match operator {
            Operator::BrTable { targets } => 1 + u64::from(targets.len()),
            _ => 1,
        };
        self.carried += u64::from(taken.max(given)).saturating_sub(CARRIED_FREE) * ways;
        context.check_carried(self.carried)
    }

    /// Validates an operator and measures the operand stack behind it.
    pub(super) fn validate(
        &mut self,
        operator: &Operator<'_>,
        offset: usize,
        validator: &mut FuncValidator<ValidatorResources>,
    ) -> Result<(), ModuleError> {
        #[cfg(feature = "simd")]
        let low = {
            let arity = operator
                .operator_arity(&validator.visitor(offset))
                .unwrap_or_default();
            validator.operand_stack_height().saturating_sub(arity.0)
        };
        validator.op(offset, operator)?;
        let height = validator.operand_stack_height();
        #[allow(unused_mut)]
        let mut bytes = u64::from(height) * 8;
        #[cfg(feature = "simd")]
        {
            let low = low.min(height);
            self.vectors.truncate(low);
            for at in low..height {
                let ty = validator.get_operand_type((height - 1 - at) as usize);
                if ty == Some(Some(ValType::V128)) {
                    self.vectors.push(at, Literal::Other);
                }
            }
            bytes += self.vectors.len() as u64 * 8;
        }
        let nesting = validator.control_stack_height();
        let left = |since: u32| nesting < since || (nesting == since && matches!(operator, Operator::Else));
        if self.unreachable_since.is_some_and(left) {
            self.unreachable_since = None;
        }
        if validator
            .get_control_frame(0)
            .is_some_and(|frame| frame.unreachable)
        {
            self.unreachable_since = self.unreachable_since.or(Some(nesting));
        }
        if self.unreachable_since.is_none() {
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
        at: core::ops::Range<usize>,
        validator: &FuncValidator<ValidatorResources>,
    ) {
        match operator {
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.calls = true;
                self.edits.push((at.start, Edit::Call));
            }
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                self.edits.push((at.start, Edit::TailCall));
            }
            Operator::BrTable { targets } if arity.0 > 1 => self.carry(targets, arity.0 - 1, at, validator),
            Operator::TableGrow { table } => self.before_growth(context, Some(*table), at.start, validator),
            Operator::MemoryGrow { .. } => self.before_growth(context, None, at.start, validator),
            Operator::Nop => self.edits.push((at.start, Edit::Skip { to: at.end })),
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
                let site = self.flow.enter_else();
                self.insert(at.start, |out| out.push(op::ELSE));
                self.edits.push((
                    at.start,
                    Edit::Price {
                        site,
                        kind: SiteKind::Always,
                    },
                ));
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
        at: core::ops::Range<usize>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> Result<(), ModuleError> {
        let now = validator.operand_stack_height();
        match operator {
            Operator::Block { .. } => {
                self.flow.block();
                self.nest(context, frame_height(validator), None)?;
            }
            Operator::Loop { .. } => {
                let edit = self.edits.len();
                self.nest(context, frame_height(validator), Some(edit))?;
                self.literals.truncate(frame_height(validator));
                if let Some(header) = self.flow.enter_loop() {
                    let edit = Edit::Loop {
                        header,
                        branched_to: false,
                        type_end: at.end,
                    };
                    self.edits.push((at.start, edit));
                }
            }
            Operator::If { .. } => {
                let below = frame_height(validator);
                self.literals.truncate(now);
                self.nest(context, below, None)?;
                let literals = self.literals.from(below);
                if let Some(nest) = self.nests.last_mut() {
                    nest.params = literals;
                }
                if let Some(site) = self.flow.enter_if() {
                    self.edits.push((
                        at.end,
                        Edit::Price {
                            site,
                            kind: SiteKind::Always,
                        },
                    ));
                }
            }
            Operator::Else => {
                let site = self.flow.enter_else();
                self.edits.push((
                    at.end,
                    Edit::Price {
                        site,
                        kind: SiteKind::Always,
                    },
                ));
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
                if let Some(site) = self.flow.branch_if(*relative_depth) {
                    self.edits.push((
                        at.end,
                        Edit::Price {
                            site,
                            kind: SiteKind::OnDemand,
                        },
                    ));
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
                let selects_constant = operators::selects(operator) && self.literals.all_in(low, low + 2);
                self.literals.truncate(low);
                if let Some(literal) = operators::literal(operator) {
                    self.literals.push(now - 1, literal);
                }
                let constant = match operator {
                    Operator::GlobalGet { global_index } => context
                        .constant_globals
                        .get(*global_index as usize)
                        .copied()
                        .unwrap_or_default(),
                    _ => false,
                };
                if constant || selects_constant {
                    self.hide_top(at.end, validator);
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
        if let Some(site) = self.flow.end() {
            self.edits.push((
                end,
                Edit::Price {
                    site,
                    kind: SiteKind::OnDemand,
                },
            ));
        }
        // What several ways bring together is no constant any more.
        let merges = matches!(kind, Kind::Then | Kind::Else) || (kind != Kind::Loop && branched_to);
        if merges || !falls_through {
            self.literals.truncate(nest.height);
        }
    }
}

/// The height of the operand stack below the innermost frame's parameters.
fn frame_height(validator: &FuncValidator<ValidatorResources>) -> u32 {
    validator
        .get_control_frame(0)
        .map_or(0, |frame| frame.height as u32)
}
