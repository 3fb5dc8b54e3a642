//! What one reloader watches: its source, and the files and globs beside it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::glob::Glob;
use super::resolve::{Place, resolve};

/// What to watch, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    /// The source; absolute.
    pub(crate) source: PathBuf,
    pub(crate) extra: Vec<Glob>,
    /// A directory that does not count: our own output.
    pub(crate) skip: Option<PathBuf>,
}

/// What of a directory matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// These names; `true` where the name is a file to read, `false` where it only leads to one.
    pub(crate) names: HashMap<OsString, bool>,
    /// Whatever a glob means in it. The paths are those under which the globs know the directory, which may lead through
    /// links.
    pub(crate) trees: BTreeSet<PathBuf>,
}

/// What the targets mean at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The directories to watch, by their real paths.
    pub(crate) dirs: BTreeMap<PathBuf, Interest>,
    /// The files whose content counts, the source first, as they were named.
    pub(crate) files: Vec<PathBuf>,
    /// The directory on the way to the source that is missing.
    pub(crate) missing_dir: Option<PathBuf>,
}

impl Targets {
    /// Looks at the file system for what is there now.
    pub(crate) fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        let source = resolve(&self.source);
        layout.missing_dir = source.missing_dir;
        layout.add(source.places);
        layout.files.push(self.source.clone());
        let mut extra = BTreeSet::new();
        for glob in &self.extra {
            self.expand(glob, &glob.base, &mut layout, &mut extra, &mut BTreeSet::new());
        }
        extra.remove(&self.source);
        layout.files.extend(extra);
        layout
    }

    /// Only the files, for reading them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        if self.extra.is_empty() {
            vec![self.source.clone()]
        } else {
            self.layout().files
        }
    }

    /// Whether a glob means this path.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        !self.is_skipped(path) && self.extra.iter().any(|glob| glob.matches(path))
    }

    fn is_skipped(&self, path: &Path) -> bool {
        self.skip.as_ref().is_some_and(|skip| path.starts_with(skip))
            || path.file_name() == Some(OsStr::new(".git"))
    }

    fn expand(
        &self,
        glob: &Glob,
        path: &Path,
        layout: &mut Layout,
        files: &mut BTreeSet<PathBuf>,
        seen: &mut BTreeSet<PathBuf>,
    ) {
        if self.is_skipped(path) {
            return;
        }
        let found = resolve(path);
        let is_dir = found.real.as_ref().is_some_and(|real| real.is_dir());
        // The way to the base, and links below it; a plain directory below it is covered by its parent's tree.
        if !is_dir || path == glob.base || found.places.iter().any(|place| !place.is_end) {
            layout.add(found.places);
        }
        let Some(real) = found.real else { return };
        if !is_dir {
            if glob.matches(path) {
                files.insert(path.to_owned());
            }
            return;
        }
        // A directory that links to one above it is entered once.
        if !glob.may_match_below(path) || !seen.insert(real.clone()) {
            return;
        }
        layout.dirs.entry(real).or_default().trees.insert(path.to_owned());
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_file() => {
                    if glob.matches(&path) && !self.is_skipped(&path) {
                        files.insert(path);
                    }
                }
                Ok(_) => self.expand(glob, &path, layout, files, seen),
                Err(_) => {}
            }
        }
    }
}

impl Layout {
    fn add(&mut self, places: Vec<Place>) {
        for Place { dir, name, is_end } in places {
            let names = &mut self.dirs.entry(dir).or_default().names;
            // What one path leads through may be where another ends: the stricter use counts.
            names
                .entry(name)
                .and_modify(|end| *end &= is_end)
                .or_insert(is_end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_mean_files_and_directories_to_watch() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        for dir in ["src/deep", "src/out", "src/.git"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for file in [
            "p.c",
            "src/a.h",
            "src/a.txt",
            "src/deep/b.h",
            "src/out/c.h",
            "src/.git/d.h",
        ] {
            fs::write(root.join(file), "").unwrap();
        }
        let targets = Targets {
            source: root.join("p.c"),
            extra: vec![
                Glob::new(&root.join("src/**/*.h")),
                Glob::new(&root.join("gone/x")),
            ],
            skip: Some(root.join("src/out")),
        };
        let layout = targets.layout();
        assert_eq!(
            layout.files,
            ["p.c", "src/a.h", "src/deep/b.h"].map(|file| root.join(file))
        );
        let dirs: Vec<_> = layout.dirs.keys().cloned().collect();
        assert_eq!(dirs, [root.clone(), root.join("src"), root.join("src/deep")]);
        let names: BTreeSet<_> = layout.dirs[&root].names.keys().cloned().collect();
        assert_eq!(names, ["p.c", "src", "gone"].map(OsString::from).into());
        assert!(targets.matches(&root.join("src/new/e.h")));
        assert!(!targets.matches(&root.join("src/out/e.h")));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_above_ends() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir(root.join("src")).unwrap();
        fs::write(root.join("src/a.h"), "").unwrap();
        std::os::unix::fs::symlink("..", root.join("src/up")).unwrap();
        let targets = Targets {
            source: root.join("p.c"),
            extra: vec![Glob::new(&root.join("src"))],
            skip: None,
        };
        let files = targets.layout().files;
        assert_eq!(files, [root.join("p.c"), root.join("src/a.h")]);
    }
}
