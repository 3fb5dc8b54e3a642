//! What the rewriter has to know of single operators.

use super::{
    binary::{op, val_type},
    literals::Literal,
};
use wasmparser::{Operator, RefType};

/// How an operator uses its operands, as far as constants matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It decides something by the top of the stack.
    Condition,
    /// It accesses memory at `offset` from the operand that is the `address`th from the top.
    Memory { offset: u64, address: u32 },
    /// It computes with its operands, if it has any.
    Compute,
    /// None of these.
    Other,
}

/// How `operator` uses its operands.
pub(crate) fn effect(operator: &Operator<'_>) -> Effect {
    use Operator as O;
    match operator {
        O::BrIf { .. } | O::If { .. } | O::BrTable { .. } | O::Select | O::TypedSelect { .. } => {
            Effect::Condition
        }
        O::I32Load { memarg }
        | O::I64Load { memarg }
        | O::F32Load { memarg }
        | O::F64Load { memarg }
        | O::I32Load8S { memarg }
        | O::I32Load8U { memarg }
        | O::I32Load16S { memarg }
        | O::I32Load16U { memarg }
        | O::I64Load8S { memarg }
        | O::I64Load8U { memarg }
        | O::I64Load16S { memarg }
        | O::I64Load16U { memarg }
        | O::I64Load32S { memarg }
        | O::I64Load32U { memarg } => Effect::Memory {
            offset: memarg.offset,
            address: 1,
        },
        O::I32Store { memarg }
        | O::I64Store { memarg }
        | O::F32Store { memarg }
        | O::F64Store { memarg }
        | O::I32Store8 { memarg }
        | O::I32Store16 { memarg }
        | O::I64Store8 { memarg }
        | O::I64Store16 { memarg }
        | O::I64Store32 { memarg } => Effect::Memory {
            offset: memarg.offset,
            address: 2,
        },
        #[cfg(feature = "simd")]
        O::V128Load { memarg }
        | O::V128Load8x8S { memarg }
        | O::V128Load8x8U { memarg }
        | O::V128Load16x4S { memarg }
        | O::V128Load16x4U { memarg }
        | O::V128Load32x2S { memarg }
        | O::V128Load32x2U { memarg }
        | O::V128Load8Splat { memarg }
        | O::V128Load16Splat { memarg }
        | O::V128Load32Splat { memarg }
        | O::V128Load64Splat { memarg }
        | O::V128Load32Zero { memarg }
        | O::V128Load64Zero { memarg } => Effect::Memory {
            offset: memarg.offset,
            address: 1,
        },
        #[cfg(feature = "simd")]
        O::V128Store { memarg }
        | O::V128Load8Lane { memarg, .. }
        | O::V128Load16Lane { memarg, .. }
        | O::V128Load32Lane { memarg, .. }
        | O::V128Load64Lane { memarg, .. }
        | O::V128Store8Lane { memarg, .. }
        | O::V128Store16Lane { memarg, .. }
        | O::V128Store32Lane { memarg, .. }
        | O::V128Store64Lane { memarg, .. } => Effect::Memory {
            offset: memarg.offset,
            address: 2,
        },
        O::Unreachable
        | O::Nop
        | O::Block { .. }
        | O::Loop { .. }
        | O::Else
        | O::End
        | O::Br { .. }
        | O::Return
        | O::Call { .. }
        | O::CallIndirect { .. }
        | O::ReturnCall { .. }
        | O::ReturnCallIndirect { .. }
        | O::Drop
        | O::LocalGet { .. }
        | O::LocalSet { .. }
        | O::LocalTee { .. }
        | O::GlobalGet { .. }
        | O::GlobalSet { .. }
        | O::MemorySize { .. }
        | O::MemoryGrow { .. }
        | O::MemoryInit { .. }
        | O::MemoryCopy { .. }
        | O::MemoryFill { .. }
        | O::DataDrop { .. }
        | O::ElemDrop { .. }
        | O::TableGet { .. }
        | O::TableSet { .. }
        | O::TableSize { .. }
        | O::TableGrow { .. }
        | O::TableInit { .. }
        | O::TableCopy { .. }
        | O::TableFill { .. }
        | O::RefFunc { .. } => Effect::Other,
        _ => Effect::Compute,
    }
}

/// The constant that `operator` pushes, if it is one of those that do.
pub(crate) fn literal(operator: &Operator<'_>) -> Option<Literal> {
    Some(match operator {
        Operator::I32Const { value } => Literal::I32(*value),
        Operator::I64Const { value } => Literal::I64(*value),
        Operator::F32Const { .. } => Literal::Other(op::F32),
        Operator::F64Const { .. } => Literal::Other(op::F64),
        Operator::RefNull { hty } => Literal::Other(val_type(RefType::new(true, *hty)?.into())?),
        #[cfg(feature = "simd")]
        Operator::V128Const { .. } => Literal::Other(op::V128),
        _ => return None,
    })
}

/// Whether it divides by the top of the stack.
pub(crate) fn divides(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32DivS | O::I32DivU | O::I32RemS | O::I32RemU | O::I64DivS | O::I64DivU | O::I64RemS | O::I64RemU
    )
}

/// Whether it is a `select`.
pub(crate) fn selects(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Select | Operator::TypedSelect { .. })
}

/// Whether it may compare an i32 or a reference with zero.
pub(crate) fn compares(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::I32Eqz | Operator::I32Eq | Operator::I32Ne | Operator::RefIsNull
    )
}

/// Whether it may carry any number of values from one place to another.
pub(crate) fn carries(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Block { .. }
            | O::Loop { .. }
            | O::If { .. }
            | O::Else
            | O::End
            | O::Br { .. }
            | O::BrIf { .. }
            | O::BrTable { .. }
            | O::Return
            | O::Call { .. }
            | O::CallIndirect { .. }
            | O::ReturnCall { .. }
            | O::ReturnCallIndirect { .. }
    )
}
