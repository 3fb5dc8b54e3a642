//! Libraries beside a plugin.
//!
//! A copy is loaded from another directory, so `$ORIGIN` in its run path is no longer the plugin's directory. What the
//! run path names is linked at the same relative path from the copy: a library in the plugin's own directory
//! individually, another directory as a whole. So the loader finds what it would have found for the original, in its
//! own order (ld.so(8)), and recognizes which of these libraries are loaded already.
//!
//! ```text
//! /plugins/greeter/libgreeter.so           run path $ORIGIN:$ORIGIN/deps:$ORIGIN/../lib
//!
//! 1/.below/libgreeter.so                   the copy, with room above it
//! 1/.below/libbeside.so                    -> /plugins/greeter/libbeside.so
//! 1/.below/deps                            -> /plugins/greeter/deps
//! 1/lib                                    -> /plugins/greeter/../lib
//! ```

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::Error;
use crate::inspect::{self, HeaderError, LibraryInfo};
use crate::staging::StagedFile;

/// The most levels above the plugin's directory that a path may reach, as in `$ORIGIN/../../lib`.
const MAX_LEVELS: usize = 16;

/// Links the libraries beside `source` that it needs, by its headers `info`, to where the copy `staged` looks for them.
///
/// # Errors
///
/// - [`Error::Header`] when a library that the loader would find is damaged: the loader never sees a damaged one.
pub(crate) fn link(source: &Path, staged: &mut StagedFile, info: &LibraryInfo) -> Result<(), Error> {
    let Some(directory) = std::path::absolute(source)
        .ok()
        .and_then(|source| Some(source.parent()?.to_owned()))
    else {
        return Ok(());
    };
    let mut plan = Plan::default();
    let origin = Directory {
        path: directory,
        level: Some(0),
    };
    plan.visit(&origin, info, &[])?;
    // The loader does not find a library that could not be linked, and reports that.
    let _ = plan.apply(staged);
    Ok(())
}

/// A directory where a library may look for others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    path: PathBuf,
    /// How many levels above the plugin's directory it is, if it is that directory or one above it. Others are linked
    /// as a whole.
    level: Option<usize>,
}

/// A link to create: `name`, in the directory that is `level` levels above the copy's own, which points to `target`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Link {
    level: usize,
    name: OsString,
    target: PathBuf,
}

#[derive(Debug, Default)]
struct Plan {
    links: HashSet<Link>,
    /// The libraries that were visited.
    seen: HashSet<PathBuf>,
}

impl Plan {
    /// Finds what a library in the directory `origin` needs. `inherited` are the directories of the libraries that need
    /// it: the loader searches those too (`DT_RPATH`), and a superfluous link does no harm.
    fn visit(
        &mut self,
        origin: &Directory,
        info: &LibraryInfo,
        inherited: &[Directory],
    ) -> Result<(), Error> {
        let mut directories = inherited.to_vec();
        for run_path in run_paths(info) {
            let Some(directory) = self.enter(origin, &run_path) else {
                continue;
            };
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        for needed in &info.needed {
            match from_origin(needed) {
                // The name contains the location itself.
                Some(place) => {
                    if let (Some(parent), Some(name)) = (place.parent(), place.file_name())
                        && let Some(directory) = self.enter(origin, parent)
                    {
                        self.find(&directory, Path::new(name), &directories)?;
                    }
                }
                // Any other name with a separator is a path, and is not searched for (dlopen(3)).
                None if needed.contains('/') => {}
                None => {
                    for directory in directories.clone() {
                        self.find(&directory, Path::new(needed), &directories)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the directory at the path `place` relative to `origin`. Links it unless it is `origin` or above it.
    fn enter(&mut self, origin: &Directory, place: &Path) -> Option<Directory> {
        let mut entered = Directory {
            path: origin.path.join(place),
            level: None,
        };
        if let Some(mut level) = origin.level {
            let mut above = origin.path.clone();
            let mut parts = place.components();
            let first = loop {
                match parts.next() {
                    None => break None,
                    Some(Component::CurDir) => {}
                    Some(Component::ParentDir) => {
                        level += 1;
                        above.push("..");
                    }
                    Some(Component::Normal(name)) => break Some(name),
                    Some(Component::Prefix(_) | Component::RootDir) => return None,
                }
            };
            if level > MAX_LEVELS {
                return None;
            }
            match first {
                // The system follows the rest of the path.
                Some(name) => self.link(level, name.to_owned(), above.join(name)),
                None => entered.level = Some(level),
            }
        }
        Some(entered)
    }

    /// Looks for a library in a directory, and for the libraries that it needs.
    fn find(&mut self, directory: &Directory, name: &Path, inherited: &[Directory]) -> Result<(), Error> {
        let path = directory.path.join(name);
        if !path.is_file() || !self.seen.insert(path.clone()) {
            return Ok(());
        }
        let found = match inspect::inspect(&path) {
            Ok(found) => Some(found),
            // The loader skips these.
            Err(
                HeaderError::Read(_)
                | HeaderError::WrongArchitecture { .. }
                | HeaderError::WrongWordSize { .. }
                | HeaderError::WrongByteOrder,
            ) => None,
            Err(source) => return Err(Error::Header { path, source }),
        };
        if let Some(level) = directory.level {
            self.link(level, name.into(), path);
        }
        found.map_or(Ok(()), |found| self.visit(directory, &found, inherited))
    }

    fn link(&mut self, level: usize, name: OsString, target: PathBuf) {
        self.links.insert(Link { level, name, target });
    }

    fn apply(self, staged: &mut StagedFile) -> io::Result<()> {
        let links: Vec<Link> = self
            .links
            .into_iter()
            .filter(|link| link.target.exists())
            .collect();
        staged.lower(links.iter().map(|link| link.level).max().unwrap_or(0))?;
        for Link { level, name, target } in links {
            if let Some(directory) = staged.path().ancestors().nth(level + 1) {
                // The plugin's own name is taken by the copy, which is the file to be found under it.
                let _ = link_to(&target, &directory.join(name));
            }
        }
        Ok(())
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

#[cfg(unix)]
fn link_to(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

/// Creates a hard link: symlinks need a privilege on Windows, where only files of the plugin's own directory are looked
/// for. A file that cannot be linked, such as one on another volume, is copied. An existing file is kept.
#[cfg(not(unix))]
fn link_to(target: &Path, link: &Path) -> io::Result<()> {
    std::fs::hard_link(target, link).or_else(|_| {
        let (from, size) = crate::open_regular::open_regular(target)?;
        let mut to = std::fs::File::create_new(link)?;
        io::copy(&mut io::Read::take(from, size), &mut to).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::link_to;

    #[test]
    fn an_existing_file_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let [target, link, copy] = ["source", "link", "copy"].map(|name| directory.path().join(name));
        fs::write(&target, "the source").unwrap();
        fs::write(&copy, "the copy").unwrap();

        link_to(&target, &link).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "the source");
        link_to(&target, &copy).unwrap_err();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "the copy");
    }
}
