//! Why a module was not loaded.

use crate::module::limits::ModuleLimit;
use alloc::{boxed::Box, string::String};
use core::fmt;
use dynload_diagnostics::printable;

/// Why a module was refused before any of it ran.
#[non_exhaustive]
pub enum ModuleError {
    /// It is larger, or has more items of some kind, than the engine accepts.
    #[non_exhaustive]
    TooLarge {
        /// The kind of the items.
        what: &'static str,
        /// Their number. Where counting them all would take what the limit is to save, a lower bound: for
        /// [`LoadBytes`](ModuleLimit::LoadBytes), [`CarriedValues`](ModuleLimit::CarriedValues) and
        /// [`ConstantOperators`](ModuleLimit::ConstantOperators).
        found: u64,
        /// The maximum number.
        most: u64,
        /// The limit to raise, or `None` if the interpreter supports no more.
        limit: Option<ModuleLimit>,
        /// The index of the function that has the items, if it is one function.
        function: Option<u32>,
        /// The name of this function, if the module's name section or an export has one.
        function_name: Option<String>,
    },
    /// It is not a core module in the binary format.
    #[non_exhaustive]
    NotAModule {
        /// What it is instead, and what to do with it.
        found: &'static str,
    },
    /// It is not valid WebAssembly.
    #[non_exhaustive]
    Invalid {
        /// Where, in bytes from the start of the module.
        offset: usize,
        /// What is wrong, in the validator's words.
        message: String,
    },
    /// It uses a feature that this engine does not support.
    #[non_exhaustive]
    Unsupported {
        /// The feature, and how to do without it.
        feature: &'static str,
    },
    /// It is not a prepared module that this version can load.
    #[non_exhaustive]
    NotPrepared {
        /// Why not, and what to do.
        reason: &'static str,
    },
    /// The interpreter could not translate it.
    Engine(Box<dyn core::error::Error + Send + Sync>),
    /// Nothing is wrong with the module: the interpreter was compiled in a way that lets any guest overflow the native stack.
    ///
    /// The cargo feature `portable-dispatch` makes the interpreter safe in every build, at a third of the speed; the fix that
    /// keeps the speed depends on the cause.
    UnsafeBuild(UnsafeBuild),
}

/// Why a build of the interpreter is unsafe, probably.
///
/// The cause is inferred from this crate's own compiler settings, which may differ from wasmi's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsafeBuild {
    /// Debug assertions are on in an optimized build, as with `[profile.dev.package."*"] opt-level = 3`. Setting
    /// `debug-assertions = false` for the packages `wasmi`, `wasmi_core` and `wasmi_ir` helps.
    DebugAssertions,
    /// `opt-level` is `"s"` or `"z"`. Setting `opt-level = 3` for the packages `wasmi`, `wasmi_core` and `wasmi_ir` helps.
    OptimizedForSize,
    /// Something else prevented tail calls: `lto = "off"` (setting `codegen-units = 1` for the package `wasmi`
    /// helps), a sanitizer or a coverage build, flags that disable the optimization, an architecture with too few
    /// registers; or the settings of this crate differ from those of the interpreter: then check the latter.
    NoTailCalls,
}

impl UnsafeBuild {
    /// The most likely cause in this build.
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
                "it is optimized and has debug assertions; set `debug-assertions = false` for the packages `wasmi`, `wasmi_core` and \
                 `wasmi_ir` in the profile"
            }
            UnsafeBuild::OptimizedForSize => {
                "it is optimized for size; set `opt-level = 3` for the packages `wasmi`, `wasmi_core` and `wasmi_ir` in the profile"
            }
            UnsafeBuild::NoTailCalls => {
                "the compiler turned its tail calls into plain calls, as with `lto = \"off\"` (set `codegen-units = 1` for the \
                 package `wasmi` in the profile), a sanitizer, or a processor with few registers"
            }
        })
    }
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleError::TooLarge {
                what,
                found,
                most,
                limit,
                function,
                function_name,
            } => {
                let at_least = match limit {
                    Some(
                        ModuleLimit::LoadBytes | ModuleLimit::CarriedValues | ModuleLimit::ConstantOperators,
                    ) => "at least ",
                    _ => "",
                };
                let verb = match limit {
                    Some(ModuleLimit::LoadBytes) => "takes",
                    _ => "has",
                };
                write!(f, "the module {verb} {at_least}{found} {}", counted(*found, what))?;
                if let Some(index) = function {
                    write!(f, " in function {index}")?;
                }
                if let Some(name) = function_name {
                    write!(f, " (`{}`)", printable(name))?;
                }
                match limit {
                    Some(limit) => write!(
                        f,
                        ", and the limit is {most}; to load it, raise the module limit `{limit}`"
                    ),
                    None => write!(f, ", and the interpreter supports at most {most}"),
                }
            }
            ModuleError::NotAModule { found } => write!(f, "not a WebAssembly module but {found}"),
            ModuleError::Invalid { offset, message } => {
                let message = printable(message).message();
                write!(f, "not a valid WebAssembly module: {message} (at byte {offset})")
            }
            ModuleError::Unsupported { feature } => write!(f, "the module uses {feature}"),
            ModuleError::NotPrepared { reason } => write!(f, "not a prepared module: {reason}"),
            ModuleError::Engine(_) => f.write_str("the interpreter cannot translate the module"),
            ModuleError::UnsafeBuild(cause) => write!(
                f,
                "the interpreter was built in a way that lets a guest overflow the native stack: {cause}; or enable the feature \
                 `portable-dispatch` of dynload-sandbox"
            ),
        }
    }
}

/// Returns the name of one or of several items. The noun is the first word of the plural that ends with `s`.
fn counted(found: u64, plural: &str) -> String {
    let noun = plural.split([' ', ',']).find(|word| word.ends_with('s'));
    match noun {
        Some("memories") if found == 1 => plural.replacen("memories", "memory", 1),
        Some(noun) if found == 1 => plural.replacen(noun, &noun[..noun.len() - 1], 1),
        _ => plural.into(),
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

dynload_diagnostics::debug_with_causes!(ModuleError);

/// A [`ModuleError`] inside the rewriter, which also converts from the parser's errors.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) ModuleError);

impl From<ModuleError> for Refused {
    fn from(error: ModuleError) -> Refused {
        Refused(error)
    }
}

#[cfg(feature = "rewriter")]
impl From<wasmparser::BinaryReaderError> for Refused {
    fn from(error: wasmparser::BinaryReaderError) -> Refused {
        Refused(ModuleError::Invalid {
            offset: error.offset(),
            message: error.message().into(),
        })
    }
}
