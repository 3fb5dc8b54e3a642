//! The properties of single operators that the rewriter depends on.

use super::{
    binary::{op, val_type},
    literals::Literal,
};
use wasmparser::{MemArg, Operator, RefType};

/// How an operator uses its operands, as far as constant folding is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The top of the stack is a condition or an index.
    Condition,
    /// It accesses memory at `offset` from an address. Above the address it may pop a value, whose type has this byte.
    Access {
        memory: u32,
        offset: u64,
        value: Option<u8>,
    },
    /// It computes a value from its operands, if it has any.
    Compute,
    /// None of these.
    Other,
}

/// Returns how `operator` uses its operands.
pub(crate) fn effect(operator: &Operator<'_>) -> Effect {
    use Operator as O;
    let access = |memarg: &MemArg, value| Effect::Access {
        memory: memarg.memory,
        offset: memarg.offset,
        value,
    };
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
        | O::I64Load32U { memarg } => access(memarg, None),
        O::I32Store { memarg } | O::I32Store8 { memarg } | O::I32Store16 { memarg } => {
            access(memarg, Some(op::I32))
        }
        O::I64Store { memarg }
        | O::I64Store8 { memarg }
        | O::I64Store16 { memarg }
        | O::I64Store32 { memarg } => access(memarg, Some(op::I64)),
        O::F32Store { memarg } => access(memarg, Some(op::F32)),
        O::F64Store { memarg } => access(memarg, Some(op::F64)),
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
        | O::V128Load64Zero { memarg } => access(memarg, None),
        #[cfg(feature = "simd")]
        O::V128Store { memarg }
        | O::V128Load8Lane { memarg, .. }
        | O::V128Load16Lane { memarg, .. }
        | O::V128Load32Lane { memarg, .. }
        | O::V128Load64Lane { memarg, .. }
        | O::V128Store8Lane { memarg, .. }
        | O::V128Store16Lane { memarg, .. }
        | O::V128Store32Lane { memarg, .. }
        | O::V128Store64Lane { memarg, .. } => access(memarg, Some(op::V128)),
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

/// Returns the constant that `operator` pushes, if it is a constant operator.
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

/// Returns whether the operator divides by the top of the stack.
pub(crate) fn divides(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32DivS | O::I32DivU | O::I32RemS | O::I32RemU | O::I64DivS | O::I64DivU | O::I64RemS | O::I64RemU
    )
}

/// Returns whether the operator works on many bytes or elements.
pub(crate) fn is_bulk(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::MemoryInit { .. }
            | O::MemoryCopy { .. }
            | O::MemoryFill { .. }
            | O::TableInit { .. }
            | O::TableCopy { .. }
            | O::TableFill { .. }
    )
}

/// Returns whether the operator is a `select`.
pub(crate) fn selects(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Select | Operator::TypedSelect { .. })
}

/// Returns whether the operator may compare something with zero, so that the interpreter fuses it with the next `select`.
pub(crate) fn compares(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::I32Eqz | O::I32Eq | O::I32Ne | O::I64Eqz | O::I64Eq | O::I64Ne | O::RefIsNull
    )
}

/// Returns whether the interpreter may emit nothing for the operator, so that the one before it can be fused with the one after
/// it.
pub(crate) fn may_emit_nothing(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Nop | O::LocalGet { .. } | O::LocalSet { .. } | O::LocalTee { .. } | O::I64ExtendI32U
    ) || selects(operator)
        || literal(operator).is_some()
}

/// Returns whether the operator stores an integer in a form for which the interpreter has no instruction with both operands in
/// registers.
pub(crate) fn stores_far(operator: &Operator<'_>, effect: Effect) -> bool {
    use Operator as O;
    let is_far = match effect {
        Effect::Access { memory, offset, .. } => memory != 0 || offset > u64::from(u16::MAX),
        _ => false,
    };
    is_far
        && matches!(
            operator,
            O::I32Store { .. }
                | O::I32Store8 { .. }
                | O::I32Store16 { .. }
                | O::I64Store { .. }
                | O::I64Store8 { .. }
                | O::I64Store16 { .. }
                | O::I64Store32 { .. }
        )
}

/// Returns whether the operator may carry any number of values.
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
