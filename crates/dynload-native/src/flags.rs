//! How a library is bound and which libraries see its symbols.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// How a library is bound and which libraries see its symbols.
///
/// The values are the same on every platform (1, 2 and 256) and are translated to the values of the platform's own
/// `dlopen`; macOS, for example, has another value for `RTLD_GLOBAL`. Windows has neither lazy binding nor global
/// symbols: every library is bound immediately and nothing is global.
///
/// Set one of [`LAZY`](Flags::LAZY) and [`NOW`](Flags::NOW). With neither, or with both, `NOW` applies: a missing
/// symbol is then an error of the load and not the death of the process at the first call.
///
/// # Examples
///
/// ```
/// use dynload_native::Flags;
///
/// let flags = Flags::NOW | Flags::GLOBAL;
/// assert_eq!(flags.bits(), 258);
/// assert!(flags.contains(Flags::GLOBAL));
/// assert_eq!(Flags::from_bits(258), Ok(flags));
/// assert!(Flags::from_bits(4).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// Resolves functions when they are first called (`RTLD_LAZY`).
    pub const LAZY: Flags = Flags(1);
    /// Resolves every symbol before the load returns (`RTLD_NOW`).
    pub const NOW: Flags = Flags(2);
    /// Makes the symbols available to libraries that are loaded later (`RTLD_GLOBAL`).
    ///
    /// A library that is reloaded should not be global: the loader searches the oldest image first, so
    /// libraries that are loaded later would still find the old version's symbols.
    pub const GLOBAL: Flags = Flags(256);

    /// Returns the value, as [`Flags::from_bits`] accepts it.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns the flags with a value.
    ///
    /// # Errors
    ///
    /// - [`UnknownFlags`] when a bit other than `LAZY`, `NOW` and `GLOBAL` is set.
    pub const fn from_bits(bits: u32) -> Result<Flags, UnknownFlags> {
        let unknown = bits & !(Flags::LAZY.0 | Flags::NOW.0 | Flags::GLOBAL.0);
        if unknown == 0 {
            Ok(Flags(bits))
        } else {
            Err(UnknownFlags { bits: unknown })
        }
    }

    /// Returns whether every bit of `other` is set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether functions are resolved at their first call: `LAZY` and not `NOW`.
    pub const fn is_lazy(self) -> bool {
        self.contains(Flags::LAZY) && !self.contains(Flags::NOW)
    }
}

impl Default for Flags {
    /// Returns [`Flags::NOW`].
    fn default() -> Flags {
        Flags::NOW
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        *self = *self | other;
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Flags::LAZY, "LAZY"),
            (Flags::NOW, "NOW"),
            (Flags::GLOBAL, "GLOBAL"),
        ];
        let set: Vec<&str> = names
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, name)| *name)
            .collect();
        write!(
            f,
            "Flags({})",
            if set.is_empty() {
                "0".to_owned()
            } else {
                set.join(" | ")
            }
        )
    }
}

/// Bits that are not loading flags.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownFlags {
    /// The unknown bits.
    pub bits: u32,
}

impl fmt::Display for UnknownFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown loading flags {:#x}: use only 1 (lazy), 2 (now) and 256 (global)",
            self.bits
        )
    }
}

impl std::error::Error for UnknownFlags {}

dynload_diagnostics::debug_with_causes!(UnknownFlags);
