//! How many operands an operator pops and pushes.

use super::{BodyRewriter, Context, stacks::Frame};
use wasmparser::{
    BlockType, ContType, FrameKind, FuncType, ModuleArity, Operator, RefType, SubType, ValType,
};

impl BodyRewriter {
    /// Returns how many operands `operator` pops and pushes at the current position; 0 and 0 if an index is out of range.
    pub(super) fn arity(&self, context: &Context<'_>, operator: &Operator<'_>) -> (u32, u32) {
        use Operator as O;
        let spaces = context.spaces;
        let len = |types: &[ValType]| types.len() as u32;
        let function = |ty: Option<&FuncType>| ty.map_or((0, 0), |ty| (len(ty.params()), len(ty.results())));
        let label = |depth: u32| {
            let frame = self.stacks.label(depth);
            frame.map_or(0, |frame| len(carried(context, frame)))
        };
        match operator {
            O::Block { blockty } | O::Loop { blockty } => {
                let params = len(spaces.block(blockty).0);
                (params, params)
            }
            O::If { blockty } => {
                let params = len(spaces.block(blockty).0);
                (params.saturating_add(1), params)
            }
            O::Else | O::End => {
                let frame = self.stacks.innermost();
                let (params, results) = frame.map_or((&[][..], &[][..]), |frame| spaces.block(&frame.ty));
                let pushed = if let O::Else = operator { params } else { results };
                (len(results), len(pushed))
            }
            O::Br { relative_depth } => (label(*relative_depth), 0),
            O::BrIf { relative_depth } => {
                let values = label(*relative_depth);
                (values.saturating_add(1), values)
            }
            O::BrTable { targets } => (label(targets.default()).saturating_add(1), 0),
            O::Return => (
                self.stacks
                    .outermost()
                    .map_or(0, |frame| len(carried(context, frame))),
                0,
            ),
            O::Call { function_index } => function(spaces.function(*function_index)),
            O::ReturnCall { function_index } => (function(spaces.function(*function_index)).0, 0),
            O::CallIndirect { type_index, .. } => {
                let (params, results) = function(spaces.types.get(*type_index as usize));
                (params.saturating_add(1), results)
            }
            O::ReturnCallIndirect { type_index, .. } => {
                let (params, _) = function(spaces.types.get(*type_index as usize));
                (params.saturating_add(1), 0)
            }
            other => other.operator_arity(&Fixed).unwrap_or_default(),
        }
    }
}

/// Returns the types of the values that a branch to the frame carries.
pub(super) fn carried<'a>(context: &'a Context<'_>, frame: &'a Frame) -> &'a [ValType] {
    let (params, results) = context.spaces.block(&frame.ty);
    if frame.is_loop { params } else { results }
}

/// An empty module: the arity of all other operators does not depend on the module.
struct Fixed;

impl ModuleArity for Fixed {
    fn sub_type_at(&self, _: u32) -> Option<&SubType> {
        None
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, _: u32) -> Option<u32> {
        None
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
