//! Why a module was not loaded.

use alloc::{boxed::Box, string::String};
use core::fmt;
use dynload_diagnostics::printable;

/// Why a module was refused before any of it ran.
#[derive(Debug)]
#[non_exhaustive]
pub enum ModuleError {
    /// It is larger, deeper or has more of something than the engine accepts.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is, as far as it was counted.
        found: u64,
        /// How much there may be.
        limit: u64,
    },
    /// It is something else than a core module in the binary format.
    NotAModule {
        /// What it is, and what to do with it.
        found: &'static str,
    },
    /// It is not valid WebAssembly.
    Invalid {
        /// Where, in bytes from the start of the module.
        offset: usize,
        /// What is wrong, in the validator's words.
        message: String,
    },
    /// It uses a feature that this engine does not offer.
    Unsupported {
        /// The feature, and what to do without it.
        feature: &'static str,
    },
    /// The interpreter could not translate it.
    Engine(Box<dyn core::error::Error + Send + Sync>),
    /// Nothing is wrong with the module: the interpreter was compiled so that any guest could overflow the native stack.
    ///
    /// The cargo feature `portable-dispatch` makes it safe in every build, at a third of the speed; what keeps the speed depends
    /// on the cause.
    UnsafeBuild(UnsafeBuild),
}

/// What makes a build of the interpreter unsafe, as far as it can be told from how this crate was compiled itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsafeBuild {
    /// Debug assertions are on in an optimised build, as with `[profile.dev.package."*"] opt-level = 3`. Setting
    /// `debug-assertions = false` for the packages `wasmi`, `wasmi_core` and `wasmi_ir` helps.
    DebugAssertions,
    /// `opt-level` is `"s"` or `"z"`. Setting `opt-level = 3` for the packages `wasmi`, `wasmi_core` and `wasmi_ir` helps.
    OptimizedForSize,
    /// Something else kept the compiler from making tail calls: `lto = "off"` (setting `codegen-units = 1` for the package `wasmi`
    /// helps), a sanitizer or a coverage build, flags that take the optimisation back, an architecture with too few
    /// registers; or this crate was compiled otherwise than the interpreter, which is then what to look at.
    NoTailCalls,
}

impl UnsafeBuild {
    /// The likeliest cause in this build.
    pub(crate) const HERE: UnsafeBuild = if cfg!(optimized_for_size) {
        UnsafeBuild::OptimizedForSize
    } else if cfg!(debug_assertions) {
        UnsafeBuild::DebugAssertions
    } else {
        UnsafeBuild::NoTailCalls
    };
}

impl fmt::Display for UnsafeBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnsafeBuild::DebugAssertions => {
                "it is optimised and has debug assertions; set `debug-assertions = false` for the packages `wasmi`, `wasmi_core` and \
                 `wasmi_ir` in the profile"
            }
            UnsafeBuild::OptimizedForSize => {
                "it is optimised for size; set `opt-level = 3` for the packages `wasmi`, `wasmi_core` and `wasmi_ir` in the profile"
            }
            UnsafeBuild::NoTailCalls => {
                "the compiler made plain calls of its tail calls, as with `lto = \"off\"` (set `codegen-units = 1` for the package \
                 `wasmi` in the profile), a sanitizer, or a processor with few registers"
            }
        })
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleError::TooLarge { what, found, limit } => {
                write!(f, "the module has {found} {what}, and the engine accepts {limit}")
            }
            ModuleError::NotAModule { found } => write!(f, "not a WebAssembly module but {found}"),
            ModuleError::Invalid { offset, message } => {
                let message = printable(message).message();
                write!(f, "not a valid WebAssembly module: {message} (at byte {offset})")
            }
            ModuleError::Unsupported { feature } => write!(f, "the module uses {feature}"),
            ModuleError::Engine(_) => f.write_str("the interpreter cannot translate the module"),
            ModuleError::UnsafeBuild(cause) => write!(
                f,
                "the interpreter was built so that a guest could overflow the native stack: {cause}; or turn on the feature \
                 `portable-dispatch` of dynload-sandbox"
            ),
        }
    }
}

impl core::error::Error for ModuleError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            ModuleError::Engine(cause) => Some(&**cause),
            _ => None,
        }
    }
}

/// A [`ModuleError`] on its way out of the rewriter, where the parser's errors become one.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) ModuleError);

impl From<ModuleError> for Refused {
    fn from(error: ModuleError) -> Refused {
        Refused(error)
    }
}

impl From<wasmparser::BinaryReaderError> for Refused {
    fn from(error: wasmparser::BinaryReaderError) -> Refused {
        Refused(ModuleError::Invalid {
            offset: error.offset(),
            message: error.message().into(),
        })
    }
}
