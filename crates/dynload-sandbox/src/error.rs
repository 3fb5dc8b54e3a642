//! The errors of calls, and how a call is stopped.

mod module;
mod not_loadable;

pub(crate) use module::Refused;
pub use module::{ModuleError, UnsafeBuild};
#[cfg(feature = "rewriter")]
pub(crate) use not_loadable::explained;

use crate::{usage::Usage, value::Signature};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::fmt;
use dynload_caps::{Capabilities, ImportNeeds};
use dynload_diagnostics::{listed, printable};

/// A limit that a call can exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Fuel of one call (`Limits::max_fuel`).
    Fuel,
    /// Fuel of a [`FuelBudget`](crate::FuelBudget) that several calls share.
    FuelBudget,
    /// Bytes in memories and tables.
    Memory,
    /// Milliseconds of wall clock.
    Time,
    /// Bytes of live Wasm frames.
    Stack,
    /// Live Wasm frames.
    CallDepth,
    /// Nested calls of host functions back into the guest.
    Reentry,
}

impl Limit {
    /// Returns a value of the limit with its unit. Whole seconds are in seconds.
    fn amount(self, value: u64) -> String {
        let (_, [one, several]) = self.words();
        match (self, value) {
            (Limit::Time, 1_000..) if value.is_multiple_of(1_000) => format!("{} s", value / 1_000),
            (_, 1) => format!("1 {one}"),
            _ => format!("{value} {several}"),
        }
    }

    /// Returns the name, and the unit of one and of several, for messages.
    fn words(self) -> (&'static str, [&'static str; 2]) {
        match self {
            Limit::Fuel => ("fuel", ["operator", "operators"]),
            Limit::FuelBudget => ("fuel budget", ["operator", "operators"]),
            Limit::Memory => ("memory", ["byte", "bytes"]),
            Limit::Time => ("time", ["ms", "ms"]),
            Limit::Stack => ("stack", ["byte", "bytes"]),
            Limit::CallDepth => ("call depth", ["frame", "frames"]),
            Limit::Reentry => ("host re-entry", ["nested call", "nested calls"]),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().0)
    }
}

/// A trap: the guest did something that Wasm forbids.
/// ([Wasm spec](https://webassembly.github.io/spec/core/intro/overview.html#trap))
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trap {
    /// `unreachable` was executed.
    Unreachable,
    /// A memory access outside the memory.
    MemoryOutOfBounds,
    /// A table access outside the table.
    TableOutOfBounds,
    /// An indirect call through a null element.
    IndirectCallToNull,
    /// An indirect call to a function of another type.
    BadSignature,
    /// Division by zero.
    IntegerDivisionByZero,
    /// An integer result that does not fit.
    IntegerOverflow,
    /// A float that is NaN, infinite or too large became an integer.
    BadConversionToInteger,
}

impl core::error::Error for Trap {}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trap::Unreachable => "unreachable executed",
            Trap::MemoryOutOfBounds => "out of bounds memory access",
            Trap::TableOutOfBounds => "out of bounds table access",
            Trap::IndirectCallToNull => "indirect call to a null element",
            Trap::BadSignature => "indirect call to a function of another type",
            Trap::IntegerDivisionByZero => "integer divide by zero",
            Trap::IntegerOverflow => "integer overflow",
            Trap::BadConversionToInteger => "invalid conversion to integer",
        })
    }
}

/// An import that is unresolved, or that the host provides with another type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingImport {
    /// The module name of the import.
    pub module: String,
    /// The name of the import.
    pub name: String,
    /// What the guest expects: the type of a function, or `memory`, `table`, or `global` with a type.
    pub expected: String,
    /// The type of the host function of this name, if there is one.
    pub provided: Option<String>,
    /// The capabilities that an import of this name needs, if the name is known.
    pub needs: ImportNeeds,
}

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, name) = (printable(&self.module), printable(&self.name));
        write!(f, "`{module}.{name}` {}", printable(&self.expected).path())?;
        if let Some(provided) = &self.provided {
            write!(f, ", which the host provides as {}", printable(provided).path())?;
        }
        let needs = self.needs.capabilities();
        if !needs.is_empty() {
            write!(f, " (needs {needs})")?;
        }
        match (self.module.as_str(), self.name.as_str(), &self.provided) {
            // Earlier hosts linked functions that allocated nothing.
            ("vais", "alloc" | "dealloc", None) => {
                f.write_str(": a guest manages its memory itself; link an allocator into it, such as `malloc` of wasi-libc")
            }
            ("env", "memory", _) if self.expected == "memory" => f.write_str(
                ": define it in the guest (without `--import-memory`), or turn on the host's setting `imported_memory`, which provides a single memory",
            ),
            _ => Ok(()),
        }
    }
}

/// The kind of an error: what went wrong, but not what was run or what it used.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A limit of the sandbox was exceeded.
    #[non_exhaustive]
    LimitExceeded {
        /// The limit.
        limit: Limit,
        /// Its value, in the unit of the limit.
        value: u64,
        /// The amount that was requested, where the request is a single number.
        requested: Option<u64>,
    },
    /// The guest trapped.
    Trap(Trap),
    /// The call was interrupted.
    Interrupted,
    /// A host function that cannot return an errno was called without the capability it needs.
    #[non_exhaustive]
    CapabilityDenied {
        /// The missing capability.
        capability: Capabilities,
        /// The import that was called, as `module.name`.
        import: String,
    },
    /// The guest ended itself with `proc_exit`.
    Exit(i32),
    /// The module does not export a function of that name.
    #[non_exhaustive]
    NoSuchExport {
        /// An exported function with a similar name.
        nearest: Option<String>,
    },
    /// The type of the function is not the one that the caller expects.
    #[non_exhaustive]
    SignatureMismatch {
        /// The function's type.
        found: Signature,
        /// What the caller passes or expects.
        expected: String,
    },
    /// The instance was poisoned by an earlier call, which was aborted with this error.
    /// [`Instance::reset`](crate::Instance::reset) makes it usable again.
    Poisoned(Error),
    /// The module has unresolved imports: all of them are listed.
    MissingImports(Vec<MissingImport>),
    /// A guest that was called with bytes returned this error. The instance is not poisoned.
    Failed(String),
    /// A guest that was called with bytes returned something else than bytes or an error: this says what. The instance is not
    /// poisoned.
    InvalidResult(String),
    /// A host function failed: the cause is what it passed to [`Stop::host`], or an error of this crate such as
    /// [`NoMemory`](crate::NoMemory). An instantiation fails with it if the scopes of the sandbox could not be opened.
    Host(Arc<dyn core::error::Error + Send + Sync>),
    /// The interpreter failed for another reason.
    Engine(Arc<dyn core::error::Error + Send + Sync>),
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorKind::LimitExceeded {
                limit,
                value,
                requested,
            } => {
                write!(f, "exceeded the {limit} limit of {}", limit.amount(*value))?;
                match requested {
                    Some(requested) => write!(f, " (requested {requested})"),
                    None => Ok(()),
                }
            }
            ErrorKind::Trap(trap) => write!(f, "trapped: {trap}"),
            ErrorKind::Interrupted => f.write_str("was interrupted"),
            ErrorKind::CapabilityDenied { capability, import } => {
                write!(
                    f,
                    "called `{}`, which needs the capability {capability} that is not granted",
                    printable(import)
                )
            }
            ErrorKind::Exit(code) => write!(f, "exited with code {code}"),
            ErrorKind::NoSuchExport { nearest } => {
                f.write_str("is not an exported function")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{}`?", printable(nearest)),
                    None => Ok(()),
                }
            }
            ErrorKind::SignatureMismatch { found, expected } => {
                write!(
                    f,
                    "has the type {found} but was called as {}",
                    printable(expected)
                )
            }
            ErrorKind::Poisoned(_) => {
                f.write_str("cannot run: the instance is poisoned by an aborted call; reset the instance")
            }
            ErrorKind::MissingImports(missing) => {
                let imports = printable(listed(missing)).message();
                let other_type = missing.iter().filter(|import| import.provided.is_some()).count();
                f.write_str(match other_type {
                    0 => "has unresolved imports: ",
                    n if n == missing.len() => "has imports of the wrong type: ",
                    _ => "has imports that are unresolved or of the wrong type: ",
                })?;
                imports.fmt(f)
            }
            ErrorKind::Failed(message) => write!(f, "failed: {}", printable(message).message()),
            ErrorKind::InvalidResult(what) => write!(f, "returned {what}"),
            ErrorKind::Host(_) => f.write_str("failed in a host function"),
            ErrorKind::Engine(_) => f.write_str("was rejected by the interpreter"),
        }
    }
}

/// A growth of memory that was refused during the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeniedGrowth {
    /// Total bytes that memories and tables would have had.
    pub requested: u64,
    /// Total bytes that they may have.
    pub limit: u64,
}

impl From<DeniedGrowth> for ErrorKind {
    fn from(denied: DeniedGrowth) -> ErrorKind {
        ErrorKind::LimitExceeded {
            limit: Limit::Memory,
            value: denied.limit,
            requested: Some(denied.requested),
        }
    }
}

/// What the host requested an instance to run ([Wasm spec, invocation]).
///
/// [Wasm spec, invocation]: https://webassembly.github.io/spec/core/exec/modules.html#invocation
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Invocation {
    /// Instantiation, before any code ran.
    Instantiation,
    /// The start function, during instantiation.
    Start,
    /// The exported function of this name; `_initialize` also during instantiation.
    Export(String),
}

/// An [`Invocation`] with a borrowed name: owned only if there is an error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Invoked<'a> {
    Instantiation,
    Start,
    Export(&'a str),
}

impl Invoked<'_> {
    fn into_owned(self) -> Invocation {
        match self {
            Invoked::Instantiation => Invocation::Instantiation,
            Invoked::Start => Invocation::Start,
            Invoked::Export(name) => Invocation::Export(name.into()),
        }
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invocation::Instantiation => f.write_str("the module"),
            Invocation::Start => f.write_str("the start function"),
            // Two backquotes would not look like a name.
            Invocation::Export(name) if name.is_empty() => f.write_str("\"\""),
            Invocation::Export(name) => write!(f, "`{}`", printable(name)),
        }
    }
}

/// Why a call, an instantiation or a reset failed: what was run, the reason, and the resources that were used until then.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    invocation: Invocation,
    kind: ErrorKind,
    usage: Usage,
    denied_growth: Option<DeniedGrowth>,
}

impl Error {
    pub(crate) fn new(
        invocation: Invoked<'_>,
        kind: ErrorKind,
        usage: Usage,
        denied_growth: Option<DeniedGrowth>,
    ) -> Error {
        Error(Arc::new(Inner {
            invocation: invocation.into_owned(),
            kind,
            usage,
            denied_growth,
        }))
    }

    /// Returns what went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns what was run.
    #[must_use]
    pub fn invocation(&self) -> &Invocation {
        &self.0.invocation
    }

    /// Returns the resources that had been used when the call failed.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.usage
    }

    /// Returns the largest growth of memory that was refused during the call: often the true cause of a trap.
    #[must_use]
    pub fn denied_growth(&self) -> Option<DeniedGrowth> {
        self.0.denied_growth
    }

    /// Returns the limit that was exceeded, if that is why the call failed.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        match self.kind() {
            ErrorKind::LimitExceeded { limit, .. } => Some(*limit),
            _ => None,
        }
    }

    /// Returns the code of `proc_exit`, if that ended the call.
    ///
    /// A WASI command that calls `proc_exit` ends with an error even if it succeeded: the code is then 0. A command
    /// that returns from `_start` has succeeded without an error. [`Sandbox::with_args`](crate::Sandbox::with_args) has
    /// an example.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self.kind() {
            ErrorKind::Exit(code) => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.invocation, self.0.kind)?;
        match self.0.denied_growth {
            Some(DeniedGrowth { requested, limit }) if self.limit() != Some(Limit::Memory) => {
                write!(
                    f,
                    " (after growing its memory to {requested} bytes was refused; the limit is {limit})"
                )
            }
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self.kind() {
            ErrorKind::Poisoned(first) => Some(first),
            ErrorKind::Host(cause) => Some(&**cause),
            ErrorKind::Engine(cause) => Some(&**cause),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(Error);

/// The error that a host function returns to end the call that it serves.
///
/// A host function that can report its failure to the guest (an errno, a null) should do so and not stop the call.
pub struct Stop(pub(crate) ErrorKind);

impl Stop {
    /// Ends the call with `cause`, as [`ErrorKind::Host`].
    ///
    /// The host gets the cause back by its type.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_sandbox::{Capabilities, Engine, ErrorKind, Limits, Module, Sandbox, Stop};
    /// use std::fmt;
    ///
    /// #[derive(Debug)]
    /// struct SoldOut {
    ///     item: i32,
    /// }
    ///
    /// impl fmt::Display for SoldOut {
    ///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    ///         write!(f, "item {} is sold out", self.item)
    ///     }
    /// }
    ///
    /// impl std::error::Error for SoldOut {}
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut sandbox = Sandbox::new(Limits::DEFAULT);
    /// sandbox.func_wrap("shop", "order", Capabilities::NONE, |_, (item,): (i32,)| -> Result<(), Stop> {
    ///     Err(Stop::host(SoldOut { item }))
    /// });
    /// let module = Module::new(&Engine::default(), wat::parse_str(r#"(module
    ///     (import "shop" "order" (func $order (param i32)))
    ///     (func (export "run") (call $order (i32.const 7))))"#)?)?;
    ///
    /// let error = sandbox.instantiate(&module)?.call("run", &[]).unwrap_err();
    /// match error.kind() {
    ///     ErrorKind::Host(cause) => {
    ///         let sold_out = cause.downcast_ref::<SoldOut>().ok_or("another cause")?;
    ///         assert_eq!(sold_out.item, 7);
    ///     }
    ///     _ => panic!("{error}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn host(cause: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Stop {
        Stop(ErrorKind::Host(cause.into().into()))
    }

    /// Ends the call as `proc_exit(code)` does, as [`ErrorKind::Exit`].
    #[must_use]
    pub fn exit(code: i32) -> Stop {
        Stop(ErrorKind::Exit(code))
    }

    /// Ends the call as a trap.
    #[must_use]
    pub fn trap(trap: Trap) -> Stop {
        Stop(ErrorKind::Trap(trap))
    }

    /// Returns why the call ends.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0
    }
}

/// A failed call into another instance, as [`ErrorKind::Host`].
impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::host(error)
    }
}

/// As [`ErrorKind::Host`].
impl From<crate::host::EntropyError> for Stop {
    fn from(error: crate::host::EntropyError) -> Stop {
        Stop::host(error)
    }
}

/// As [`ErrorKind::Host`].
impl From<crate::value::ValueTypeMismatch> for Stop {
    fn from(error: crate::value::ValueTypeMismatch) -> Stop {
        Stop::host(error)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Stop {}

dynload_diagnostics::debug_with_causes!(Stop);

/// A [`Stop`] that passes through the interpreter.
#[derive(Debug)]
pub(crate) struct Halt(pub(crate) Stop);

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl core::error::Error for Halt {}
impl wasmi::errors::HostError for Halt {}

impl Stop {
    /// Returns the error with which the interpreter ends the call.
    pub(crate) fn halt(self) -> wasmi::Error {
        wasmi::Error::host(Halt(self))
    }
}

/// Makes the interpreter release its native stack before the call continues: not the end of a call.
#[derive(Debug)]
pub(crate) struct Pause;

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pause")
    }
}

impl core::error::Error for Pause {}
impl wasmi::errors::HostError for Pause {}
