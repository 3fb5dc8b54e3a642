//! Numbers: constants, tests, comparisons, arithmetic, conversions.

use wasmparser::Operator;

use crate::error::Trap;
use crate::float::{F32Bits, F64Bits, Float, truncate};
use crate::operands::Operands;
use crate::value::Value;

/// Executes a numeric operator. Returns `false` for any other operator.
pub(crate) fn execute(operator: &Operator<'_>, operands: &mut Operands) -> Result<bool, Trap> {
    // One operand of the type, a result of any type.
    macro_rules! unary {
        (|$a:ident: $ty:ty| $body:expr) => {{
            let $a: $ty = operands.take();
            operands.give($body);
        }};
    }
    // Two operands of the type; the second is on top.
    macro_rules! binary {
        (|$a:ident, $b:ident: $ty:ty| $body:expr) => {{
            let $b: $ty = operands.take();
            let $a: $ty = operands.take();
            operands.give($body);
        }};
    }
    // A float to an integer, or a trap unless `$below` < x < `$above`.
    macro_rules! truncation {
        ($float:ty, $int:ty, $below:expr, $above:expr) => {{
            let x: $float = operands.take();
            operands.give(truncate(f64::from(x), $below, $above)? as $int);
        }};
    }
    match operator {
        Operator::I32Const { value } => operands.give(*value),
        Operator::I64Const { value } => operands.give(*value),
        Operator::F32Const { value } => operands.push(Value::F32(value.bits())),
        Operator::F64Const { value } => operands.push(Value::F64(value.bits())),

        Operator::I32Eqz => unary!(|a: i32| a == 0),
        Operator::I32Eq => binary!(|a, b: i32| a == b),
        Operator::I32Ne => binary!(|a, b: i32| a != b),
        Operator::I32LtS => binary!(|a, b: i32| a < b),
        Operator::I32LtU => binary!(|a, b: u32| a < b),
        Operator::I32GtS => binary!(|a, b: i32| a > b),
        Operator::I32GtU => binary!(|a, b: u32| a > b),
        Operator::I32LeS => binary!(|a, b: i32| a <= b),
        Operator::I32LeU => binary!(|a, b: u32| a <= b),
        Operator::I32GeS => binary!(|a, b: i32| a >= b),
        Operator::I32GeU => binary!(|a, b: u32| a >= b),
        Operator::I64Eqz => unary!(|a: i64| a == 0),
        Operator::I64Eq => binary!(|a, b: i64| a == b),
        Operator::I64Ne => binary!(|a, b: i64| a != b),
        Operator::I64LtS => binary!(|a, b: i64| a < b),
        Operator::I64LtU => binary!(|a, b: u64| a < b),
        Operator::I64GtS => binary!(|a, b: i64| a > b),
        Operator::I64GtU => binary!(|a, b: u64| a > b),
        Operator::I64LeS => binary!(|a, b: i64| a <= b),
        Operator::I64LeU => binary!(|a, b: u64| a <= b),
        Operator::I64GeS => binary!(|a, b: i64| a >= b),
        Operator::I64GeU => binary!(|a, b: u64| a >= b),
        Operator::F32Eq => binary!(|a, b: f32| a == b),
        Operator::F32Ne => binary!(|a, b: f32| a != b),
        Operator::F32Lt => binary!(|a, b: f32| a < b),
        Operator::F32Gt => binary!(|a, b: f32| a > b),
        Operator::F32Le => binary!(|a, b: f32| a <= b),
        Operator::F32Ge => binary!(|a, b: f32| a >= b),
        Operator::F64Eq => binary!(|a, b: f64| a == b),
        Operator::F64Ne => binary!(|a, b: f64| a != b),
        Operator::F64Lt => binary!(|a, b: f64| a < b),
        Operator::F64Gt => binary!(|a, b: f64| a > b),
        Operator::F64Le => binary!(|a, b: f64| a <= b),
        Operator::F64Ge => binary!(|a, b: f64| a >= b),

        Operator::I32Clz => unary!(|a: i32| a.leading_zeros()),
        Operator::I32Ctz => unary!(|a: i32| a.trailing_zeros()),
        Operator::I32Popcnt => unary!(|a: i32| a.count_ones()),
        Operator::I32Add => binary!(|a, b: i32| a.wrapping_add(b)),
        Operator::I32Sub => binary!(|a, b: i32| a.wrapping_sub(b)),
        Operator::I32Mul => binary!(|a, b: i32| a.wrapping_mul(b)),
        Operator::I32DivS => {
            binary!(|a, b: i32| a.checked_div(nonzero(b)?).ok_or(Trap::IntegerOverflow)?)
        }
        Operator::I32DivU => binary!(|a, b: u32| a.checked_div(b).ok_or(Trap::IntegerDivideByZero)?),
        Operator::I32RemS => {
            binary!(|a, b: i32| a.wrapping_rem(nonzero(b)?))
        }
        Operator::I32RemU => binary!(|a, b: u32| a.checked_rem(b).ok_or(Trap::IntegerDivideByZero)?),
        Operator::I32And => binary!(|a, b: i32| a & b),
        Operator::I32Or => binary!(|a, b: i32| a | b),
        Operator::I32Xor => binary!(|a, b: i32| a ^ b),
        // Shift counts are modulo the width, as in Rust's wrapping shifts.
        Operator::I32Shl => binary!(|a, b: u32| a.wrapping_shl(b)),
        Operator::I32ShrS => binary!(|a, b: i32| a.wrapping_shr(b as u32)),
        Operator::I32ShrU => binary!(|a, b: u32| a.wrapping_shr(b)),
        Operator::I32Rotl => binary!(|a, b: u32| a.rotate_left(b % 32)),
        Operator::I32Rotr => binary!(|a, b: u32| a.rotate_right(b % 32)),
        Operator::I64Clz => unary!(|a: i64| u64::from(a.leading_zeros())),
        Operator::I64Ctz => unary!(|a: i64| u64::from(a.trailing_zeros())),
        Operator::I64Popcnt => unary!(|a: i64| u64::from(a.count_ones())),
        Operator::I64Add => binary!(|a, b: i64| a.wrapping_add(b)),
        Operator::I64Sub => binary!(|a, b: i64| a.wrapping_sub(b)),
        Operator::I64Mul => binary!(|a, b: i64| a.wrapping_mul(b)),
        Operator::I64DivS => {
            binary!(|a, b: i64| a.checked_div(nonzero(b)?).ok_or(Trap::IntegerOverflow)?)
        }
        Operator::I64DivU => binary!(|a, b: u64| a.checked_div(b).ok_or(Trap::IntegerDivideByZero)?),
        Operator::I64RemS => {
            binary!(|a, b: i64| a.wrapping_rem(nonzero(b)?))
        }
        Operator::I64RemU => binary!(|a, b: u64| a.checked_rem(b).ok_or(Trap::IntegerDivideByZero)?),
        Operator::I64And => binary!(|a, b: i64| a & b),
        Operator::I64Or => binary!(|a, b: i64| a | b),
        Operator::I64Xor => binary!(|a, b: i64| a ^ b),
        Operator::I64Shl => binary!(|a, b: u64| a.wrapping_shl(b as u32)),
        Operator::I64ShrS => binary!(|a, b: i64| a.wrapping_shr(b as u32)),
        Operator::I64ShrU => binary!(|a, b: u64| a.wrapping_shr(b as u32)),
        Operator::I64Rotl => binary!(|a, b: u64| a.rotate_left((b % 64) as u32)),
        Operator::I64Rotr => binary!(|a, b: u64| a.rotate_right((b % 64) as u32)),

        // Sign operators work on the bits, even of a NaN.
        Operator::F32Abs => unary!(|a: F32Bits| F32Bits(a.0 & !F32Bits::SIGN)),
        Operator::F64Abs => unary!(|a: F64Bits| F64Bits(a.0 & !F64Bits::SIGN)),
        Operator::F32Neg => unary!(|a: F32Bits| F32Bits(a.0 ^ F32Bits::SIGN)),
        Operator::F64Neg => unary!(|a: F64Bits| F64Bits(a.0 ^ F64Bits::SIGN)),
        Operator::F32Copysign => {
            binary!(|a, b: F32Bits| F32Bits((a.0 & !F32Bits::SIGN) | (b.0 & F32Bits::SIGN)))
        }
        Operator::F64Copysign => {
            binary!(|a, b: F64Bits| F64Bits((a.0 & !F64Bits::SIGN) | (b.0 & F64Bits::SIGN)))
        }
        Operator::F32Ceil => unary!(|a: f32| a.ceil().quiet()),
        Operator::F32Floor => unary!(|a: f32| a.floor().quiet()),
        Operator::F32Trunc => unary!(|a: f32| a.trunc().quiet()),
        Operator::F32Nearest => unary!(|a: f32| a.round_ties_even().quiet()),
        Operator::F32Sqrt => unary!(|a: f32| a.sqrt().quiet()),
        Operator::F32Add => binary!(|a, b: f32| (a + b).quiet()),
        Operator::F32Sub => binary!(|a, b: f32| (a - b).quiet()),
        Operator::F32Mul => binary!(|a, b: f32| (a * b).quiet()),
        Operator::F32Div => binary!(|a, b: f32| (a / b).quiet()),
        Operator::F32Min => binary!(|a, b: f32| a.wasm_min(b)),
        Operator::F32Max => binary!(|a, b: f32| a.wasm_max(b)),
        Operator::F64Ceil => unary!(|a: f64| a.ceil().quiet()),
        Operator::F64Floor => unary!(|a: f64| a.floor().quiet()),
        Operator::F64Trunc => unary!(|a: f64| a.trunc().quiet()),
        Operator::F64Nearest => unary!(|a: f64| a.round_ties_even().quiet()),
        Operator::F64Sqrt => unary!(|a: f64| a.sqrt().quiet()),
        Operator::F64Add => binary!(|a, b: f64| (a + b).quiet()),
        Operator::F64Sub => binary!(|a, b: f64| (a - b).quiet()),
        Operator::F64Mul => binary!(|a, b: f64| (a * b).quiet()),
        Operator::F64Div => binary!(|a, b: f64| (a / b).quiet()),
        Operator::F64Min => binary!(|a, b: f64| a.wasm_min(b)),
        Operator::F64Max => binary!(|a, b: f64| a.wasm_max(b)),

        Operator::I32WrapI64 => unary!(|a: i64| a as i32),
        Operator::I64ExtendI32S => unary!(|a: i32| i64::from(a)),
        Operator::I64ExtendI32U => unary!(|a: u32| u64::from(a)),
        Operator::I32Extend8S => unary!(|a: i32| i32::from(a as i8)),
        Operator::I32Extend16S => unary!(|a: i32| i32::from(a as i16)),
        Operator::I64Extend8S => unary!(|a: i64| i64::from(a as i8)),
        Operator::I64Extend16S => unary!(|a: i64| i64::from(a as i16)),
        Operator::I64Extend32S => unary!(|a: i64| i64::from(a as i32)),
        // The bounds are the nearest floats that do not fit; every float strictly between them fits once truncated.
        // -2^31 - 1 is not an f32; the next f32 below -2^31 is -2147483904.
        Operator::I32TruncF32S => truncation!(f32, i32, -2147483904.0, 2147483648.0),
        Operator::I32TruncF32U => truncation!(f32, u32, -1.0, 4294967296.0),
        Operator::I32TruncF64S => truncation!(f64, i32, -2147483649.0, 2147483648.0),
        Operator::I32TruncF64U => truncation!(f64, u32, -1.0, 4294967296.0),
        Operator::I64TruncF32S => truncation!(f32, i64, -9223373136366403584.0, 9223372036854775808.0),
        Operator::I64TruncF32U => truncation!(f32, u64, -1.0, 18446744073709551616.0),
        Operator::I64TruncF64S => truncation!(f64, i64, -9223372036854777856.0, 9223372036854775808.0),
        Operator::I64TruncF64U => truncation!(f64, u64, -1.0, 18446744073709551616.0),
        // A cast in Rust saturates and converts NaN to 0, as these operators do.
        Operator::I32TruncSatF32S => unary!(|a: f32| a as i32),
        Operator::I32TruncSatF32U => unary!(|a: f32| a as u32),
        Operator::I32TruncSatF64S => unary!(|a: f64| a as i32),
        Operator::I32TruncSatF64U => unary!(|a: f64| a as u32),
        Operator::I64TruncSatF32S => unary!(|a: f32| a as i64),
        Operator::I64TruncSatF32U => unary!(|a: f32| a as u64),
        Operator::I64TruncSatF64S => unary!(|a: f64| a as i64),
        Operator::I64TruncSatF64U => unary!(|a: f64| a as u64),
        Operator::F32ConvertI32S => unary!(|a: i32| a as f32),
        Operator::F32ConvertI32U => unary!(|a: u32| a as f32),
        Operator::F32ConvertI64S => unary!(|a: i64| a as f32),
        Operator::F32ConvertI64U => unary!(|a: u64| a as f32),
        Operator::F64ConvertI32S => unary!(|a: i32| f64::from(a)),
        Operator::F64ConvertI32U => unary!(|a: u32| f64::from(a)),
        Operator::F64ConvertI64S => unary!(|a: i64| a as f64),
        Operator::F64ConvertI64U => unary!(|a: u64| a as f64),
        Operator::F32DemoteF64 => unary!(|a: f64| (a as f32).quiet()),
        Operator::F64PromoteF32 => unary!(|a: f32| f64::from(a).quiet()),
        Operator::I32ReinterpretF32 => unary!(|a: F32Bits| a.0),
        Operator::I64ReinterpretF64 => unary!(|a: F64Bits| a.0),
        Operator::F32ReinterpretI32 => unary!(|a: u32| F32Bits(a)),
        Operator::F64ReinterpretI64 => unary!(|a: u64| F64Bits(a)),
        _ => return Ok(false),
    }
    Ok(true)
}

fn nonzero<T: PartialEq + Default>(divisor: T) -> Result<T, Trap> {
    if divisor == T::default() {
        Err(Trap::IntegerDivideByZero)
    } else {
        Ok(divisor)
    }
}
