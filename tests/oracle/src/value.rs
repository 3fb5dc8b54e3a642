//! Values and their types.

use crate::error::Error;

/// A value type of core Wasm (without the types of the GC proposal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference to a function, or null.
    FuncRef,
    /// Reference to a host object, or null.
    ExternRef,
}

impl ValType {
    /// Returns the stack bytes that a value of this type counts as: 16 for a vector, 8 for everything else.
    pub fn stack_bytes(self) -> u64 {
        match self {
            Self::V128 => 16,
            _ => 8,
        }
    }

    /// Returns the number of 8-byte local slots that a value of this type occupies: 2 for a vector, 1 for everything else.
    pub fn slots(self) -> u64 {
        self.stack_bytes() / 8
    }

    /// Returns the initial value of a local of this type.
    pub fn zero(self) -> Value {
        match self {
            Self::I32 => Value::I32(0),
            Self::I64 => Value::I64(0),
            Self::F32 => Value::F32(0),
            Self::F64 => Value::F64(0),
            Self::V128 => Value::V128(0),
            Self::FuncRef => Value::FuncRef(None),
            Self::ExternRef => Value::ExternRef(None),
        }
    }

    pub(crate) fn decode(ty: wasmparser::ValType) -> Result<Self, Error> {
        Ok(match ty {
            wasmparser::ValType::I32 => Self::I32,
            wasmparser::ValType::I64 => Self::I64,
            wasmparser::ValType::F32 => Self::F32,
            wasmparser::ValType::F64 => Self::F64,
            wasmparser::ValType::V128 => Self::V128,
            wasmparser::ValType::Ref(r) => Self::decode_ref(r)?,
        })
    }

    pub(crate) fn decode_ref(ty: wasmparser::RefType) -> Result<Self, Error> {
        if ty == wasmparser::RefType::FUNCREF {
            Ok(Self::FuncRef)
        } else if ty == wasmparser::RefType::EXTERNREF {
            Ok(Self::ExternRef)
        } else {
            Err(Error::Unsupported(format!("reference type {ty}")))
        }
    }
}

/// A function's parameter and result types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FuncType {
    /// Types of the parameters, in order.
    pub params: Vec<ValType>,
    /// Types of the results, in order.
    pub results: Vec<ValType>,
}

impl FuncType {
    /// Creates a type from its parameters and results.
    pub fn new(params: impl Into<Vec<ValType>>, results: impl Into<Vec<ValType>>) -> Self {
        Self {
            params: params.into(),
            results: results.into(),
        }
    }
}

/// A value. Floats are kept as their bits, so that two values are equal when their bits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// Address of a function in its [`Store`](crate::Store), or null.
    FuncRef(Option<usize>),
    /// Any number that the host chooses, or null.
    ExternRef(Option<u32>),
}

impl Value {
    /// Returns the value's type.
    pub fn ty(&self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
            Self::V128(_) => ValType::V128,
            Self::FuncRef(_) => ValType::FuncRef,
            Self::ExternRef(_) => ValType::ExternRef,
        }
    }

    /// Returns whether this is a float that is not a number. The specification leaves open which NaN an operation returns,
    /// so two engines may differ in its bits.
    pub fn is_nan(&self) -> bool {
        match self {
            Self::F32(bits) => f32::from_bits(*bits).is_nan(),
            Self::F64(bits) => f64::from_bits(*bits).is_nan(),
            _ => false,
        }
    }

    /// Returns whether both have equal bits, or are NaNs of the same type.
    pub fn same_but_for_nan(&self, other: &Self) -> bool {
        self == other || (self.ty() == other.ty() && self.is_nan() && other.is_nan())
    }
}

/// A Rust type that represents one Wasm type on the operand stack.
pub(crate) trait Operand: Sized {
    fn from_value(value: Value) -> Self;
    fn into_value(self) -> Value;
}

macro_rules! operand {
    ($($rust:ty, $variant:ident, $from:expr, $into:expr;)*) => {$(
        impl Operand for $rust {
            fn from_value(value: Value) -> Self {
                match value {
                    Value::$variant(raw) => $from(raw),
                    // Only validated code runs, so this is a bug in the oracle and must not go unnoticed.
                    other => panic!("validated code found {other:?} where it requires {}", stringify!($variant)),
                }
            }

            fn into_value(self) -> Value {
                Value::$variant($into(self))
            }
        }
    )*};
}

operand! {
    i32, I32, |v| v, |v| v;
    u32, I32, |v: i32| v as u32, |v: u32| v as i32;
    i64, I64, |v| v, |v| v;
    u64, I64, |v: i64| v as u64, |v: u64| v as i64;
    f32, F32, f32::from_bits, f32::to_bits;
    f64, F64, f64::from_bits, f64::to_bits;
    u128, V128, |v| v, |v| v;
}

impl Operand for bool {
    fn from_value(value: Value) -> Self {
        i32::from_value(value) != 0
    }

    fn into_value(self) -> Value {
        Value::I32(i32::from(self))
    }
}
