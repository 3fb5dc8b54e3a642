//! The few vector operators that are needed to move vectors around; all others are unsupported.

use wasmparser::Operator;

use crate::error::Trap;
use crate::memory::{load, store_bytes};
use crate::operands::Operands;
use crate::store::Store;

/// Executes a supported vector operator. Returns `false` for any other operator.
pub(crate) fn execute(
    operator: &Operator<'_>,
    operands: &mut Operands,
    store: &mut Store<'_>,
    instance: usize,
) -> Result<bool, Trap> {
    match operator {
        Operator::V128Const { value } => operands.give(u128::from_le_bytes(*value.bytes())),
        Operator::V128Load { memarg } => {
            let bytes = load(operands, store, instance, memarg)?;
            operands.give(u128::from_le_bytes(bytes));
        }
        Operator::V128Store { memarg } => {
            let value: u128 = operands.take();
            store_bytes(operands, store, instance, memarg, value.to_le_bytes())?;
        }
        Operator::V128Not => {
            let value: u128 = operands.take();
            operands.give(!value);
        }
        Operator::V128And | Operator::V128AndNot | Operator::V128Or | Operator::V128Xor => {
            let (second, first): (u128, u128) = (operands.take(), operands.take());
            operands.give(match operator {
                Operator::V128And => first & second,
                Operator::V128AndNot => first & !second,
                Operator::V128Or => first | second,
                _ => first ^ second,
            });
        }
        Operator::V128Bitselect => {
            let (mask, second, first): (u128, u128, u128) =
                (operands.take(), operands.take(), operands.take());
            operands.give((first & mask) | (second & !mask));
        }
        Operator::V128AnyTrue => {
            let value: u128 = operands.take();
            operands.give(value != 0);
        }
        _ => return Ok(false),
    }
    Ok(true)
}
