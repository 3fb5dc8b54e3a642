//! Values and function types, with the names of the WebAssembly specification.

use alloc::vec::Vec;
use core::fmt;
use dynload_diagnostics::listed;

/// The type of a value ([Wasm spec, value types](https://webassembly.github.io/spec/core/syntax/types.html#value-types)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A 128-bit vector.
    V128,
    /// A reference to a function, or null.
    FuncRef,
    /// A reference to an object of the host, or null.
    ExternRef,
}

impl ValType {
    pub(crate) fn from_engine(ty: wasmi::ValType) -> ValType {
        match ty {
            wasmi::ValType::I32 => ValType::I32,
            wasmi::ValType::I64 => ValType::I64,
            wasmi::ValType::F32 => ValType::F32,
            wasmi::ValType::F64 => ValType::F64,
            wasmi::ValType::V128 => ValType::V128,
            wasmi::ValType::FuncRef => ValType::FuncRef,
            wasmi::ValType::ExternRef => ValType::ExternRef,
        }
    }

    pub(crate) fn into_engine(self) -> wasmi::ValType {
        match self {
            ValType::I32 => wasmi::ValType::I32,
            ValType::I64 => wasmi::ValType::I64,
            ValType::F32 => wasmi::ValType::F32,
            ValType::F64 => wasmi::ValType::F64,
            ValType::V128 => wasmi::ValType::V128,
            ValType::FuncRef => wasmi::ValType::FuncRef,
            ValType::ExternRef => wasmi::ValType::ExternRef,
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::V128 => "v128",
            ValType::FuncRef => "funcref",
            ValType::ExternRef => "externref",
        })
    }
}

/// A number that is an argument or a result of a call.
///
/// References and vectors do not cross the boundary: the host cannot call a function that has one as a parameter or a result.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A 32-bit integer.
    I32(i32),
    /// A 64-bit integer.
    I64(i64),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
}

impl Value {
    /// Returns the type of this value.
    #[must_use]
    pub fn ty(self) -> ValType {
        match self {
            Value::I32(_) => ValType::I32,
            Value::I64(_) => ValType::I64,
            Value::F32(_) => ValType::F32,
            Value::F64(_) => ValType::F64,
        }
    }

    /// Returns the zero of a number type, or `None` for vectors and references.
    #[must_use]
    pub fn zero(ty: ValType) -> Option<Value> {
        Some(match ty {
            ValType::I32 => Value::I32(0),
            ValType::I64 => Value::I64(0),
            ValType::F32 => Value::F32(0.0),
            ValType::F64 => Value::F64(0.0),
            ValType::V128 | ValType::FuncRef | ValType::ExternRef => return None,
        })
    }

    pub(crate) fn from_engine(value: &wasmi::Val) -> Option<Value> {
        Some(match value {
            wasmi::Val::I32(value) => Value::I32(*value),
            wasmi::Val::I64(value) => Value::I64(*value),
            wasmi::Val::F32(value) => Value::F32(f32::from_bits(value.to_bits())),
            wasmi::Val::F64(value) => Value::F64(f64::from_bits(value.to_bits())),
            _ => return None,
        })
    }

    pub(crate) fn into_engine(self) -> wasmi::Val {
        match self {
            Value::I32(value) => wasmi::Val::I32(value),
            Value::I64(value) => wasmi::Val::I64(value),
            Value::F32(value) => wasmi::Val::F32(wasmi::F32::from_bits(value.to_bits())),
            Value::F64(value) => wasmi::Val::F64(wasmi::F64::from_bits(value.to_bits())),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::I32(value) => value.fmt(f),
            Value::I64(value) => value.fmt(f),
            Value::F32(value) => value.fmt(f),
            Value::F64(value) => value.fmt(f),
        }
    }
}

macro_rules! numbers {
    ($($number:ty => $variant:ident, $getter:ident;)*) => {
        $(
            impl From<$number> for Value {
                fn from(value: $number) -> Value {
                    Value::$variant(value)
                }
            }

            impl TryFrom<Value> for $number {
                type Error = ValueTypeMismatch;

                fn try_from(value: Value) -> Result<$number, ValueTypeMismatch> {
                    value.$getter().ok_or(ValueTypeMismatch {
                        expected: ValType::$variant,
                        found: value.ty(),
                    })
                }
            }
        )*

        impl Value {
            $(
                #[doc = concat!("Returns the number if this is an `", stringify!($number), "`, or `None` if it is not.")]
                #[must_use]
                pub fn $getter(self) -> Option<$number> {
                    match self {
                        Value::$variant(number) => Some(number),
                        _ => None,
                    }
                }
            )*
        }
    };
}
numbers! {
    i32 => I32, as_i32;
    i64 => I64, as_i64;
    f32 => F32, as_f32;
    f64 => F64, as_f64;
}

impl From<u32> for Value {
    /// Converts the bits to an i32.
    fn from(value: u32) -> Value {
        Value::I32(value as i32)
    }
}

impl From<u64> for Value {
    /// Converts the bits to an i64.
    fn from(value: u64) -> Value {
        Value::I64(value as i64)
    }
}

impl TryFrom<Value> for u32 {
    type Error = ValueTypeMismatch;

    /// Converts the bits of an i32.
    fn try_from(value: Value) -> Result<u32, ValueTypeMismatch> {
        i32::try_from(value).map(|value| value as u32)
    }
}

impl TryFrom<Value> for u64 {
    type Error = ValueTypeMismatch;

    /// Converts the bits of an i64.
    fn try_from(value: Value) -> Result<u64, ValueTypeMismatch> {
        i64::try_from(value).map(|value| value as u64)
    }
}

/// The error for the conversion of a [`Value`] to a number of another type.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ValueTypeMismatch {
    /// The type of the number.
    pub expected: ValType,
    /// The type of the value.
    pub found: ValType,
}

impl fmt::Display for ValueTypeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected a value of type {}, found {}",
            self.expected, self.found
        )
    }
}

impl core::error::Error for ValueTypeMismatch {}

dynload_diagnostics::debug_with_causes!(ValueTypeMismatch);

/// The parameters and results of a function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    /// The types of the parameters.
    pub params: Vec<ValType>,
    /// The types of the results.
    pub results: Vec<ValType>,
}

impl Signature {
    pub(crate) fn from_engine(ty: &wasmi::FuncType) -> Signature {
        let list = |types: &[wasmi::ValType]| types.iter().copied().map(ValType::from_engine).collect();
        Signature {
            params: list(ty.params()),
            results: list(ty.results()),
        }
    }

    /// Returns whether the host can call the function: whether all parameters and results are numbers, at most 1 000 of each.
    #[must_use]
    pub fn is_callable(&self) -> bool {
        // The interpreter does not support types with more.
        const MOST: usize = 1_000;
        self.params.len() <= MOST && self.results.len() <= MOST && self.has_only_numbers()
    }

    pub(crate) fn has_only_numbers(&self) -> bool {
        let mut types = self.params.iter().chain(&self.results);
        types.all(|ty| Value::zero(*ty).is_some())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValType]| -> fmt::Result {
            write!(f, "({})", listed(types))
        };
        list(f, &self.params)?;
        f.write_str(" -> ")?;
        list(f, &self.results)
    }
}
