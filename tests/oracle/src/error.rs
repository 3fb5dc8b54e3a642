//! Errors before and while a program runs.

use std::fmt;

/// Why a module cannot be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The module does not decode or validate.
    Invalid(wasmparser::Error),
    /// The module is valid and uses something the oracle does not support.
    Unsupported(String),
    /// An import has no provider.
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// An import is provided with another type than the module requires.
    IncompatibleImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// Instantiation began and stopped: a segment out of bounds, a start function that trapped, a limit.
    Stopped(Trap),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(_) => write!(f, "the module is not valid"),
            Self::Unsupported(what) => write!(f, "the oracle does not support {what}"),
            Self::UnknownImport { module, name } => write!(f, "the import `{module}.{name}` has no provider"),
            Self::IncompatibleImport { module, name } => {
                write!(
                    f,
                    "the import `{module}.{name}` has another type than the module requires"
                )
            }
            Self::Stopped(_) => write!(f, "instantiation stopped"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Invalid(cause) => Some(cause),
            Self::Stopped(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<wasmparser::Error> for Error {
    fn from(cause: wasmparser::Error) -> Self {
        Self::Invalid(cause)
    }
}

impl From<Trap> for Error {
    fn from(cause: Trap) -> Self {
        Self::Stopped(cause)
    }
}

/// Why a run stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trap {
    /// `unreachable` was executed.
    Unreachable,
    /// An access outside of a memory, or outside of a data segment.
    MemoryOutOfBounds,
    /// An access outside of a table, or outside of an element segment.
    TableOutOfBounds,
    /// `call_indirect` with an index beyond the table.
    UndefinedElement,
    /// `call_indirect` on a null element.
    UninitializedElement,
    /// `call_indirect` on a function of another type.
    IndirectCallTypeMismatch,
    /// Integer division by zero.
    IntegerDivideByZero,
    /// Integer division, or truncation of a float, whose result does not fit.
    IntegerOverflow,
    /// Truncation of a NaN.
    InvalidConversionToInteger,
    /// The next operator or surcharge would bring fuel above [`Limits::fuel`](crate::Limits::fuel).
    OutOfFuel,
    /// The next frame would bring the depth above [`Limits::call_depth`](crate::Limits::call_depth).
    CallDepth,
    /// The next frame would bring stack bytes above [`Limits::stack_bytes`](crate::Limits::stack_bytes).
    StackBytes,
    /// Memories and tables at instantiation are above [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    MemoryLimit,
    /// More operators than [`Limits::steps`](crate::Limits::steps): the oracle's own guard, which the sandbox does not have.
    StepCap,
    /// A host function failed, with its reason.
    Host(String),
    /// An operator that the oracle does not support was executed.
    Unsupported(String),
    /// No such function exists, or its parameter types differ from those of the arguments.
    BadCall(String),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::MemoryOutOfBounds => "out of bounds memory access",
            Self::TableOutOfBounds => "out of bounds table access",
            Self::UndefinedElement => "undefined element",
            Self::UninitializedElement => "uninitialized element",
            Self::IndirectCallTypeMismatch => "indirect call type mismatch",
            Self::IntegerDivideByZero => "integer divide by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::InvalidConversionToInteger => "invalid conversion to integer",
            Self::OutOfFuel => "fuel limit exceeded",
            Self::CallDepth => "call depth limit exceeded",
            Self::StackBytes => "stack limit exceeded",
            Self::MemoryLimit => "memory limit exceeded",
            Self::StepCap => "step cap reached",
            Self::Host(reason) => return write!(f, "host function failed: {reason}"),
            Self::Unsupported(what) => return write!(f, "the oracle does not support {what}"),
            Self::BadCall(what) => return write!(f, "{what}"),
        })
    }
}

impl std::error::Error for Trap {}

impl Trap {
    /// Returns whether a limit stopped the program, rather than the program itself.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::OutOfFuel | Self::CallDepth | Self::StackBytes | Self::MemoryLimit | Self::StepCap
        )
    }
}
