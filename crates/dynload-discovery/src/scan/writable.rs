//! Files and directories that others than their owner can write to.

use std::fs;
use std::path::Path;

use crate::cache::writable_by_others;
use crate::{Problem, ProblemKind, Severity};

/// Reports what others can write to, at `path`. Says whether that is refused.
pub(super) fn report(
    path: &Path,
    kind: Option<ProblemKind>,
    refuse: bool,
    problems: &mut Vec<Problem>,
) -> bool {
    let Some(kind) = kind else { return false };
    let severity = if refuse {
        Severity::Error
    } else {
        Severity::Warning
    };
    problems.push(Problem::new(path, severity, kind));
    refuse
}

/// The problem, when others than its owner can write to a file or directory.
pub(super) fn writable(metadata: &fs::Metadata) -> Option<ProblemKind> {
    if !writable_by_others(metadata) {
        return None;
    }
    #[cfg(unix)]
    let mode = std::os::unix::fs::MetadataExt::mode(metadata);
    #[cfg(not(unix))]
    let mode = 0;
    Some(ProblemKind::WritableByOthers { mode })
}

/// The same, for what was opened inside of a directory.
pub(super) fn writable_cap(metadata: &cap_std::fs::Metadata) -> Option<ProblemKind> {
    #[cfg(unix)]
    {
        let mode = cap_std::fs::MetadataExt::mode(metadata);
        (mode & 0o022 != 0).then_some(ProblemKind::WritableByOthers { mode })
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

/// The problem, when others can put something else in the place of what a link leads to, in the directory `parent`. In
/// one with the sticky bit, such as `/tmp`, nobody can but the owner (inode(7)).
pub(super) fn replaceable(parent: &Path) -> Option<ProblemKind> {
    const STICKY: u32 = 0o1000;
    let kind = writable(&fs::metadata(parent).ok()?)?;
    match kind {
        ProblemKind::WritableByOthers { mode } if mode & STICKY != 0 => None,
        kind => Some(kind),
    }
}
