//! The content of everything that a build reads, as far as it is watched.

use std::io;
use std::path::{Path, PathBuf};

use dynload_native::staging::MAX_STAGED_BYTES;
use dynload_native::{ContentHash, read_regular};

use crate::watch::{Signature, Targets};

/// What the watched files were at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    files: Vec<(PathBuf, ContentHash)>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// A file changed while it was read.
    Changing(PathBuf),
    /// The source is not there, or cannot be read.
    Source(io::Error),
}

impl Snapshot {
    pub(crate) fn take(targets: &Targets) -> Result<Self, Unreadable> {
        let mut files = Vec::new();
        for path in targets.files() {
            match read(&path) {
                Ok(Some(hash)) => files.push((path, hash)),
                Ok(None) => return Err(Unreadable::Changing(path)),
                Err(error) if path == targets.source => return Err(Unreadable::Source(error)),
                // An extra file may go at any time, and that is a change of its own: it is not in the snapshot.
                Err(_) => {}
            }
        }
        Ok(Self { files })
    }

    /// The files that are not in `before` as they are here, and those that are only there.
    pub(crate) fn changed_since(&self, before: Option<&Self>) -> Vec<PathBuf> {
        let Some(before) = before else {
            return self.files.iter().map(|(path, _)| path.clone()).collect();
        };
        let new = self
            .files
            .iter()
            .filter(|file| !before.files.contains(file))
            .map(|(path, _)| path.clone());
        let gone = before.files.iter().map(|(path, _)| path);
        let gone = gone
            .filter(|path| !self.files.iter().any(|(here, _)| here == *path))
            .cloned();
        new.chain(gone).collect()
    }
}

/// The hash of a file, or none when it changed meanwhile.
fn read(path: &Path) -> io::Result<Option<ContentHash>> {
    let before = Signature::of(path);
    let content = read_regular(path, MAX_STAGED_BYTES)?;
    Ok((before == Signature::of(path)).then(|| ContentHash::of(&content)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Glob;
    use std::fs;

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let (source, pipe) = (temp.path().join("p.c"), temp.path().join("pipe"));
        fs::write(&source, "1").unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let mut targets = Targets {
            source: source.clone(),
            extra: vec![Glob::new(&pipe)],
            skip: None,
        };
        let all = Snapshot::take(&targets).unwrap();
        assert_eq!(all.changed_since(None), [source]);
        targets.source = pipe;
        assert!(matches!(Snapshot::take(&targets), Err(Unreadable::Source(_))));
    }

    #[test]
    fn names_what_is_new_and_what_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().join("p.c");
        let (a, b) = (temp.path().join("a.h"), temp.path().join("b.h"));
        let targets = Targets {
            source: source.clone(),
            extra: vec![Glob::new(&temp.path().join("*.h"))],
            skip: None,
        };
        assert!(matches!(Snapshot::take(&targets), Err(Unreadable::Source(_))));
        fs::write(&source, "1").unwrap();
        fs::write(&a, "1").unwrap();
        let first = Snapshot::take(&targets).unwrap();
        assert_eq!(first.changed_since(None), [source.clone(), a.clone()]);
        assert_eq!(Snapshot::take(&targets).unwrap(), first);
        fs::write(&source, "2").unwrap();
        fs::remove_file(&a).unwrap();
        fs::write(&b, "1").unwrap();
        let second = Snapshot::take(&targets).unwrap();
        assert_eq!(second.changed_since(Some(&first)), [source, b, a]);
    }
}
