//! Where rewriting could make valid what is not.
//!
//! The interpreter validates what it gets, so the rewriter need not: what it copies stays as valid as it was. But it leaves
//! code out that nobody gets to, and adds things with indices of their own. A body in which that could matter is
//! validated before it is taken.

use super::{BodyRewriter, Context};
use wasmparser::{BlockType, Operator};

impl BodyRewriter {
    /// Whether the interpreter may take the operator for valid though it is not.
    pub(super) fn may_hide_an_error(&self, context: &Context<'_>, operator: &Operator<'_>) -> bool {
        use Operator as O;
        let spaces = context.spaces;
        let no_type = |index: u32| index as usize >= spaces.types.len();
        let no_table = |index: u32| index as usize >= spaces.tables.len();
        match *operator {
            // The hidden ones come behind the guest's own.
            O::LocalGet { local_index } | O::LocalSet { local_index } | O::LocalTee { local_index } => {
                local_index >= self.locals
            }
            O::GlobalGet { global_index } | O::GlobalSet { global_index } => {
                global_index as usize >= spaces.globals.len()
            }
            O::Block { blockty } | O::Loop { blockty } | O::If { blockty } => {
                matches!(blockty, BlockType::FuncType(index) if no_type(index))
            }
            O::CallIndirect {
                type_index,
                table_index,
            }
            | O::ReturnCallIndirect {
                type_index,
                table_index,
            } => no_type(type_index) || no_table(table_index),
            O::TableGet { table }
            | O::TableSet { table }
            | O::TableSize { table }
            | O::TableGrow { table }
            | O::TableFill { table }
            | O::TableInit { table, .. } => no_table(table),
            O::TableCopy { dst_table, src_table } => no_table(dst_table) || no_table(src_table),
            // The start function becomes an export, which declares it for references.
            O::RefFunc { function_index } => context.start == Some(function_index),
            // It is left out, and behind the end of the function that would be an error less.
            O::Nop => self.stacks.innermost().is_none(),
            // Those that take values along are written in another way.
            O::BrTable { ref targets } => self.carries_values(context, targets.default()),
            _ => false,
        }
    }

    /// Whether the end of code that nobody gets to, which takes `results` operands, may not be valid. An `unreachable`
    /// has been put before it.
    pub(super) fn may_lack_results(&self, results: u32) -> bool {
        let frame = self.stacks.innermost();
        frame.is_some_and(|frame| !frame.unreachable && (results > 0 || self.stacks.height != frame.height))
    }
}
