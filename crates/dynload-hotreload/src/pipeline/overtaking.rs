//! The files that change during builds: which of them cancel a build, and which of them the build itself writes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A file that changes during this many builds in a row is taken to be written by the build.
const BUILDS_OF_ONE_FILE: u32 = 3;
/// If something changes during this many builds in a row, all of it is taken to be written by the build: the build may
/// choose another name each time.
const BUILDS_OF_ANY_FILE: u32 = 8;
/// At most this many builds in a row are cancelled.
const CANCELLED: u32 = 3;

#[derive(Default)]
pub(super) struct Overtaking {
    /// The number of the latest builds in a row during which the file changed.
    streaks: BTreeMap<PathBuf, u32>,
    /// The files that the build writes. Their changes during a build are no reason for another.
    written: BTreeSet<PathBuf>,
    /// The number of the latest builds in a row during which a file changed that the build does not write.
    overtaken: u32,
    /// The number of the latest builds in a row that were cancelled.
    cancelled: u32,
}

impl Overtaking {
    /// Returns whether these changes cancel the running build: not if each file has changed during the build before, so that
    /// a build that changes its own inputs comes to an end.
    pub(super) fn cancels(&self, changed: &[PathBuf]) -> bool {
        let is_first = |file| !self.written.contains(file) && !self.streaks.contains_key(file);
        let is_last = self.cancelled >= CANCELLED || self.overtaken + 1 >= BUILDS_OF_ANY_FILE;
        !is_last && changed.iter().any(is_first)
    }

    /// Records a cancelled build and the files that changed during it. Returns those that the build writes.
    pub(super) fn cancelled(&mut self, changed: &[PathBuf]) -> Vec<PathBuf> {
        self.cancelled += 1;
        self.count(changed)
    }

    /// Records a build that ran to its end and the files that changed during it. Returns those that the build writes.
    pub(super) fn ended(&mut self, changed: &[PathBuf]) -> Vec<PathBuf> {
        self.cancelled = 0;
        self.streaks.retain(|file, _| changed.contains(file));
        let mut written = self.count(changed);
        let is_endless = self.overtaken >= BUILDS_OF_ANY_FILE;
        self.streaks.retain(|file, builds| {
            let is_written = is_endless || *builds >= BUILDS_OF_ONE_FILE;
            if is_written {
                written.push(file.clone());
            }
            !is_written
        });
        self.written.extend(written.iter().cloned());
        if self.streaks.is_empty() {
            self.overtaken = 0;
        }
        written
    }

    /// Records that files have changed while no build was running: someone else writes them too.
    pub(super) fn changed_outside(&mut self, changed: &[PathBuf]) {
        for file in changed {
            self.written.remove(file);
        }
    }

    fn count(&mut self, changed: &[PathBuf]) -> Vec<PathBuf> {
        let (written, others): (Vec<_>, Vec<_>) = changed
            .iter()
            .cloned()
            .partition(|file| self.written.contains(file));
        self.overtaken += u32::from(!others.is_empty());
        for file in others {
            *self.streaks.entry(file).or_default() += 1;
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn a_file_cancels_one_build_and_is_written_by_the_third() {
        let (mut overtaking, a) = (Overtaking::default(), files(&["a"]));
        assert!(overtaking.cancels(&a));
        assert_eq!(overtaking.cancelled(&a), files(&[]));
        assert!(!overtaking.cancels(&a) && overtaking.cancels(&files(&["a", "b"])));
        assert_eq!(overtaking.ended(&a), files(&[]));
        assert!(!overtaking.cancels(&a));
        assert_eq!(overtaking.ended(&a), a);
        // From now on it is ignored during builds, until it changes outside of one.
        assert!(!overtaking.cancels(&a) && overtaking.cancels(&files(&["a", "b"])));
        assert_eq!(overtaking.ended(&files(&["a", "b"])), a);
        overtaking.changed_outside(&a);
        assert!(overtaking.cancels(&a));
        assert_eq!(overtaking.ended(&a), files(&[]));
    }

    #[test]
    fn a_build_without_changes_ends_the_row() {
        let (mut overtaking, a) = (Overtaking::default(), files(&["a"]));
        for _ in 0..20 {
            assert!(overtaking.cancels(&a));
            assert_eq!(overtaking.cancelled(&a), files(&[]));
            assert_eq!(overtaking.ended(&a), files(&[]));
            assert_eq!(overtaking.ended(&[]), files(&[]));
        }
    }

    #[test]
    fn at_most_three_builds_in_a_row_are_cancelled_and_new_names_come_to_an_end() {
        let mut overtaking = Overtaking::default();
        let mut cancelled = 0;
        for build in 1..BUILDS_OF_ANY_FILE {
            let new = files(&[&build.to_string()]);
            if overtaking.cancels(&new) {
                cancelled += 1;
                assert!(cancelled <= CANCELLED);
                overtaking.cancelled(&new);
            } else {
                cancelled = 0;
                assert_eq!(overtaking.ended(&new), files(&[]));
            }
        }
        assert_eq!(overtaking.ended(&files(&["last"])), files(&["last"]));
        assert_eq!(overtaking.ended(&files(&["first"])), files(&[]), "another row");
    }
}
