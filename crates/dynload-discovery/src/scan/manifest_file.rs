//! Reads the `plugin.toml` of a directory.

use std::io::{self, Read};
use std::path::Path;

use cap_std::fs::Dir;

use super::directory::Look;
use super::permissions::writable;
use super::{is_escape, open_file};
use crate::cache::Fingerprint;
use crate::manifest::Manifest;
use crate::{Problem, ProblemKind, Severity};

impl Look<'_> {
    /// Returns the text of the manifest, from one state of the file.
    pub(super) fn read_manifest(&mut self, dir: &Dir) -> io::Result<Option<Vec<u8>>> {
        let path = self.candidate.path().join(Manifest::FILE_NAME);
        // A file that is being written stops changing soon, or the next scan finds it.
        for _ in 0..3 {
            let mut file = match open_file(dir, Path::new(Manifest::FILE_NAME)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let note = Problem::new(self.candidate.path(), Severity::Note, ProblemKind::NoManifest);
                    self.found.problems.push(note);
                    return Ok(None);
                }
                Err(error) if is_escape(&error) => {
                    self.problem(
                        &path,
                        ProblemKind::EntryEscapes {
                            entry: Manifest::FILE_NAME.to_owned(),
                        },
                    );
                    return Ok(None);
                }
                Err(error) => {
                    self.found.problems.push(Problem::io(&path, error));
                    return Ok(None);
                }
            };
            let before = file.metadata()?;
            if !before.is_file() {
                self.problem(&path, ProblemKind::NotAFile);
                return Ok(None);
            }
            if before.len() > Manifest::MAX_BYTES {
                self.problem(
                    &path,
                    ProblemKind::TooLarge {
                        bytes: before.len(),
                        limit: Manifest::MAX_BYTES,
                    },
                );
                return Ok(None);
            }
            let print = Fingerprint::of(&before);
            let mut text = vec![0; before.len() as usize];
            match file.read_exact(&mut text) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => {
                    self.found.problems.push(Problem::io(&path, error));
                    return Ok(None);
                }
            }
            // If size and times are the same before and after, the text is one state of the file.
            if print == Fingerprint::of(&file.metadata()?) {
                self.check_ancestors(dir, Path::new(Manifest::FILE_NAME));
                self.check(Path::new(Manifest::FILE_NAME), writable(&before));
                return Ok(Some(text));
            }
        }
        self.problem(&path, ProblemKind::Changing);
        Ok(None)
    }

    pub(super) fn parse(&mut self, bytes: &[u8]) -> Option<Manifest> {
        let path = self.candidate.path().join(Manifest::FILE_NAME);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = &bytes[..error.valid_up_to()];
                let line = before.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
                let kind = ProblemKind::NotUtf8 {
                    at: error.valid_up_to(),
                };
                self.found.problems.push(Problem {
                    line: Some(line),
                    ..Problem::error(&path, kind)
                });
                return None;
            }
        };
        match Manifest::parse(text) {
            Ok(manifest) => {
                self.found.id = Some(manifest.id.clone());
                Some(manifest)
            }
            Err(errors) => {
                self.found.id = Manifest::id_in(text).or(self.found.id.take());
                for error in errors.into_errors() {
                    let line = Some(error.line());
                    let kind = ProblemKind::Manifest(error.into_kind());
                    self.found.problems.push(Problem {
                        line,
                        ..Problem::error(&path, kind)
                    });
                }
                None
            }
        }
    }
}
