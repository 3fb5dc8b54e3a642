//! What Wasm wants of floats and Rust does another way.

use crate::error::Trap;
use crate::value::{Operand, Value};

/// A 32-bit float that is only looked at as bits.
pub(crate) struct F32Bits(pub(crate) u32);

impl F32Bits {
    pub(crate) const SIGN: u32 = 1 << 31;
}

/// A 64-bit float that is only looked at as bits.
pub(crate) struct F64Bits(pub(crate) u64);

impl F64Bits {
    pub(crate) const SIGN: u64 = 1 << 63;
}

impl Operand for F32Bits {
    fn from_value(value: Value) -> Self {
        match value {
            Value::F32(bits) => Self(bits),
            other => panic!("validated code found {other:?} where it needs an f32"),
        }
    }

    fn into_value(self) -> Value {
        Value::F32(self.0)
    }
}

impl Operand for F64Bits {
    fn from_value(value: Value) -> Self {
        match value {
            Value::F64(bits) => Self(bits),
            other => panic!("validated code found {other:?} where it needs an f64"),
        }
    }

    fn into_value(self) -> Value {
        Value::F64(self.0)
    }
}

pub(crate) trait Float: Sized {
    /// An arithmetic result: a NaN must have its quiet bit set (core specification, "NaN propagation").
    fn quiet(self) -> Self;
    /// NaN if one of them is; -0 is smaller than +0.
    fn wasm_min(self, other: Self) -> Self;
    /// NaN if one of them is; +0 is larger than -0.
    fn wasm_max(self, other: Self) -> Self;
}

macro_rules! float {
    ($float:ty, $quiet_bit:expr) => {
        impl Float for $float {
            fn quiet(self) -> Self {
                if self.is_nan() {
                    Self::from_bits(self.to_bits() | $quiet_bit)
                } else {
                    self
                }
            }

            fn wasm_min(self, other: Self) -> Self {
                if self.is_nan() || other.is_nan() {
                    (self + other).quiet()
                } else if self == other {
                    // Only zeros are equal and have different bits.
                    Self::from_bits(self.to_bits() | other.to_bits())
                } else if self < other {
                    self
                } else {
                    other
                }
            }

            fn wasm_max(self, other: Self) -> Self {
                if self.is_nan() || other.is_nan() {
                    (self + other).quiet()
                } else if self == other {
                    Self::from_bits(self.to_bits() & other.to_bits())
                } else if self > other {
                    self
                } else {
                    other
                }
            }
        }
    };
}

float!(f32, 1 << 22);
float!(f64, 1 << 51);

/// Cuts off the fraction of a float that is strictly between the two bounds. Every f32 is an f64 too, so one function
/// does for both.
pub(crate) fn truncate(x: f64, below: f64, above: f64) -> Result<f64, Trap> {
    if x.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if x <= below || x >= above {
        Err(Trap::IntegerOverflow)
    } else {
        Ok(x.trunc())
    }
}
