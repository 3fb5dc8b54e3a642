//! Float operations for which Wasm requires other results than Rust produces.

use crate::error::Trap;
use crate::value::{Operand, Value};

/// A 32-bit float that is treated only as bits.
pub(crate) struct F32Bits(pub(crate) u32);

impl F32Bits {
    pub(crate) const SIGN: u32 = 1 << 31;
}

/// A 64-bit float that is treated only as bits.
pub(crate) struct F64Bits(pub(crate) u64);

impl F64Bits {
    pub(crate) const SIGN: u64 = 1 << 63;
}

impl Operand for F32Bits {
    fn from_value(value: Value) -> Self {
        match value {
            Value::F32(bits) => Self(bits),
            other => panic!("validated code found {other:?} where it requires an f32"),
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
            other => panic!("validated code found {other:?} where it requires an f64"),
        }
    }

    fn into_value(self) -> Value {
        Value::F64(self.0)
    }
}

pub(crate) trait Float: Sized {
    /// Sets the quiet bit of a NaN, as an arithmetic result must have it (core specification, "NaN propagation").
    fn quiet(self) -> Self;
    /// Returns the smaller one, or NaN if one of them is NaN; -0 is smaller than +0.
    fn wasm_min(self, other: Self) -> Self;
    /// Returns the larger one, or NaN if one of them is NaN; +0 is larger than -0.
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
                    // Only zeros can be equal and have different bits.
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

/// Truncates a float that is strictly between the two bounds. Every f32 is also an f64, so one function is enough for both.
pub(crate) fn truncate(x: f64, below: f64, above: f64) -> Result<f64, Trap> {
    if x.is_nan() {
        Err(Trap::InvalidConversionToInteger)
    } else if x <= below || x >= above {
        Err(Trap::IntegerOverflow)
    } else {
        Ok(x.trunc())
    }
}
