//! Which records of the cache are about what a scan looked at.

use std::collections::HashSet;
use std::path::{MAIN_SEPARATOR, PathBuf};

use super::list::Candidate;
use crate::cache::{Kind, key};

const SEPARATOR: u8 = MAIN_SEPARATOR as u8;

/// The real paths of the directories of the search path.
pub(super) struct Below<'a>(pub(super) &'a [PathBuf]);

impl Below<'_> {
    /// Whether a record is about what lies here: a directory directly below one of these, or a file anywhere below.
    pub(super) fn concerns(&self, kind: Kind, path: &[u8]) -> bool {
        self.names(path)
            .any(|(_, name)| kind == Kind::Audit || !name.contains(&SEPARATOR))
    }

    /// Whether a file is one of these candidates, or in one.
    pub(super) fn is_of(&self, candidates: &HashSet<&[u8]>, file: &[u8]) -> bool {
        self.names(file).any(|(root, name)| {
            let end = name.iter().position(|byte| *byte == SEPARATOR);
            let candidate = &file[..file.len() - name.len() + end.unwrap_or(name.len())];
            // A directory of the search path may be a plugin itself.
            candidates.contains(candidate) || candidates.contains(root)
        })
    }

    /// For each of these directories that a path is in: the directory, and what stands behind it in the path.
    fn names<'p>(&self, path: &'p [u8]) -> impl Iterator<Item = (&[u8], &'p [u8])> {
        self.0.iter().filter_map(move |root| {
            let rest = path.strip_prefix(key(root))?;
            match rest {
                [] => Some((key(root), rest)),
                [first, name @ ..] if *first == SEPARATOR => Some((key(root), name)),
                _ => None,
            }
        })
    }
}

/// The keys of candidates in the cache.
pub(super) fn keys<'a>(all: impl IntoIterator<Item = &'a Candidate>) -> HashSet<&'a [u8]> {
    all.into_iter().map(|candidate| key(&candidate.real)).collect()
}
