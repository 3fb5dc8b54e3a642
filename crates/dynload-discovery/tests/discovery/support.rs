//! Directories of plugins to scan.

use std::fs;
use std::path::{Path, PathBuf};

use dynload_discovery::{CacheLocation, Discovery, Scanner, SearchPath};

/// A directory of plugins that is removed when it is dropped.
pub(crate) struct Plugins {
    dir: tempfile::TempDir,
}

impl Plugins {
    pub(crate) fn new() -> Plugins {
        Plugins {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Returns the real path, so that paths in reports can be compared.
    pub(crate) fn root(&self) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join("plugins")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        fs::canonicalize(self.dir.path())
            .unwrap()
            .join("cache/plugins.cache")
    }

    /// Writes a file, and creates its parent directories.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a Wasm plugin with this id and version, and `more` at the end of its manifest.
    #[track_caller]
    pub(crate) fn plugin(&self, dir: &str, id: &str, version: &str, more: &str) -> PathBuf {
        self.write(&format!("{dir}/plugin.wasm"), EMPTY_MODULE);
        self.write(
            &format!("{dir}/plugin.toml"),
            manifest(id, version, "plugin.wasm", more),
        )
    }

    pub(crate) fn path(&self) -> SearchPath {
        fs::create_dir_all(self.root()).unwrap();
        SearchPath::empty().with_dir(self.root())
    }

    pub(crate) fn scanner(&self) -> Scanner {
        Scanner::new(self.path()).with_cache(CacheLocation::None)
    }

    pub(crate) fn cached(&self) -> Scanner {
        Scanner::new(self.path()).with_cache(CacheLocation::File(self.cache()))
    }
}

pub(crate) const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

pub(crate) fn manifest(id: &str, version: &str, entry: &str, more: &str) -> String {
    format!("[plugin]\nid = {id:?}\nversion = {version:?}\nformat = \"wasm\"\nentry = {entry:?}\n{more}\n")
}

/// Returns the ids that were found, in order.
pub(crate) fn ids(found: &Discovery) -> Vec<&str> {
    found.plugins.iter().map(|plugin| plugin.id().as_str()).collect()
}

/// Returns the problems as text, without the part of the paths that differs from run to run.
pub(crate) fn problems(found: &Discovery, root: &Path) -> Vec<String> {
    let root = format!("{}{}", root.display(), std::path::MAIN_SEPARATOR);
    found
        .problems
        .iter()
        .map(|problem| problem.to_string().replace(&root, ""))
        .map(|problem| match problem.splitn(3, ": ").collect::<Vec<_>>()[..] {
            [severity, path, text] if cfg!(windows) => {
                format!("{severity}: {}: {text}", path.replace('\\', "/"))
            }
            _ => problem,
        })
        .collect()
}
