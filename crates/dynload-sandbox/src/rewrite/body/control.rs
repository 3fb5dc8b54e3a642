//! Operators that lead somewhere: what each does to the stacks and to the flow, and what has to stand around it.

use super::{BodyRewriter, Context, Edit, Nest, arity::carried};
use crate::{
    error::ModuleError,
    rewrite::{binary::op, flow::Kind, load, ways::Way},
};
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{BlockType, BrTable, FuncType, Operator};

impl BodyRewriter {
    /// Reads the operator if it is one of these, and says whether it is.
    pub(super) fn control(
        &mut self,
        context: &Context<'_>,
        operator: &Operator<'_>,
        at: &Range<usize>,
    ) -> Result<bool, ModuleError> {
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
                self.flow.leave_function();
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
                self.flow.stop();
            }
            Operator::Nop => {
                // Behind the end of the function that would be an error less.
                self.needs_validation |= self.stacks.innermost().is_none();
                self.skip(at.clone());
            }
            _ => return Ok(false),
        }
        self.load += load::control(operator);
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
    ) -> Result<(), ModuleError> {
        let below = self.open(context, ty, false, at)?;
        self.flow.block();
        self.nest(context, below, None)
    }

    fn enter_loop(
        &mut self,
        context: &Context<'_>,
        ty: BlockType,
        at: &Range<usize>,
    ) -> Result<(), ModuleError> {
        let below = self.open(context, ty, true, at)?;
        let edit = self.edits.len();
        self.nest(context, below, Some(edit))?;
        let takes_constant = !self.literals.from(below).is_empty();
        self.literals.truncate(below);
        if let Some(turn) = self.flow.enter_loop() {
            let type_end = self.offset(at.end);
            let edit = Edit::Loop {
                turn,
                branched_to: false,
                takes_constant,
                type_end,
            };
            self.edit(at.start, edit);
        }
        Ok(())
    }

    fn enter_if(
        &mut self,
        context: &Context<'_>,
        ty: BlockType,
        at: &Range<usize>,
    ) -> Result<(), ModuleError> {
        self.take_condition(at);
        let below = self.open(context, ty, false, at)?;
        self.nest(context, below, None)?;
        let literals = self.literals.from(below);
        if let Some(nest) = self.nests.last_mut() {
            nest.params = literals;
        }
        let arm = self.flow.enter_if();
        self.price_at(at.end, arm);
        Ok(())
    }

    fn enter_else(&mut self, context: &Context<'_>, at: &Range<usize>) -> Result<(), ModuleError> {
        let ty = self.stacks.innermost().map(|frame| frame.ty);
        let (params, results) = ty
            .as_ref()
            .map_or((&[][..], &[][..]), |ty| context.spaces.block(ty));
        self.bound_carried(context, params.len().max(results.len()) as u32, 1)?;
        self.stacks.reopen();
        self.stacks.push(params.len() as u32);
        let arm = self.flow.enter_else();
        self.price_at(at.end, arm);
        if let Some(nest) = self.nests.last() {
            self.literals.restore(nest.height, &nest.params);
        }
        Ok(())
    }

    fn end(&mut self, context: &Context<'_>, at: &Range<usize>) -> Result<(), ModuleError> {
        let frame = self.stacks.innermost();
        let results = frame.map_or(0, |frame| context.spaces.block(&frame.ty).1.len() as u32);
        self.bound_carried(context, results, 1)?;
        if results > 0
            && self
                .flow
                .innermost()
                .is_some_and(|frame| frame.kind == Kind::Then)
        {
            // The interpreter charges for the second arm that is not written, where the `if` has results.
            let arm = self.flow.enter_else();
            self.load += load::control(&Operator::Else);
            self.insert(at.start, |out| out.push(op::ELSE));
            self.price_at(at.start, arm);
        }
        self.stacks.close();
        self.give(results);
        self.leave(at.end);
        Ok(())
    }

    fn branch(&mut self, context: &Context<'_>, label: u32) -> Result<(), ModuleError> {
        let values = self.values_for(context, label);
        self.bound_carried(context, values, 1)?;
        self.stacks.diverge();
        self.flow.charge(1);
        self.flow.branch(label);
        Ok(())
    }

    fn branch_if(&mut self, context: &Context<'_>, label: u32, at: &Range<usize>) -> Result<(), ModuleError> {
        let values = self.values_for(context, label);
        self.bound_carried(context, values, 1)?;
        self.take_condition(at);
        self.stacks.pop(values);
        self.stacks.push(values);
        self.flow.charge(1);
        if let Some((along, behind)) = self.flow.branch_if(label, values == 0) {
            let branch = Edit::BranchIf {
                along,
                label,
                end: self.offset(at.end),
            };
            self.edit(at.start, branch);
            self.price_at(at.end, Some(behind));
        }
        Ok(())
    }

    fn branch_table(
        &mut self,
        context: &Context<'_>,
        targets: &BrTable<'_>,
        at: &Range<usize>,
    ) -> Result<(), ModuleError> {
        let values = self.values_for(context, targets.default());
        self.bound_carried(context, values, 1 + u64::from(targets.len()))?;
        self.keep_condition_out(at.start);
        if values > 0 {
            // It is written in another way.
            self.needs_validation = true;
            self.carry(context, targets, at.clone())?;
        }
        self.stacks.diverge();
        self.flow.charge(1);
        let labels: Result<Vec<u32>, _> = targets.targets().collect();
        self.flow
            .branch_table(labels?.into_iter().chain([targets.default()]));
        Ok(())
    }

    /// A call that takes so many operands more than the function does.
    fn call(
        &mut self,
        context: &Context<'_>,
        ty: Option<&FuncType>,
        more: u32,
        at: &Range<usize>,
    ) -> Result<(), ModuleError> {
        let (params, results) = ty.map_or((0, 0), |ty| (ty.params().len() as u32, ty.results().len() as u32));
        self.bound_carried(context, params.max(results), 1)?;
        self.calls = true;
        self.edit(at.start, Edit::Call);
        self.take(params.saturating_add(more));
        self.give(results);
        self.flow.charge(1);
        Ok(())
    }

    fn tail_call(
        &mut self,
        context: &Context<'_>,
        ty: Option<&FuncType>,
        at: &Range<usize>,
    ) -> Result<(), ModuleError> {
        self.bound_carried(context, ty.map_or(0, |ty| ty.params().len() as u32), 1)?;
        self.edit(at.start, Edit::TailCall);
        self.stacks.diverge();
        self.flow.charge(1);
        self.flow.leave_function();
        Ok(())
    }

    /// The type of a function that is called through a table.
    fn indirectly<'a>(&mut self, context: &Context<'a>, ty: u32, table: u32) -> Option<&'a FuncType> {
        // The hidden ones come behind the guest's own.
        let ty = context.spaces.types.get(ty as usize);
        self.needs_validation |= ty.is_none() || table as usize >= context.spaces.tables.len();
        ty
    }

    /// Opens a control frame. Gives the height of the operand stack below its parameters.
    fn open(
        &mut self,
        context: &Context<'_>,
        ty: BlockType,
        is_loop: bool,
        at: &Range<usize>,
    ) -> Result<u32, ModuleError> {
        if let BlockType::FuncType(index) = ty {
            // The hidden ones come behind the guest's own.
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

    /// Takes the operand that decides where to go on.
    fn take_condition(&mut self, at: &Range<usize>) {
        self.keep_condition_out(at.start);
        self.take(1);
    }

    /// How many values a branch to the label takes along.
    fn values_for(&self, context: &Context<'_>, label: u32) -> u32 {
        let frame = self.stacks.label(label);
        frame.map_or(0, |frame| carried(context, frame).len() as u32)
    }

    /// Enters a control frame whose parameters begin at `height`.
    fn nest(
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
    fn leave(&mut self, end: usize) {
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
