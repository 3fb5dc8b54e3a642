//! The steps of a reload.

use std::fmt;

/// A step from a saved file to running code.
///
/// The steps run in the order in which they are listed. Most are named after the [`EventKind`](crate::EventKind) that
/// ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Reading the source and checking whether its content is new.
    Read,
    /// Running the compiler or the user's command.
    Build,
    /// Copying the artifact to a path that was never used before.
    Stage,
    /// Checking the copy and loading it, beside the running version.
    Load,
    /// Transferring the state from the old version to the new one.
    Restore,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Build => "build",
            Self::Stage => "stage",
            Self::Load => "load",
            Self::Restore => "restore",
        })
    }
}
