//! Why a module was not loaded.

use alloc::string::String;
use core::fmt;

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
    /// It is not valid WebAssembly, or uses a feature that is off.
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
    Engine(wasmi::Error),
    /// Nothing is wrong with the module: the interpreter was compiled so that any guest could overflow the native stack.
    ///
    /// It is when the package `wasmi` is optimised and has debug assertions, as with
    /// `[profile.dev.package."*"] opt-level = 3`, or is built with a sanitizer; and in a documentation test of a profile
    /// with fat LTO, which optimises nothing at all in the end. The cargo feature `portable-dispatch` makes it safe in every
    /// build, at a third of the speed; `debug-assertions = false` for the package `wasmi` in the profile keeps the speed.
    UnsafeBuild,
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuleError::TooLarge { what, found, limit } => {
                write!(f, "the module has {found} {what}, and the engine accepts {limit}")
            }
            ModuleError::Invalid { offset, message } => {
                write!(f, "not a valid WebAssembly module: {message} (at byte {offset})")
            }
            ModuleError::Unsupported { feature } => write!(f, "the module uses {feature}"),
            ModuleError::Engine(_) => f.write_str("the interpreter cannot translate the module"),
            ModuleError::UnsafeBuild => f.write_str(
                "the interpreter was built so that a guest could overflow the native stack; set `debug-assertions = false` \
                 for the package `wasmi` in the profile, or turn on the feature `portable-dispatch` of dynload-sandbox",
            ),
        }
    }
}

impl core::error::Error for ModuleError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            ModuleError::Engine(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<wasmparser::BinaryReaderError> for ModuleError {
    fn from(error: wasmparser::BinaryReaderError) -> ModuleError {
        ModuleError::Invalid {
            offset: error.offset(),
            message: error.message().into(),
        }
    }
}
