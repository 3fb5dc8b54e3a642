//! What there is in a directory of the search path.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use super::writable;
use crate::manifest::{Format, Manifest};
use crate::{Problem, ProblemKind, SearchDir, Severity, Source};

/// Something that may be a plugin.
pub(super) struct Candidate {
    /// Below the real path of the search directory; by this the cache knows it.
    pub(super) real: PathBuf,
    /// Under the name of the search path, when that is not the same.
    pub(super) named: Option<PathBuf>,
    pub(super) kind: CandidateKind,
    pub(super) source: Source,
    pub(super) rank: usize,
    /// Whether the name is one of a symbolic link.
    pub(super) link: bool,
}

impl Candidate {
    /// The path to show to people.
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

/// Lists `root`, the directory of that `rank`. A directory that is not there is empty. `seen` has the real paths of the
/// directories that came before: one that is named twice counts where it is named first.
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
    if writable::report(
        &root.path,
        writable::writable(&metadata),
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
        // As everywhere on Unix: `.git`, `.DS_Store` and the like are nobody's business.
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = root.path.join(&name);
        let own = match entry.file_type() {
            Ok(own) => own,
            // It went a moment ago; not every file system tells the type with the name.
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
            Some(file_type) if file_type.is_file() => format_of(Path::new(&name)).map(CandidateKind::File),
            _ => None,
        };
        candidates.extend(kind.map(|kind| candidate(Some(&name), kind, own.is_symlink())));
    }
    Ok(candidates)
}

/// What a link leads to. One that leads nowhere is an error when its name is one of a lone plugin, and else worth a note: it
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

/// The format that the name of a lone file tells: `.wasm`, `.vais`, or this or another platform's extension of shared
/// libraries, also with a version (`.so.1.2`).
pub(super) fn format_of(name: &Path) -> Option<Format> {
    // A name that is not UTF-8 has a format too; that it gives no id is said later.
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

/// What stands before `.so` and a version, in lower case.
pub(super) fn unversioned(lower: &str) -> Option<&str> {
    let (stem, version) = lower.rsplit_once(".so.")?;
    let numbers = version
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    (numbers && !stem.is_empty()).then_some(stem)
}
