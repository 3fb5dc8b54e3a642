//! Lists in messages.

use core::fmt::{self, Display};

/// Wraps a list so that it is displayed as [`Listed`] describes.
///
/// # Examples
///
/// ```
/// use dynload_diagnostics::listed;
///
/// assert_eq!(listed(&["a", "b"]).to_string(), "a, b");
/// let many: Vec<u32> = (1..=6_000).collect();
/// assert!(listed(&many).to_string().ends_with(", 19, 20 and 5980 more"));
/// ```
pub fn listed<T: Display>(items: &[T]) -> Listed<'_, T> {
    Listed(items)
}

/// Displays the first 20 items of a list, separated by commas, and the number of the others.
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
