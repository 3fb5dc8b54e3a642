//! The known differences.

use crate::compare::Seen;

/// A way in which the two implementations differ on purpose.
#[derive(Debug)]
pub struct Difference {
    /// A short name.
    pub name: &'static str,
    /// Why they differ, and which document the sandbox follows.
    pub reason: &'static str,
    /// Returns whether this is that difference.
    pub applies: fn(&Seen) -> bool,
}

/// The table.
pub const DIFFERENCES: &[Difference] = &[];

/// Returns the difference that explains what was seen.
pub(crate) fn find(seen: &Seen) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| (difference.applies)(seen))
}
