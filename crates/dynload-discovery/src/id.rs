//! Plugin ids.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use dynload_diagnostics::printable;

/// The name that identifies a plugin: a letter or digit, then letters, digits, `.`, `_` and `-`, at most 128 characters,
/// ASCII only.
///
/// An id is therefore never empty, `.`, `..` or a path with a separator, and on Unix it is a valid file name. It is not
/// always one on Windows, where names such as `CON` are reserved and a final dot is removed. Ids are compared byte by
/// byte: two that differ only in case are different ids, but the same file name on a case-insensitive file system.
///
/// # Examples
///
/// ```
/// use dynload_discovery::PluginId;
///
/// let id: PluginId = "org.example.greeter".parse()?;
/// assert_eq!(id.as_str(), "org.example.greeter");
/// assert!("../greeter".parse::<PluginId>().is_err());
/// # Ok::<(), dynload_discovery::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId(Box<str>);

impl PluginId {
    /// The maximum length of an id, in characters.
    pub const MAX_LEN: usize = 128;

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<PluginId, InvalidId> {
        let mut bytes = text.bytes();
        let reason = match bytes.next() {
            None => InvalidIdReason::Empty,
            Some(first) if !first.is_ascii_alphanumeric() => InvalidIdReason::BadStart,
            Some(_) if !bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) => {
                InvalidIdReason::BadCharacter
            }
            Some(_) if text.len() > PluginId::MAX_LEN => InvalidIdReason::TooLong,
            Some(_) => return Ok(PluginId(text.into())),
        };
        Err(InvalidId {
            found: text.chars().take(PluginId::MAX_LEN).collect(),
            reason,
        })
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for PluginId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for PluginId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A text that is not a [`PluginId`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidId {
    /// The text, cut to the maximum length of an id.
    pub found: String,
    /// What is wrong with it.
    pub reason: InvalidIdReason,
}

/// What is wrong with an invalid id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidIdReason {
    /// It is empty.
    Empty,
    /// It does not start with a letter or digit.
    BadStart,
    /// It contains a character that is not allowed in an id.
    BadCharacter,
    /// It is longer than [`PluginId::MAX_LEN`].
    TooLong,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bad plugin id {:?}: ", printable(&self.found))?;
        f.write_str(match self.reason {
            InvalidIdReason::Empty => "it is empty",
            InvalidIdReason::BadStart => "start it with an ASCII letter or digit",
            InvalidIdReason::BadCharacter => "use ASCII letters, digits, `.`, `_` and `-` only",
            InvalidIdReason::TooLong => "use at most 128 characters",
        })
    }
}

impl std::error::Error for InvalidId {}

dynload_diagnostics::debug_with_causes!(InvalidId);
