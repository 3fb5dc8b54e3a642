//! Where rewriting could make valid what is not.
//!
//! The interpreter validates what it gets, so the rewriter need not: what it copies stays as valid as it was. But it leaves
//! code out that nobody gets to, and adds things with indices of their own. A body in which that could matter is
//! validated before it is taken.

use super::{BodyRewriter, Context};
use wasmparser::Operator;

impl BodyRewriter {
    /// Whether the interpreter may take the operator for valid though it is not. For those that lead somewhere
    /// [`control`](super::control) says it.
    pub(super) fn may_hide_an_error(&self, context: &Context<'_>, operator: &Operator<'_>) -> bool {
        use Operator as O;
        let spaces = context.spaces;
        let no_table = |index: u32| index as usize >= spaces.tables.len();
        match *operator {
            // The hidden ones come behind the guest's own.
            O::LocalGet { local_index } | O::LocalSet { local_index } | O::LocalTee { local_index } => {
                local_index >= self.locals
            }
            O::GlobalGet { global_index } | O::GlobalSet { global_index } => {
                global_index as usize >= spaces.globals.len()
            }
            O::TableGet { table }
            | O::TableSet { table }
            | O::TableSize { table }
            | O::TableGrow { table }
            | O::TableFill { table }
            | O::TableInit { table, .. } => no_table(table),
            O::TableCopy { dst_table, src_table } => no_table(dst_table) || no_table(src_table),
            // The start function becomes an export, which declares it for references.
            O::RefFunc { function_index } => context.start == Some(function_index),
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
