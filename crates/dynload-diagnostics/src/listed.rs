//! Lists in messages.

use core::fmt::{self, Display};

/// Wraps a list so that it is displayed as [`Listed`] describes.
///
/// The items are not escaped. If someone else chose their text, wrap each in [`printable`](crate::printable()).
///
/// # Examples
///
/// ```
/// use dynload_diagnostics::{listed, printable};
///
/// assert_eq!(listed(&["a", "b"]).to_string(), "a, b");
/// let many: Vec<u32> = (1..=6_000).collect();
/// assert!(listed(&many).to_string().ends_with(", 19, 20 and 5980 more"));
///
/// // Names that a plugin chose.
/// let names = ["read", "x\x1b[2J\ny"];
/// let names: Vec<_> = names.iter().map(printable).collect();
/// assert_eq!(listed(&names).to_string(), r"read, x\u{1b}[2J\u{a}y");
/// ```
pub fn listed<T: Display>(items: &[T]) -> Listed<'_, T> {
    Listed(items)
}

/// Displays the first 20 items of a list, separated by commas, and the number of the others.
///
/// Each item is displayed as it is: nothing is escaped or cut.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Listed<'a, T>(&'a [T]);

impl<T> Listed<'_, T> {
    /// The number of items that are displayed at most: 20.
    pub const MOST: usize = 20;
}

impl<T: Display> Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().take(Self::MOST).enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(Self::MOST) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
