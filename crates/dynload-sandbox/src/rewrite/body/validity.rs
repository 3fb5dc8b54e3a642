//! Detects where rewriting could make an invalid body valid.
//!
//! The interpreter validates the rewritten body, and copied code stays as valid as it was. But dead code is omitted, and hidden
//! items have indices that would be out of range without them. A body where that could matter is validated here as well.

use super::{BodyRewriter, Context};
use wasmparser::Operator;

impl BodyRewriter {
    /// Returns whether the interpreter may accept the operator although it is invalid. For control operators
    /// [`control`](super::control) checks it.
    pub(super) fn may_hide_an_error(&self, context: &Context<'_>, operator: &Operator<'_>) -> bool {
        use Operator as O;
        let spaces = context.spaces;
        let no_table = |index: u32| index as usize >= spaces.tables.len();
        match *operator {
            // An index out of the guest's range refers to a hidden item.
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
            // The start function and large functions become exports, and `ref.func` accepts exported functions.
            O::RefFunc { function_index } => {
                context.start == Some(function_index) || context.large.binary_search(&function_index).is_ok()
            }
            _ => false,
        }
    }

    /// Returns whether the end of dead code, which pops `results` operands, may be invalid. An `unreachable` has been inserted
    /// before it.
    pub(super) fn may_lack_results(&self, results: u32) -> bool {
        let frame = self.stacks.innermost();
        frame.is_some_and(|frame| !frame.unreachable && (results > 0 || self.stacks.height != frame.height))
    }
}
