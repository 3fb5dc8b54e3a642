//! What there is in a directory of the search path.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use crate::cache::writable_by_others;
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
    if let Some(kind) = writable(&metadata) {
        let severity = if refuse_writable {
            Severity::Error
        } else {
            Severity::Warning
        };
        problems.push(Problem::new(&root.path, severity, kind));
        if refuse_writable {
            return Ok(Vec::new());
        }
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
        let own = entry.file_type()?;
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

/// What a link leads to. One that leads nowhere is reported when its name looks like a plugin's.
fn target_type(path: &Path, problems: &mut Vec<Problem>) -> Option<FileType> {
    match fs::metadata(path) {
        Ok(metadata) => Some(metadata.file_type()),
        Err(error) => {
            problems.push(Problem::io(path, error));
            None
        }
    }
}

/// The format that the name of a lone file tells: `.wasm`, `.vais`, or this or another platform's extension of shared
/// libraries, also with a version (`.so.1.2`).
pub(super) fn format_of(name: &Path) -> Option<Format> {
    let text = name.to_str()?;
    let lower = text.to_ascii_lowercase();
    let (stem, extension) = lower.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    match extension {
        "wasm" => Some(Format::Wasm),
        "vais" => Some(Format::Vais),
        "so" | "dylib" | "dll" => Some(Format::Native),
        _ => {
            let (_, version) = lower.rsplit_once(".so.")?;
            let numbers = version
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
            numbers.then_some(Format::Native)
        }
    }
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
