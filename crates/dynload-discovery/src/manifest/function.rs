//! Types of exported functions.

use std::fmt;
use std::str::FromStr;

use dynload_diagnostics::listed;

/// The type of a parameter or result, named as in the WebAssembly text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ValueType {
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
    /// A reference to a function.
    FuncRef,
    /// A reference to a host object.
    ExternRef,
    /// Any other type of a Wasm module; a manifest cannot name it.
    Other,
}

impl ValueType {
    pub(crate) const NAMES: [(&'static str, ValueType); 7] = [
        ("i32", ValueType::I32),
        ("i64", ValueType::I64),
        ("f32", ValueType::F32),
        ("f64", ValueType::F64),
        ("v128", ValueType::V128),
        ("funcref", ValueType::FuncRef),
        ("externref", ValueType::ExternRef),
    ];
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ValueType::NAMES
            .iter()
            .find(|(_, known)| known == self)
            .map_or("other", |(name, _)| name);
        f.pad(name)
    }
}

impl FromStr for ValueType {
    /// The known name that the text probably meant.
    type Err = Option<&'static str>;

    fn from_str(text: &str) -> Result<ValueType, Option<&'static str>> {
        let names = ValueType::NAMES.iter().map(|(name, _)| *name);
        ValueType::NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, known)| *known)
            .ok_or_else(|| dynload_diagnostics::nearest_name(text, names))
    }
}

/// The type of an exported function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionType {
    /// The types of its parameters.
    pub params: Vec<ValueType>,
    /// The types of its results.
    pub results: Vec<ValueType>,
    /// Its purpose; empty when the manifest has no description.
    pub description: String,
}

impl FunctionType {
    /// Creates the type of a function from `params` to `results`.
    #[must_use]
    pub fn new(params: impl Into<Vec<ValueType>>, results: impl Into<Vec<ValueType>>) -> FunctionType {
        FunctionType {
            params: params.into(),
            results: results.into(),
            description: String::new(),
        }
    }

    /// Returns whether parameters and results are the same.
    #[must_use]
    pub fn same_signature(&self, other: &FunctionType) -> bool {
        self.params == other.params && self.results == other.results
    }
}

impl fmt::Display for FunctionType {
    /// Writes the type in the form `(i32, i64) -> (i64)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) -> ({})", listed(&self.params), listed(&self.results))
    }
}
