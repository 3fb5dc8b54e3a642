//! Libraries beside a plugin, and those that they need.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::image;
use crate::inspect::{self, HeaderError, LibraryInfo};
use crate::os;

/// What a plugin needs, directly and indirectly, as far as it is found relative to a library's own path.
#[derive(Debug, Default)]
pub(crate) struct Dependencies {
    /// The libraries that were found, by path. Those that the loader skips have no headers here.
    pub(crate) found: HashMap<PathBuf, Option<LibraryInfo>>,
    /// What the loader will look for, as the libraries name it.
    names: HashSet<String>,
}

impl Dependencies {
    /// Finds the libraries beside `source` that it needs, by its headers `info`.
    ///
    /// # Errors
    ///
    /// - [`Error::Header`] when a library that the loader would find is damaged: the loader never sees a damaged one.
    pub(crate) fn of(source: &Path, info: &LibraryInfo) -> Result<Dependencies, Error> {
        let mut dependencies = Dependencies::default();
        if let Some(directory) = source.parent() {
            dependencies.visit(directory, info, &[], true)?;
        }
        Ok(dependencies)
    }

    /// Checks that the loader would not use a version of a library that was reloaded or unloaded: while such an image is
    /// in memory, the loader uses it for every library that needs this name (`DT_SONAME`).
    ///
    /// # Errors
    ///
    /// - [`Error::Outdated`] when it would.
    pub(crate) fn check_outdated(&self, source: &Path) -> Result<(), Error> {
        let outdated = self
            .names
            .iter()
            .find_map(|name| Some((name, image::outdated(name)?)));
        match outdated {
            None => Ok(()),
            Some((name, image)) => Err(Error::Outdated {
                path: source.to_owned(),
                needed: name.clone(),
                image,
            }),
        }
    }

    /// Finds what a library in `directory` needs. `inherited` are the directories of the libraries that need it: the
    /// loader searches those too (`DT_RPATH`). For one that is loaded already, the loader looks for nothing
    /// again.
    fn visit(
        &mut self,
        directory: &Path,
        info: &LibraryInfo,
        inherited: &[PathBuf],
        is_new: bool,
    ) -> Result<(), Error> {
        let mut directories = inherited.to_vec();
        for run_path in run_paths(info) {
            let run_path = directory.join(run_path);
            if !directories.contains(&run_path) {
                directories.push(run_path);
            }
        }
        for needed in &info.needed {
            if is_new {
                self.names.insert(needed.clone());
            }
            match from_origin(needed) {
                // The name contains the location itself.
                Some(place) => self.find(&directory.join(place), &directories)?,
                // Any other name with a separator is a path, and is not searched for (dlopen(3)).
                None if needed.contains('/') => {}
                None => {
                    for directory in &directories {
                        self.find(&directory.join(needed), &directories)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks the library at a path, if there is one, and looks for the libraries that it needs.
    fn find(&mut self, path: &Path, inherited: &[PathBuf]) -> Result<(), Error> {
        if !path.is_file() || self.found.contains_key(path) {
            return Ok(());
        }
        self.found.insert(path.to_owned(), None);
        match (inspect::inspect(path), path.parent()) {
            (Ok(info), Some(directory)) => {
                self.visit(directory, &info, inherited, os::loaded(path).is_none())?;
                self.found.insert(path.to_owned(), Some(info));
                Ok(())
            }
            // The loader skips these.
            (
                Ok(_)
                | Err(
                    HeaderError::Read(_)
                    | HeaderError::WrongArchitecture { .. }
                    | HeaderError::WrongWordSize { .. }
                    | HeaderError::WrongByteOrder,
                ),
                _,
            ) => Ok(()),
            (Err(source), _) => Err(Error::Header {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

/// Returns the run paths that begin at the library's directory, relative to it.
fn run_paths(info: &LibraryInfo) -> Vec<PathBuf> {
    if cfg!(windows) {
        // Windows searches the directory of a library for what it needs, without a run path.
        return vec![PathBuf::new()];
    }
    info.run_paths
        .iter()
        .filter_map(|path| from_origin(path))
        .collect()
}

/// Returns the rest of a path that begins with `$ORIGIN` (ld.so(8)) or, on Apple's systems, with `@loader_path`
/// (dyld(1)): a path relative to the library's directory. Returns `None` for other paths.
fn from_origin(path: &str) -> Option<PathBuf> {
    let origins: &[&str] = if cfg!(target_vendor = "apple") {
        &["@loader_path"]
    } else {
        &["$ORIGIN", "${ORIGIN}"]
    };
    let rest = origins.iter().find_map(|origin| path.strip_prefix(origin))?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(PathBuf::from(rest.trim_start_matches('/'))),
        None => rest.is_empty().then(PathBuf::new),
    }
}
