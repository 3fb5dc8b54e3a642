//! Libraries that lie beside a plugin.
//!
//! A copy is loaded from another directory, so `$ORIGIN` in its run path is no longer where the plugin lies. What the
//! run path names is linked to the same place as seen from the copy: a library in the plugin's own directory by itself,
//! another directory as a whole. So the loader finds what it would have found, in its own order (ld.so(8)), and knows
//! which of it is loaded already.
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

/// The longest way up, as in `$ORIGIN/../../lib`.
const LEVELS: usize = 16;

/// Links what `info`, the library `source`, needs from beside it to where the copy `staged` looks for it.
///
/// # Errors
///
/// - [`Error::Header`] when a library that the loader would find is damaged: it never sees one that is.
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
    // What cannot be linked is not found, and the loader says so.
    let _ = plan.carry_out(staged);
    Ok(())
}

/// A directory where a library may look for others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    path: PathBuf,
    /// How far above the plugin it is, if it is the plugin's own or one on the way up from there. Others are linked whole.
    level: Option<usize>,
}

/// A name in the directory of the copy, or so many levels above it, and what it leads to.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Link {
    level: usize,
    name: OsString,
    target: PathBuf,
}

#[derive(Debug, Default)]
struct Plan {
    links: HashSet<Link>,
    /// The libraries that were looked at.
    seen: HashSet<PathBuf>,
}

impl Plan {
    /// Looks for what a library in the directory `origin` needs. `inherited` are the directories of those that need it:
    /// the loader looks there too (`DT_RPATH`), and a link too many does no harm.
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
                // It names its place itself.
                Some(place) => {
                    if let (Some(parent), Some(name)) = (place.parent(), place.file_name())
                        && let Some(directory) = self.enter(origin, parent)
                    {
                        self.find(&directory, Path::new(name), &directories)?;
                    }
                }
                // Another name with a separator is a path, and is not searched for (dlopen(3)).
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

    /// The directory at `place`, seen from `origin`. It is linked unless it is `origin` or above it.
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
            if level > LEVELS {
                return None;
            }
            match first {
                // From there on the system follows the path.
                Some(name) => self.link(level, name.to_owned(), above.join(name)),
                None => entered.level = Some(level),
            }
        }
        Some(entered)
    }

    /// Looks for a library in a directory, and for what it needs itself.
    fn find(&mut self, directory: &Directory, name: &Path, inherited: &[Directory]) -> Result<(), Error> {
        let path = directory.path.join(name);
        if !path.is_file() || !self.seen.insert(path.clone()) {
            return Ok(());
        }
        let found = match inspect::inspect(&path) {
            Ok(found) => Some(found),
            // The loader passes over these.
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

    fn carry_out(self, staged: &mut StagedFile) -> io::Result<()> {
        let links: Vec<Link> = self
            .links
            .into_iter()
            .filter(|link| link.target.exists())
            .collect();
        staged.lower(links.iter().map(|link| link.level).max().unwrap_or(0))?;
        for Link { level, name, target } in links {
            if let Some(directory) = staged.path().ancestors().nth(level + 1) {
                // The plugin's own name is taken: by the copy, which is what is meant.
                let _ = link_to(&target, &directory.join(name));
            }
        }
        Ok(())
    }
}

/// The run paths that begin where the library lies, from there.
fn run_paths(info: &LibraryInfo) -> Vec<PathBuf> {
    if cfg!(windows) {
        // Windows looks in the directory of a library for what it needs, without being told.
        return vec![PathBuf::new()];
    }
    info.run_paths
        .iter()
        .filter_map(|path| from_origin(path))
        .collect()
}

/// The path that is meant, from the directory of the library, when one begins with `$ORIGIN` (ld.so(8)) or, on Apple's
/// systems, with `@loader_path` (dyld(1)); nothing when it does not.
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

/// Links need a privilege on Windows, where only files of the plugin's own directory are looked for. What cannot be linked,
/// as on another volume, is copied; what is there already stays.
#[cfg(not(unix))]
fn link_to(target: &Path, link: &Path) -> io::Result<()> {
    std::fs::hard_link(target, link).or_else(|_| {
        let (from, size) = crate::regular::open_regular(target)?;
        let mut to = std::fs::File::create_new(link)?;
        io::copy(&mut io::Read::take(from, size), &mut to).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::link_to;

    #[test]
    fn what_lies_there_already_stays() {
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
