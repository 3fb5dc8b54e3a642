//! How a library is bound and who sees its symbols.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// How a library is bound and who sees its symbols.
///
/// The values are the same on every platform (1, 2 and 256) and are translated to what the platform's own
/// `dlopen` takes; macOS, for one, has another value for `RTLD_GLOBAL`. Windows knows neither: there every
/// library is bound at once and nothing is global.
///
/// Of [`LAZY`](Flags::LAZY) and [`NOW`](Flags::NOW) one should be there. With neither, or with both, `NOW` is
/// meant: a missing symbol is then an error of the load and not the death of the process at the first call.
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
    /// Resolve functions when they are first called (`RTLD_LAZY`).
    pub const LAZY: Flags = Flags(1);
    /// Resolve every symbol before the load returns (`RTLD_NOW`).
    pub const NOW: Flags = Flags(2);
    /// Make the symbols available to libraries that are loaded later (`RTLD_GLOBAL`).
    ///
    /// A library that is reloaded should not be global: the loader searches the oldest image first, so
    /// whatever is loaded later would go on to find the old version's symbols.
    pub const GLOBAL: Flags = Flags(256);

    /// The value, as [`Flags::from_bits`] takes it.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Flags from their value.
    ///
    /// # Errors
    ///
    /// - [`UnknownFlags`] when a bit is set that is none of `LAZY`, `NOW` and `GLOBAL`.
    pub const fn from_bits(bits: u32) -> Result<Flags, UnknownFlags> {
        let unknown = bits & !(Flags::LAZY.0 | Flags::NOW.0 | Flags::GLOBAL.0);
        if unknown == 0 {
            Ok(Flags(bits))
        } else {
            Err(UnknownFlags { bits: unknown })
        }
    }

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether functions are resolved at their first call: `LAZY` and not `NOW`.
    pub const fn is_lazy(self) -> bool {
        self.contains(Flags::LAZY) && !self.contains(Flags::NOW)
    }
}

impl Default for Flags {
    /// [`Flags::NOW`].
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

/// Bits that are no loading flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownFlags {
    /// The bits that have no meaning.
    pub bits: u32,
}

impl fmt::Display for UnknownFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown loading flags {:#x}: only 1 (lazy), 2 (now) and 256 (global) have a meaning",
            self.bits
        )
    }
}

impl std::error::Error for UnknownFlags {}
