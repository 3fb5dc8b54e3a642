//! The file that is passed to a loader.

use crate::sync::lock;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use dynload_native::ContentHash;
use dynload_native::staging::StagedFile;

/// The kind of code in an artifact, determined by its file name extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArtifactKind {
    /// A shared library: `.so` (also `.so.1.2`), `.dylib`, `.dll`.
    Native,
    /// A WebAssembly module: `.wasm`.
    Wasm,
    /// A WebAssembly module in the text format: `.wat`.
    Wat,
    /// Anything else; the builder and the loader agree on its meaning.
    Other,
}

impl ArtifactKind {
    /// Returns the kind of the file at `path`. Only the name is examined, not the file itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_hotreload::ArtifactKind;
    ///
    /// assert_eq!(ArtifactKind::of("libplugin.so.1.2".as_ref()), ArtifactKind::Native);
    /// assert_eq!(ArtifactKind::of("PLUGIN.WASM".as_ref()), ArtifactKind::Wasm);
    /// assert_eq!(ArtifactKind::of("plugin.c".as_ref()), ArtifactKind::Other);
    /// ```
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut parts: Vec<String> = name.split('.').skip(1).map(str::to_ascii_lowercase).collect();
        // On ELF systems, the version of a shared library follows the extension: libm.so.6.
        while parts.len() > 1
            && parts
                .last()
                .is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        {
            parts.pop();
        }
        match parts.last().map(String::as_str) {
            Some("so" | "dylib" | "dll") => Self::Native,
            Some("wasm") => Self::Wasm,
            Some("wat") => Self::Wat,
            _ => Self::Other,
        }
    }
}

/// A complete, private copy of the build output (or of the source, if it is not built), ready to load.
///
/// The copy is never modified and its name is never reused, so a loader may map it, read it, or keep its path. The
/// file is removed when the version that was loaded from it has been retired, unless the loader [claimed
/// it](Artifact::claim).
#[derive(Debug)]
#[non_exhaustive]
pub struct Artifact {
    /// The path of the copy; an absolute path.
    pub path: PathBuf,
    /// The original of the copy: the builder's output, or the source itself. This file may change or be removed at
    /// any time.
    pub origin: PathBuf,
    /// The watched source.
    pub source: PathBuf,
    /// The kind of code.
    pub kind: ArtifactKind,
    /// The hash of the content.
    pub hash: ContentHash,
    /// The size in bytes.
    pub size: u64,
    /// The version that it becomes if loading succeeds.
    pub version: u64,
    file: Mutex<Option<StagedFile>>,
}

impl Artifact {
    pub(crate) fn new(file: StagedFile, origin: PathBuf, source: PathBuf, version: u64) -> Self {
        Self {
            path: file.path().to_owned(),
            kind: ArtifactKind::of(file.path()),
            hash: file.hash(),
            size: file.size(),
            origin,
            source,
            version,
            file: Mutex::new(Some(file)),
        }
    }

    /// Takes ownership of the copy, which is then removed when the returned value is dropped. Returns `None` if the
    /// copy was claimed before.
    pub fn claim(&self) -> Option<StagedFile> {
        lock(&self.file).take()
    }
}
