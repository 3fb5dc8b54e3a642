//! Control operators: their effects on the stacks and on the control-flow graph, and the edits around them.

use super::{BodyRewriter, Context, Edit, OpenFrame, arity::carried};
use crate::{
    error::Refused,
    rewrite::{binary::op, cfg::Edge, flow::FrameKind, load_estimate},
};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{BlockType, BrTable, FuncType, Operator};

impl BodyRewriter {
    /// Processes the operator if it is a control operator. Returns whether it is.
    pub(super) fn control(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        at: &Range<usize>,
    ) -> Result<bool, Refused> {
        match operator {
            Operator::Block { blockty } => self.enter_block(context, *blockty, at)?,
            Operator::Loop { blockty } => self.enter_loop(context, *blockty, at)?,
            Operator::If { blockty } => self.enter_if(context, *blockty, at)?,
            Operator::Else => self.enter_else(context, at)?,
            Operator::End => self.end(context, at)?,
            Operator::Br { relative_depth } => self.branch(context, *relative_depth)?,
            Operator::BrIf { relative_depth } => self.branch_if(context, *relative_depth, at)?,
            Operator::BrTable { targets } => self.branch_table(context, targets, at)?,
            Operator::Return => {
                let frame = self.stacks.outermost();
                let results = frame.map_or(0, |frame| carried(context, frame).len() as u32);
                self.bound_carried(context, results, 1)?;
                self.stacks.diverge();
                self.flow.branch_to_caller();
            }
            Operator::Call { function_index } => {
                let ty = context.spaces.function(*function_index);
                self.call(context, ty, 0, at)?;
            }
            Operator::CallIndirect {
                type_index,
                table_index,
            } => {
                let ty = self.indirectly(context, *type_index, *table_index);
                self.call(context, ty, 1, at)?;
            }
            Operator::ReturnCall { function_index } => {
                let ty = context.spaces.function(*function_index);
                self.tail_call(context, ty, at)?;
            }
            Operator::ReturnCallIndirect {
                type_index,
                table_index,
            } => {
                let ty = self.indirectly(context, *type_index, *table_index);
                self.tail_call(context, ty, at)?;
            }
            Operator::Unreachable => {
                self.stacks.diverge();
                self.flow.trap();
            }
            Operator::Nop => self.skip(at.clone()),
            _ => return Ok(false),
        }
        self.load += load_estimate::control(operator);
        context.load.check(self.load)?;
        if !matches!(operator, Operator::Nop) {
            self.compared = false;
            self.top_is_local = true;
        }
        Ok(true)
    }

    fn enter_block(
        &mut self,
        context: &Context<'_>,
        ty: BlockType,
        at: &Range<usize>,
    ) -> Result<(), Refused> {
        let below = self.open(context, ty, false, at)?;
        self.flow.enter_block();
        self.enter_frame(below, None);
        Ok(())
    }

    fn enter_loop(&mut self, context: &Context<'_>, ty: BlockType, at: &Range<usize>) -> Result<(), Refused> {
        let below = self.open(context, ty, true, at)?;
        let edit = self.edits.len();
        self.enter_frame(below, Some(edit));
        let takes_constant = !self.literals.from(below).is_empty();
        self.literals.truncate(below);
        if let Some(iteration) = self.flow.enter_loop() {
            let type_end = self.offset(at.end);
            let edit = Edit::Loop {
                iteration,
                branched_to: false,
                takes_constant,
                type_end,
            };
            self.edit(at.start, edit);
        }
        Ok(())
    }

    fn enter_if(&mut self, context: &Context<'_>, ty: BlockType, at: &Range<usize>) -> Result<(), Refused> {
        self.pop_condition(at);
        let below = self.open(context, ty, false, at)?;
        self.enter_frame(below, None);
        let literals = self.literals.from(below);
        if let Some(frame) = self.open_frames.last_mut() {
            frame.params = literals;
        }
        let arm = self.flow.enter_if();
        self.charge_at(at.end, arm);
        Ok(())
    }

    fn enter_else(&mut self, context: &Context<'_>, at: &Range<usize>) -> Result<(), Refused> {
        let ty = self.stacks.innermost().map(|frame| frame.ty);
        let (params, results) = ty
            .as_ref()
            .map_or((&[][..], &[][..]), |ty| context.spaces.block(ty));
        self.bound_carried(context, params.len().max(results.len()) as u32, 1)?;
        self.stacks.reopen();
        self.stacks.push(params.len() as u32);
        let arm = self.flow.enter_else();
        self.charge_at(at.end, arm);
        if let Some(frame) = self.open_frames.last() {
            self.literals.restore(frame.height, &frame.params);
        }
        Ok(())
    }

    fn end(&mut self, context: &Context<'_>, at: &Range<usize>) -> Result<(), Refused> {
        let frame = self.stacks.innermost();
        let results = frame.map_or(0, |frame| context.spaces.block(&frame.ty).1.len() as u32);
        self.bound_carried(context, results, 1)?;
        if results > 0
            && self
                .flow
                .innermost()
                .is_some_and(|frame| frame.kind == FrameKind::Then)
        {
            // If the `if` has results, the interpreter charges for a missing second arm as well.
            let arm = self.flow.enter_else();
            self.load += load_estimate::control(&Operator::Else);
            self.insert(at.start, |out| out.push(op::ELSE));
            self.charge_at(at.start, arm);
        }
        self.stacks.close();
        // The interpreter's translator relies on a control frame that code after the end of the function does not have.
        self.needs_validation |= self.stacks.innermost().is_none() && at.end != self.end;
        self.push(results);
        self.leave_frame(at.end);
        Ok(())
    }

    fn branch(&mut self, context: &Context<'_>, label: u32) -> Result<(), Refused> {
        let values = self.label_arity(context, label);
        self.bound_carried(context, values, 1)?;
        self.stacks.diverge();
        self.flow.add_cost(1);
        self.flow.branch(label);
        Ok(())
    }

    fn branch_if(&mut self, context: &Context<'_>, label: u32, at: &Range<usize>) -> Result<(), Refused> {
        let values = self.label_arity(context, label);
        self.bound_carried(context, values, 1)?;
        self.pop_condition(at);
        self.stacks.pop(values);
        self.stacks.push(values);
        self.flow.add_cost(1);
        if let Some((taken, fallthrough)) = self.flow.branch_if(label, values == 0) {
            let branch = Edit::BranchIf {
                taken,
                label,
                end: self.offset(at.end),
            };
            self.edit(at.start, branch);
            self.charge_at(at.end, Some(fallthrough));
        }
        Ok(())
    }

    fn branch_table(
        &mut self,
        context: &Context<'_>,
        targets: &BrTable<'_>,
        at: &Range<usize>,
    ) -> Result<(), Refused> {
        let values = self.label_arity(context, targets.default());
        self.bound_carried(context, values, 1 + u64::from(targets.len()))?;
        self.hide_condition(at.start);
        if values > 0 {
            // It is rewritten, so that the interpreter does not validate the original.
            self.needs_validation = true;
            self.rewrite_br_table(context, targets, at.clone())?;
        }
        self.stacks.diverge();
        self.flow.add_cost(1);
        let labels: Result<Vec<u32>, _> = targets.targets().collect();
        self.flow
            .branch_table(labels?.into_iter().chain([targets.default()]));
        Ok(())
    }

    /// Processes a call, which pops `more` operands beyond the parameters of the function.
    fn call(
        &mut self,
        context: &Context<'_>,
        ty: Option<&FuncType>,
        more: u32,
        at: &Range<usize>,
    ) -> Result<(), Refused> {
        let (params, results) = ty.map_or((0, 0), |ty| (ty.params().len() as u32, ty.results().len() as u32));
        self.bound_carried(context, params.max(results), 1)?;
        self.calls = true;
        self.edit(at.start, Edit::Call);
        self.pop(params.saturating_add(more));
        self.push(results);
        self.flow.add_cost(1);
        Ok(())
    }

    fn tail_call(
        &mut self,
        context: &Context<'_>,
        ty: Option<&FuncType>,
        at: &Range<usize>,
    ) -> Result<(), Refused> {
        self.bound_carried(context, ty.map_or(0, |ty| ty.params().len() as u32), 1)?;
        self.edit(at.start, Edit::TailCall);
        self.stacks.diverge();
        self.flow.add_cost(1);
        self.flow.branch_to_caller();
        Ok(())
    }

    /// Returns the type of a function that is called through a table.
    fn indirectly<'a>(&mut self, context: &Context<'a>, ty: u32, table: u32) -> Option<&'a FuncType> {
        // An index out of the guest's range refers to a hidden item.
        let ty = context.spaces.types.get(ty as usize);
        self.needs_validation |= ty.is_none() || table as usize >= context.spaces.tables.len();
        ty
    }

    /// Opens a control frame. Returns the height of the operand stack below its parameters.
    fn open(
        &mut self,
        context: &Context<'_>,
        ty: BlockType,
        is_loop: bool,
        at: &Range<usize>,
    ) -> Result<u32, Refused> {
        if let BlockType::FuncType(index) = ty {
            // An index out of the guest's range refers to a hidden item.
            self.needs_validation |= index as usize >= context.spaces.types.len();
        }
        let params = context.spaces.block(&ty).0.len() as u32;
        self.bound_carried(context, params, 1)?;
        if params > 0 {
            self.before_params(at.start);
        }
        self.stacks.pop(params);
        self.stacks.open(ty, is_loop);
        self.stacks.push(params);
        Ok(self.stacks.innermost().map_or(0, |frame| frame.height))
    }

    /// Pops the condition of a branch.
    fn pop_condition(&mut self, at: &Range<usize>) {
        self.hide_condition(at.start);
        self.pop(1);
    }

    /// Returns how many values a branch to the label carries.
    fn label_arity(&self, context: &Context<'_>, label: u32) -> u32 {
        let frame = self.stacks.label(label);
        frame.map_or(0, |frame| carried(context, frame).len() as u32)
    }

    /// Records a control frame whose parameters start at `height`.
    fn enter_frame(&mut self, height: u32, loop_edit: Option<usize>) {
        self.open_frames.push(OpenFrame {
            loop_edit,
            height,
            params: Vec::new(),
        });
    }

    /// Leaves a control frame that ends at an offset of the module.
    fn leave_frame(&mut self, end: usize) {
        let Some(open) = self.open_frames.pop() else {
            return;
        };
        let (kind, branched_to) = match self.flow.innermost() {
            Some(frame) => (frame.kind, frame.branched_to),
            None => return,
        };
        if let Some((
            _,
            Edit::Loop {
                branched_to: seen, ..
            },
        )) = open.loop_edit.and_then(|edit| self.edits.get_mut(edit))
        {
            *seen = branched_to;
        }
        let falls_through = self.flow.is_reachable();
        let after = self.flow.end();
        self.charge_at(end, after);
        // An operand that is merged from several edges is no longer a constant.
        let merges =
            matches!(kind, FrameKind::Then | FrameKind::Else) || (kind != FrameKind::Loop && branched_to);
        if merges || !falls_through {
            self.literals.truncate(open.height);
        }
    }

    /// Charges an edge at an offset of the module, if there is an edge.
    fn charge_at(&mut self, offset: usize, edge: Option<Edge>) {
        if let Some(edge) = edge {
            self.edit(offset, Edit::Charge(edge));
        }
    }
}
