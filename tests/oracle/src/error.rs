//! What can go wrong before and while a program runs.

use std::fmt;

/// Why a module cannot be loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The module does not decode or validate.
    Invalid(wasmparser::Error),
    /// The module is valid and uses something the oracle does not know.
    Unsupported(String),
    /// An import that nobody provides.
    UnknownImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// An import that is provided with another type than the module asks for.
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
            Self::Unsupported(what) => write!(f, "the oracle does not know {what}"),
            Self::UnknownImport { module, name } => write!(f, "nobody provides the import `{module}.{name}`"),
            Self::IncompatibleImport { module, name } => {
                write!(f, "the import `{module}.{name}` is provided with another type")
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

/// Why running stopped before its end.
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
    /// More operators than [`Limits::steps`](crate::Limits::steps): the oracle's own guard, no limit of the sandbox.
    StepCap,
    /// A host function failed, with its reason.
    Host(String),
    /// An operator the oracle does not know was executed.
    Unsupported(String),
    /// There is no such function, or its parameters are others than the arguments given.
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
            Self::Unsupported(what) => return write!(f, "the oracle does not know {what}"),
            Self::BadCall(what) => return write!(f, "{what}"),
        })
    }
}

impl std::error::Error for Trap {}

impl Trap {
    /// Whether a limit stopped the program, rather than the program itself.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::OutOfFuel | Self::CallDepth | Self::StackBytes | Self::MemoryLimit | Self::StepCap
        )
    }
}
