//! Which records of the cache are about what a scan looked at.

use std::collections::HashSet;
use std::path::{MAIN_SEPARATOR, PathBuf};

use super::list::Candidate;
use crate::cache::key;

/// What there is in the directories of the search path, to tell which records of the cache are about it.
pub(super) struct Below<'a> {
    roots: &'a [PathBuf],
    /// The candidates, and those of them that have a true record.
    there: HashSet<&'a [u8]>,
    pub(super) recorded: HashSet<&'a [u8]>,
}

impl<'a> Below<'a> {
    pub(super) fn new(roots: &'a [PathBuf], all: &'a [Candidate], recorded: HashSet<&'a [u8]>) -> Below<'a> {
        Below {
            roots,
            there: all.iter().map(|candidate| key(&candidate.real)).collect(),
            recorded,
        }
    }

    /// For each directory of the search path that `path` is in: the candidate that it is or is in.
    fn candidates<'p>(&self, path: &'p [u8]) -> impl Iterator<Item = &'p [u8]> {
        let separator = MAIN_SEPARATOR as u8;
        self.roots.iter().filter_map(move |root| {
            let rest = path.strip_prefix(key(root))?;
            let name = match rest {
                [] => return Some(path),
                [first, name @ ..] if *first == separator => name,
                _ => return None,
            };
            let end = name.iter().position(|byte| *byte == separator);
            // A directory of the search path may be a plugin itself.
            if self.there.contains(key(root)) {
                return Some(&path[..path.len() - rest.len()]);
            }
            Some(&path[..end.map_or(path.len(), |end| path.len() - name.len() + end)])
        })
    }

    pub(super) fn is_candidate(&self, path: &[u8]) -> bool {
        self.candidates(path).any(|candidate| candidate == path)
    }

    pub(super) fn is_foreign(&self, path: &[u8]) -> bool {
        self.candidates(path).next().is_none()
    }

    pub(super) fn is_there(&self, path: &[u8]) -> bool {
        self.candidates(path)
            .any(|candidate| self.there.contains(candidate))
    }
}
