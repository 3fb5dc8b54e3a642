//! Libraries that lie beside a plugin.
//!
//! A copy is loaded from another directory, so `$ORIGIN` in its run path is no longer where the plugin lies. What it
//! needs from there is brought within its reach in one of two ways:
//!
//! - A library with a name of its own (`DT_SONAME`) is opened beforehand, from where it lies. The loader then finds it
//!   by that name among the libraries that it has.
//! - One without, such as a Rust `dylib`, is linked to where the copy will look for it.

use std::path::{Component, Path, PathBuf};

use crate::flags::Flags;
use crate::inspect::{self, LibraryInfo};
use crate::os::{self, Handle};

/// How many libraries deep the links go: one that needs one that needs one, and so on.
const DEPTH: usize = 8;

/// Libraries that were opened so that a copy finds them.
pub(crate) struct Dependencies {
    handles: Vec<Handle>,
}

impl Dependencies {
    /// Prepares what `info` needs and what lies where its run path leads, seen from the directory of `source`, for
    /// the copy in the directory `staged`.
    ///
    /// One that is broken is left out: then the loader says that it is missing.
    ///
    /// # Safety
    ///
    /// The constructors and destructors of these libraries run.
    pub(crate) unsafe fn open(source: &Path, staged: &Path, info: &LibraryInfo) -> Dependencies {
        let mut dependencies = Dependencies { handles: Vec::new() };
        let source = std::path::absolute(source).ok();
        if let (Some(source), Some(staged)) = (source.as_deref().and_then(Path::parent), staged.parent()) {
            // SAFETY: the caller answers for the constructors and destructors.
            unsafe { dependencies.prepare(source, staged, info, DEPTH) };
        }
        dependencies
    }

    /// # Safety
    ///
    /// As for [`Dependencies::open`].
    unsafe fn prepare(&mut self, source: &Path, staged: &Path, info: &LibraryInfo, depth: usize) {
        for needed in &info.needed {
            let Some((place, path)) = find(source, info, needed) else {
                continue;
            };
            let Ok(found) = inspect::inspect(&path) else {
                continue;
            };
            // Windows knows a module by its file's name, which is the name that is asked for.
            if cfg!(windows) || found.name.as_ref() == Some(needed) && cfg!(not(target_vendor = "apple")) {
                // SAFETY: the caller answers for the constructors and destructors.
                self.handles.extend(unsafe { os::open(&path, Flags::NOW) });
            } else if let Some(link) = link(staged, &place, &path)
                && depth > 0
                && let (Some(source), Some(staged)) = (path.parent(), link.parent())
            {
                // It will look for what it needs from where the link is.
                // SAFETY: the caller answers for the constructors and destructors.
                unsafe { self.prepare(source, staged, &found, depth - 1) };
            }
        }
    }

    /// Gives the handles back. What the copy uses stays: it has it open itself.
    ///
    /// # Safety
    ///
    /// The copy is open. Nobody else was given these handles.
    pub(crate) unsafe fn close(self) {
        for handle in self.handles {
            // SAFETY: no address was taken from it, and the copy, which needs it, has it open.
            let _ = unsafe { os::close(handle) };
        }
    }
}

/// Where a library that is needed lies, as a path from the directory `source` and as a whole.
fn find(source: &Path, info: &LibraryInfo, needed: &str) -> Option<(PathBuf, PathBuf)> {
    let places: Vec<PathBuf> = if cfg!(windows) {
        // Windows looks in the directory of a library for what it needs, without being told.
        vec![PathBuf::from(needed)]
    } else if cfg!(target_vendor = "apple") {
        needed
            .strip_prefix("@loader_path/")
            .map(PathBuf::from)
            .into_iter()
            .collect()
    } else if needed.contains('/') {
        // A name with a separator is a path, and is not searched for (dlopen(3)).
        Vec::new()
    } else {
        info.run_paths
            .iter()
            .filter_map(|path| from_origin(path))
            .map(|place| place.join(needed))
            .collect()
    };
    places
        .into_iter()
        .map(|place| (place.clone(), source.join(place)))
        .find(|(_, path)| path.is_file())
}

/// The path that is meant, from the directory of the library, when a run path begins with `$ORIGIN` (ld.so(8));
/// nothing when it does not.
fn from_origin(run_path: &str) -> Option<PathBuf> {
    let rest = ["$ORIGIN", "${ORIGIN}"]
        .iter()
        .find_map(|origin| run_path.strip_prefix(origin))?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(PathBuf::from(rest.trim_start_matches('/'))),
        None => rest.is_empty().then(PathBuf::new),
    }
}

/// Puts a link to `path` at `place` in the directory of the copy. Nothing when that would be outside of it.
fn link(staged: &Path, place: &Path, path: &Path) -> Option<PathBuf> {
    if !place
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return None;
    }
    let link = staged.join(place);
    std::fs::create_dir_all(link.parent()?).ok()?;
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(path, &link);
    #[cfg(not(unix))]
    let made = std::fs::hard_link(path, &link);
    // It may be there already: two libraries may need the same one.
    (made.is_ok() || link.exists()).then_some(link)
}
