//! Files and directories that users other than their owner can write to.

use std::fs;
use std::path::Path;

use crate::cache::writable_by_others;
use crate::{Problem, ProblemKind, Severity};

/// Reports the problem `kind` of `path`, if it is one. Returns whether the path is refused.
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

/// Returns the problem if users other than the owner can write to a file or directory.
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

/// Like [`writable`], for the metadata of `cap-std`.
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

/// Returns the problem if others can replace the target of a link, which is in the directory `parent`. In a directory with the
/// sticky bit, such as `/tmp`, only the owner can (inode(7)).
pub(super) fn replaceable(parent: &Path) -> Option<ProblemKind> {
    const STICKY: u32 = 0o1000;
    let kind = writable(&fs::metadata(parent).ok()?)?;
    match kind {
        ProblemKind::WritableByOthers { mode } if mode & STICKY != 0 => None,
        kind => Some(kind),
    }
}
