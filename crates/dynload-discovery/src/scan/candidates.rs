//! Lists the candidates in a directory of the search path.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use super::permissions;
use crate::manifest::{Format, Manifest};
use crate::{Problem, ProblemKind, SearchDir, Severity, Source};

/// Something that may be a plugin.
pub(super) struct Candidate {
    /// The path below the real path of the search directory.
    pub(super) real: PathBuf,
    /// The path under the name in the search path, if that differs.
    pub(super) named: Option<PathBuf>,
    pub(super) kind: CandidateKind,
    pub(super) source: Source,
    pub(super) rank: usize,
    /// Whether it is a symbolic link.
    pub(super) link: bool,
}

impl Candidate {
    /// Returns the path for messages.
    pub(super) fn path(&self) -> &Path {
        self.named.as_deref().unwrap_or(&self.real)
    }
}

#[derive(Clone, Copy)]
pub(super) enum CandidateKind {
    Dir,
    /// A directory of the search path that is a plugin itself.
    RootDir,
    File(Format),
}

/// Lists `root`, the directory with that `rank`. A directory that does not exist is empty. `seen` contains the real paths of
/// the previous directories: one that is listed twice counts at its first position.
pub(super) fn candidates(
    root: &SearchDir,
    rank: usize,
    refuse_writable: bool,
    seen: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) -> Vec<Candidate> {
    match list(root, rank, refuse_writable, seen, problems) {
        Ok(candidates) => candidates,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(Problem::io(&root.path, error));
            Vec::new()
        }
    }
}

fn list(
    root: &SearchDir,
    rank: usize,
    refuse_writable: bool,
    seen: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) -> io::Result<Vec<Candidate>> {
    let real = fs::canonicalize(&root.path)?;
    if seen.contains(&real) {
        return Ok(Vec::new());
    }
    seen.push(real.clone());
    let metadata = fs::metadata(&real)?;
    if !metadata.is_dir() {
        problems.push(Problem::error(&root.path, ProblemKind::NotADirectory));
        return Ok(Vec::new());
    }
    if permissions::report(
        &root.path,
        permissions::writable(&metadata),
        refuse_writable,
        problems,
    ) {
        return Ok(Vec::new());
    }
    let renamed = real != root.path;
    let candidate = |name: Option<&OsStr>, kind, link| {
        let path = |dir: &Path| name.map_or_else(|| dir.to_owned(), |name| dir.join(name));
        let named = renamed.then(|| path(&root.path));
        Candidate {
            real: path(&real),
            named,
            kind,
            source: root.source,
            rank,
            link,
        }
    };
    if fs::symlink_metadata(real.join(Manifest::FILE_NAME)).is_ok() {
        return Ok(vec![candidate(None, CandidateKind::RootDir, false)]);
    }
    let mut candidates = Vec::new();
    for entry in fs::read_dir(&real)? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                problems.push(Problem::io(&root.path, error));
                continue;
            }
        };
        let name = entry.file_name();
        // As usual on Unix, names such as `.git` and `.DS_Store` are ignored.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = root.path.join(&name);
        let own = match entry.file_type() {
            Ok(own) => own,
            // It was removed a moment ago: not every file system returns the type with the name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                problems.push(Problem::io(&path, error));
                continue;
            }
        };
        let file_type = if own.is_symlink() {
            target_type(&path, problems)
        } else {
            Some(own)
        };
        let kind = match file_type {
            Some(file_type) if file_type.is_dir() => Some(CandidateKind::Dir),
            // One that is not a regular file is a problem, which is reported later.
            Some(_) => format_of(Path::new(&name)).map(CandidateKind::File),
            None => None,
        };
        candidates.extend(kind.map(|kind| candidate(Some(&name), kind, own.is_symlink())));
    }
    Ok(candidates)
}

/// Returns the type of a link's target. A broken link is an error if it has the name of a lone plugin, and otherwise a note: it
/// may have led to a plugin's directory.
fn target_type(path: &Path, problems: &mut Vec<Problem>) -> Option<FileType> {
    match fs::metadata(path) {
        Ok(metadata) => Some(metadata.file_type()),
        Err(error) => {
            let mut problem = Problem::io(path, error);
            if path
                .file_name()
                .and_then(|name| format_of(Path::new(name)))
                .is_none()
            {
                problem.severity = Severity::Note;
            }
            problems.push(problem);
            None
        }
    }
}

/// Returns the format that the name of a lone file implies: `.wasm`, `.vais`, or the extension of shared libraries on this or
/// another platform, also with a version (`.so.1.2`).
pub(super) fn format_of(name: &Path) -> Option<Format> {
    // A name that is not UTF-8 also has a format; that it is not a valid id is reported later.
    let lower = name.to_string_lossy().to_ascii_lowercase();
    if unversioned(&lower).is_some() {
        return Some(Format::Native);
    }
    let (stem, extension) = lower.rsplit_once('.')?;
    match extension {
        _ if stem.is_empty() => None,
        "wasm" => Some(Format::Wasm),
        "vais" => Some(Format::Vais),
        "so" | "dylib" | "dll" => Some(Format::Native),
        _ => None,
    }
}

/// Returns the part of a lower-case name before `.so` and a version.
pub(super) fn unversioned(lower: &str) -> Option<&str> {
    let (stem, version) = lower.rsplit_once(".so.")?;
    let numbers = version
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    (numbers && !stem.is_empty()).then_some(stem)
}
