//! The file that a loader gets.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use dynload_native::ContentHash;
use dynload_native::staging::StagedFile;

/// What kind of code an artifact is, judged by the extension of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArtifactKind {
    /// A shared library: `.so` (also `.so.1.2`), `.dylib`, `.dll`.
    Native,
    /// A WebAssembly module: `.wasm`.
    Wasm,
    /// A WebAssembly module as text: `.wat`.
    Wat,
    /// Anything else; what it means is between the builder and the loader.
    Other,
}

impl ArtifactKind {
    /// The kind of the file that `path` names. The file itself is not looked at.
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
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Self::Other;
        };
        let mut parts: Vec<String> = name.split('.').skip(1).map(str::to_ascii_lowercase).collect();
        // A shared library on ELF systems carries its version behind the extension: libm.so.6.
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

/// A complete, private copy of what was built (or of the source, where nothing is to build), ready to load.
///
/// Nobody writes to the copy again and its name is never used again, so a loader may map it, read it, or keep its path.
/// The file is removed when the version that was loaded from it has been retired, unless the loader
/// [took it over](Artifact::claim).
#[derive(Debug)]
#[non_exhaustive]
pub struct Artifact {
    /// Where the copy lies; an absolute path.
    pub path: PathBuf,
    /// What it is a copy of: the builder's output, or the source itself. This file may change or go at any time.
    pub origin: PathBuf,
    /// The source that is watched.
    pub source: PathBuf,
    /// What kind of code it is.
    pub kind: ArtifactKind,
    /// The hash of its content.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size: u64,
    /// The version that it becomes if all goes well.
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

    /// Takes the copy over: from now on it is removed when the returned value is dropped. `None` when it was taken
    /// before.
    pub fn claim(&self) -> Option<StagedFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
