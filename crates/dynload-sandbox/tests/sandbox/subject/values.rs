//! Values of the oracle, as values of the sandbox.

use dynload_oracle as oracle;
use dynload_sandbox::Value;

pub(crate) fn to_sandbox(value: &oracle::Value) -> Value {
    match value {
        oracle::Value::I32(value) => Value::I32(*value),
        oracle::Value::I64(value) => Value::I64(*value),
        oracle::Value::F32(bits) => Value::F32(f32::from_bits(*bits)),
        oracle::Value::F64(bits) => Value::F64(f64::from_bits(*bits)),
        other => panic!("{other:?} does not cross the boundary"),
    }
}

/// The bits of a number, whatever its type.
pub(crate) fn bits(value: &Value) -> u64 {
    match value {
        Value::I32(value) => *value as u32 as u64,
        Value::I64(value) => *value as u64,
        Value::F32(value) => value.to_bits().into(),
        Value::F64(value) => value.to_bits(),
        other => panic!("{other:?}"),
    }
}
