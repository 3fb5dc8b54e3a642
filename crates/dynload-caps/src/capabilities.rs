//! The capability flags, their names and their numbers.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

bitflags::bitflags! {
    /// A set of capabilities that a plugin may have.
    ///
    /// The numbers are those of the Vais `std/dynload` module (`CAP_CONSOLE` and the rest) and never change. A flag
    /// says *whether*; [`Scopes`](crate::Scopes) say *which*: with an empty scope, a flag opens nothing.
    ///
    /// The text form of a set is its lower-case names joined by `|`, or `none` for the empty set.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_caps::Capabilities;
    ///
    /// let caps: Capabilities = "fs_read, CONSOLE".parse()?;
    /// assert_eq!(caps, Capabilities::CONSOLE | Capabilities::FS_READ);
    /// assert_eq!(caps.to_string(), "console|fs_read");
    /// assert_eq!(caps.bits(), 9);
    /// assert!(!caps.is_dangerous());
    /// # Ok::<(), dynload_caps::ParseCapabilitiesError>(())
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct Capabilities: u64 {
        /// Standard input, output and error, and `vais.print`, `vais.println`, `vais.log`.
        const CONSOLE = 1;
        /// Reading clocks and sleeping.
        const TIME = 2;
        /// Random numbers.
        const RANDOM = 4;
        /// Reading files and directories within the scope.
        const FS_READ = 8;
        /// Creating, changing and removing files and directories within the scope.
        const FS_WRITE = 16;
        /// Connecting to, and listening on, addresses within the scope.
        const NETWORK = 32;
        /// Reading the environment variables of the scope.
        const ENV = 64;
        /// Running the programs of the scope.
        const PROCESS = 128;
        /// Starting workers on other threads.
        const THREADING = 256;
        /// Using the GPU or another compute device.
        const GPU = 512;
    }
}

/// Every single capability with its name, in the order of the bits.
const NAMES: [(&str, Capabilities); 10] = [
    ("console", Capabilities::CONSOLE),
    ("time", Capabilities::TIME),
    ("random", Capabilities::RANDOM),
    ("fs_read", Capabilities::FS_READ),
    ("fs_write", Capabilities::FS_WRITE),
    ("network", Capabilities::NETWORK),
    ("env", Capabilities::ENV),
    ("process", Capabilities::PROCESS),
    ("threading", Capabilities::THREADING),
    ("gpu", Capabilities::GPU),
];

impl Capabilities {
    /// The empty set (`CAP_NONE`, 0).
    pub const NONE: Capabilities = Capabilities::empty();

    /// The capabilities with which a plugin can change, leak or start something outside itself: [`FS_WRITE`],
    /// [`NETWORK`], [`PROCESS`] and [`ENV`].
    ///
    /// [`FS_WRITE`]: Capabilities::FS_WRITE
    /// [`NETWORK`]: Capabilities::NETWORK
    /// [`PROCESS`]: Capabilities::PROCESS
    /// [`ENV`]: Capabilities::ENV
    pub const DANGEROUS: Capabilities = Capabilities::from_bits_retain(
        Self::FS_WRITE.bits() | Self::NETWORK.bits() | Self::PROCESS.bits() | Self::ENV.bits(),
    );

    /// Returns whether every capability of `required` is in this set. Use this to check a permission.
    ///
    /// [`contains`](Capabilities::contains), which bitflags defines, returns the same for sets of known bits. It also returns
    /// `true` for an unknown bit that both sets have ([`from_bits_retain`](Capabilities::from_bits_retain) keeps them); `has`
    /// never does, because no capability has that bit. [`NONE`](Capabilities::NONE) is in every set.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_caps::Capabilities;
    ///
    /// let caps = Capabilities::CONSOLE | Capabilities::TIME;
    /// assert!(caps.has(Capabilities::NONE));
    /// assert!(caps.has(Capabilities::TIME));
    /// assert!(!caps.has(Capabilities::TIME | Capabilities::ENV));
    /// ```
    #[must_use]
    pub const fn has(self, required: Capabilities) -> bool {
        required.bits() & !(self.bits() & Self::all().bits()) == 0
    }

    /// Returns whether the set contains any of [`DANGEROUS`](Capabilities::DANGEROUS).
    #[must_use]
    pub const fn is_dangerous(self) -> bool {
        self.intersects(Self::DANGEROUS)
    }

    /// Returns the set whose number is `bits`, for numbers from the flat API or from a file.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_caps::Capabilities;
    ///
    /// assert_eq!(Capabilities::from_raw(9i64)?, Capabilities::CONSOLE | Capabilities::FS_READ);
    /// assert_eq!(Capabilities::from_raw(1025u64).unwrap_err().bits(), 1024);
    /// # Ok::<(), dynload_caps::UnknownCapability>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UnknownCapability`] when a bit is set that no capability has (every negative number has such a bit).
    pub fn from_raw(bits: impl RawBits) -> Result<Capabilities, UnknownCapability> {
        let bits = bits.to_bits();
        match Self::from_bits(bits) {
            Some(caps) => Ok(caps),
            None => Err(UnknownCapability {
                bits: bits & !Self::all().bits(),
            }),
        }
    }

    /// Returns the name of a set of exactly one capability (`"fs_read"`), or `None` for any other set.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES
            .iter()
            .find(|(_, flag)| *flag == self)
            .map(|(name, _)| *name)
    }

    /// Returns the names of the capabilities in this set, in the order of their bits.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_caps::Capabilities;
    ///
    /// let names: Vec<&str> = Capabilities::DANGEROUS.names().collect();
    /// assert_eq!(names, ["fs_write", "network", "env", "process"]);
    /// assert_eq!(Capabilities::all().names().count(), 10);
    /// ```
    #[must_use]
    pub fn names(self) -> CapabilityNames {
        CapabilityNames { set: self, next: 0 }
    }

    /// Returns the capability with this name; letter case is ignored and `-` counts as `_`.
    ///
    /// # Errors
    ///
    /// [`ParseCapabilitiesError`] for any other word, including `none` and the empty word.
    pub fn from_single_name(name: &str) -> Result<Capabilities, ParseCapabilitiesError> {
        NAMES
            .iter()
            .find(|(known, _)| same_name(known, name))
            .map(|(_, flag)| *flag)
            .ok_or_else(|| ParseCapabilitiesError::new(name))
    }
}

fn same_name(known: &str, given: &str) -> bool {
    known.len() == given.len()
        && known.bytes().zip(given.bytes()).all(|(k, g)| {
            let g = if g == b'-' { b'_' } else { g.to_ascii_lowercase() };
            k == g
        })
}

/// The names of the capabilities of a set; see [`Capabilities::names`].
#[derive(Clone, Debug)]
pub struct CapabilityNames {
    set: Capabilities,
    next: usize,
}

impl Iterator for CapabilityNames {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        while let Some((name, flag)) = NAMES.get(self.next) {
            self.next += 1;
            if self.set.contains(*flag) {
                return Some(name);
            }
        }
        None
    }
}

impl fmt::Display for Capabilities {
    /// Writes the names joined by `|`, or `none` for the empty set. Bits that no capability has are added in
    /// hexadecimal, so that a set created with `from_bits_retain` does not look emptier than it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for name in self.names() {
            if !text.is_empty() {
                text.push('|');
            }
            text.push_str(name);
        }
        let unknown = self.bits() & !Self::all().bits();
        if unknown != 0 {
            if !text.is_empty() {
                text.push('|');
            }
            text.push_str(&alloc::format!("{unknown:#x}"));
        }
        f.pad(if text.is_empty() { "none" } else { &text })
    }
}

impl FromStr for Capabilities {
    type Err = ParseCapabilitiesError;

    /// Parses names separated by `|` or `,`, in any letter case, with optional spaces around them. `none` and an empty
    /// text are the empty set.
    fn from_str(text: &str) -> Result<Capabilities, ParseCapabilitiesError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::NONE);
        }
        let mut set = Self::NONE;
        for name in text.split(['|', ',']) {
            let name = name.trim();
            if !name.eq_ignore_ascii_case("none") {
                set |= Self::from_single_name(name)?;
            }
        }
        Ok(set)
    }
}

/// A word that is not the name of a capability.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseCapabilitiesError {
    /// The word, cut to 64 characters.
    pub word: String,
    /// The known name that it probably meant.
    pub nearest: Option<&'static str>,
}

impl ParseCapabilitiesError {
    fn new(word: &str) -> Self {
        let nearest = dynload_diagnostics::nearest_name(word, NAMES.iter().map(|(name, _)| *name));
        // The word may come from a hostile file and ends up in a log: keep it short.
        let word = word.chars().take(64).collect();
        ParseCapabilitiesError { word, nearest }
    }
}

impl fmt::Display for ParseCapabilitiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.word.is_empty() {
            return f.write_str("empty capability name: write names joined by `|`, or `none`");
        }
        write!(
            f,
            "unknown capability {:?}: ",
            dynload_diagnostics::printable(&self.word)
        )?;
        if let Some(nearest) = self.nearest {
            return write!(f, "did you mean `{nearest}`?");
        }
        f.write_str("the known names are none")?;
        NAMES.iter().try_for_each(|(name, _)| write!(f, ", {name}"))
    }
}

impl core::error::Error for ParseCapabilitiesError {}

dynload_diagnostics::debug_with_causes!(ParseCapabilitiesError);

/// A number with bits that no capability has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnknownCapability {
    bits: u64,
}

impl UnknownCapability {
    /// The bits that no capability has, and only those.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.bits
    }
}

impl fmt::Display for UnknownCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Capabilities::all().bits();
        write!(
            f,
            "unknown capability bits {:#x}: only the bits of {known:#x} are defined",
            self.bits
        )
    }
}

impl core::error::Error for UnknownCapability {}

dynload_diagnostics::debug_with_causes!(UnknownCapability);

/// Integers that [`Capabilities::from_raw`] accepts.
///
/// Implemented for `i64` and `u64`, and for `i32` and `u32` so that a literal needs no suffix. Signed numbers are
/// sign-extended, as in C.
pub trait RawBits: sealed::Sealed {
    /// Returns the 64 bits of the number.
    fn to_bits(self) -> u64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i32 {}
    impl Sealed for u32 {}
    impl Sealed for i64 {}
    impl Sealed for u64 {}
}

impl RawBits for i32 {
    fn to_bits(self) -> u64 {
        i64::from(self).cast_unsigned()
    }
}
impl RawBits for u32 {
    fn to_bits(self) -> u64 {
        u64::from(self)
    }
}
impl RawBits for i64 {
    fn to_bits(self) -> u64 {
        self.cast_unsigned()
    }
}
impl RawBits for u64 {
    fn to_bits(self) -> u64 {
        self
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Capabilities {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Capabilities {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
