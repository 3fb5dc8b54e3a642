//! The content of everything that a build reads, as far as it is watched.

use std::io;
use std::path::{Path, PathBuf};

use dynload_native::staging::MAX_STAGED_BYTES;
use dynload_native::{ContentHash, read_regular};

use crate::watch::{Signature, Targets};

/// The contents of the watched files at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    files: Vec<File>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    hash: ContentHash,
    size: u64,
}

/// The reason why a snapshot could not be taken.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// A file changed while it was read.
    Changing(PathBuf),
    /// The source does not exist or cannot be read.
    Source(io::Error),
}

impl Snapshot {
    pub(crate) fn take(targets: &Targets) -> Result<Self, Unreadable> {
        let mut files = Vec::new();
        for path in targets.files() {
            match read(&path) {
                Ok(Some((hash, size))) => files.push(File { path, hash, size }),
                Ok(None) => return Err(Unreadable::Changing(path)),
                Err(error) if path == targets.source => return Err(Unreadable::Source(error)),
                // An extra file may be removed at any time, which is itself a change: it is not in the snapshot.
                Err(_) => {}
            }
        }
        Ok(Self { files })
    }

    /// Returns the files that are new or different compared to `before`, and those that exist only in `before`.
    pub(crate) fn changed_since(&self, before: Option<&Self>) -> Vec<PathBuf> {
        let new = self
            .files
            .iter()
            .filter(|file| before.is_none_or(|before| !before.files.contains(file)));
        let gone = before
            .into_iter()
            .flat_map(|before| &before.files)
            .filter(|file| self.size(&file.path).is_none());
        new.chain(gone).map(|file| file.path.clone()).collect()
    }

    /// Returns the files with their sizes in bytes.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.files.iter().map(|file| (&*file.path, file.size))
    }

    /// Returns the size of a file in bytes, if it is in the snapshot.
    pub(crate) fn size(&self, path: &Path) -> Option<u64> {
        let file = self.files.iter().find(|file| file.path == path);
        file.map(|file| file.size)
    }

    /// Replaces the content of the files at `paths` by that in `other`.
    pub(crate) fn adopt(&mut self, paths: &[PathBuf], other: &Self) {
        let is_adopted = |file: &&File| paths.contains(&file.path);
        self.files.retain(|file| !is_adopted(&file));
        self.files.extend(other.files.iter().filter(is_adopted).cloned());
    }
}

/// Returns the hash and size of a file, or `None` if it changed while it was read.
fn read(path: &Path) -> io::Result<Option<(ContentHash, u64)>> {
    let before = Signature::of(path);
    let content = read_regular(path, MAX_STAGED_BYTES)?;
    let read = (ContentHash::of(&content), content.len() as u64);
    Ok((before == Signature::of(path)).then_some(read))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Glob;
    use std::fs;

    #[cfg(unix)]
    #[test]
    fn a_pipe_does_not_block() {
        let temp = tempfile::tempdir().unwrap();
        let (source, pipe) = (temp.path().join("p.c"), temp.path().join("pipe"));
        fs::write(&source, "1").unwrap();
        let created = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(created.success());
        let mut targets = Targets {
            source: source.clone(),
            extra: vec![Glob::literal(pipe.clone())],
            imports: None,
            skip: None,
        };
        let all = Snapshot::take(&targets).unwrap();
        assert_eq!(all.changed_since(None), [source]);
        targets.source = pipe;
        assert!(matches!(Snapshot::take(&targets), Err(Unreadable::Source(_))));
    }

    #[test]
    fn changed_since_returns_new_changed_and_removed_files() {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().join("p.c");
        let (a, b) = (temp.path().join("a.h"), temp.path().join("b.h"));
        let targets = Targets {
            source: source.clone(),
            extra: vec![Glob::new(&temp.path().join("*.h")).unwrap()],
            imports: None,
            skip: None,
        };
        assert!(matches!(Snapshot::take(&targets), Err(Unreadable::Source(_))));
        fs::write(&source, "1").unwrap();
        fs::write(&a, "1").unwrap();
        let first = Snapshot::take(&targets).unwrap();
        assert_eq!(first.changed_since(None), [source.clone(), a.clone()]);
        let again = Snapshot::take(&targets).unwrap();
        assert_eq!(again.changed_since(Some(&first)), [""; 0].map(PathBuf::from));
        fs::write(&source, "2").unwrap();
        fs::remove_file(&a).unwrap();
        fs::write(&b, "1").unwrap();
        let second = Snapshot::take(&targets).unwrap();
        assert_eq!(
            second.changed_since(Some(&first)),
            [source.clone(), b.clone(), a.clone()]
        );
        assert_eq!((second.size(&b), second.size(&a)), (Some(1), None));
        let mut mixed = first.clone();
        mixed.adopt(&[a, b], &second);
        assert_eq!(second.changed_since(Some(&mixed)), [source]);
    }
}
