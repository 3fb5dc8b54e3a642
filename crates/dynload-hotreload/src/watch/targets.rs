//! The files that one reloader watches: its source, and the additional files and globs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::glob::Glob;
use super::resolve::{Place, resolve};
use crate::vais::Imports;

/// The files to watch, as configured.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    /// The source; absolute.
    pub(crate) source: PathBuf,
    pub(crate) extra: Vec<Glob>,
    /// How the files that the source imports are found, which are watched too.
    pub(crate) imports: Option<Imports>,
    /// The output directory, whose content is ignored.
    pub(crate) skip: Option<PathBuf>,
}

/// The relevant entries of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// Entries by name; `true` if the entry is a file to read, `false` if it is only on the path to one.
    pub(crate) names: HashMap<OsString, bool>,
    /// Directories in which globs match files. The paths are those that the globs use for the directory, which may
    /// pass through links.
    pub(crate) trees: BTreeSet<PathBuf>,
}

/// The current resolution of the targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The directories to watch, by their real paths.
    pub(crate) dirs: BTreeMap<PathBuf, Interest>,
    /// The files whose content is relevant, the source first, by their configured paths.
    pub(crate) files: Vec<PathBuf>,
    /// The missing directory in the path of the source, if there is one.
    pub(crate) missing_dir: Option<PathBuf>,
}

impl Targets {
    /// Resolves the targets in the current file system.
    pub(crate) fn layout(&self) -> Layout {
        let mut layout = Layout::default();
        let source = resolve(&self.source);
        layout.missing_dir = source.missing_dir;
        layout.add(source.places);
        layout.files.push(self.source.clone());
        let mut extra = BTreeSet::new();
        let real = |path: &PathBuf| resolve(path).real.unwrap_or_else(|| path.clone());
        // The output directory may be reached through a link, or through `..`.
        let output = self.skip.as_ref().map(real);
        for glob in &self.extra {
            let base = real(&glob.base);
            let is_output = |path: &Path| output.as_ref().is_some_and(|dir| is_output(dir, &base, path));
            expand(
                glob,
                &glob.base,
                &is_output,
                &mut layout,
                &mut extra,
                &mut BTreeSet::new(),
            );
        }
        for import in self
            .imports
            .iter()
            .flat_map(|imports| imports.files(&self.source))
        {
            layout.add(resolve(&import).places);
            extra.insert(import);
        }
        extra.remove(&self.source);
        layout.files.extend(extra);
        layout
    }

    /// Returns only the files, for reading them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        if self.extra.is_empty() && self.imports.is_none() {
            vec![self.source.clone()]
        } else {
            self.layout().files
        }
    }

    /// Returns whether a glob matches the path.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.extra.iter().any(|glob| {
            let skip = self.skip.as_ref();
            glob.matches(path) && !skip.is_some_and(|dir| is_output(dir, &glob.base, path))
        })
    }
}

/// Returns whether a path is in the output directory. A pattern whose base is there too, because the directory is that of a
/// project for example, matches all but what the reloader itself creates there.
fn is_output(dir: &Path, base: &Path, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(dir) else {
        return false;
    };
    let is_own = |name: &OsStr| {
        // `dynload-<process id>-<hexadecimal digits>`: copies, and the outputs of builds.
        let number = name.to_str().and_then(|name| name.strip_prefix("dynload-"));
        let is_number = |number: &str| number.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        name == "cargo-target" || number.is_some_and(is_number)
    };
    !base.starts_with(dir) || below.iter().next().is_some_and(is_own)
}

/// Adds what a glob matches at a path and below it.
fn expand(
    glob: &Glob,
    path: &Path,
    is_output: &dyn Fn(&Path) -> bool,
    layout: &mut Layout,
    files: &mut BTreeSet<PathBuf>,
    seen: &mut BTreeSet<PathBuf>,
) {
    let found = resolve(path);
    if found.real.as_deref().is_some_and(is_output) {
        return;
    }
    let is_dir = found.real.as_ref().is_some_and(|real| real.is_dir());
    // The path to the base, and links below it. A plain directory below the base is covered by the tree of its
    // parent.
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
    // A directory that is reached again through a link is entered only once.
    if !glob.may_match_below(path) || !seen.insert(real.clone()) {
        return;
    }
    layout.dirs.entry(real).or_default().trees.insert(path.to_owned());
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_file() => {
                if glob.matches(&path) {
                    files.insert(path);
                }
            }
            Ok(_) => expand(glob, &path, is_output, layout, files, seen),
            Err(_) => {}
        }
    }
}

impl Layout {
    fn add(&mut self, places: Vec<Place>) {
        for Place { dir, name, is_end } in places {
            let names = &mut self.dirs.entry(dir).or_default().names;
            // An intermediate entry of one path may be the end of another: the stricter use wins.
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
    fn globs_resolve_to_files_and_directories_to_watch() {
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
                Glob::new(&root.join("src/**/*.h")).unwrap(),
                Glob::literal(root.join("gone/x")),
            ],
            imports: None,
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

    #[test]
    fn a_pattern_that_leads_into_the_output_directory_matches_all_but_the_reloaders_own_files() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let files = [
            "dynload-src/a.h",
            "dynload-1-2f/build/b.h",
            "cargo-target/c.h",
            "d.h",
        ]
        .map(|file| root.join(file));
        for file in &files {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let source = root.join("p.c");
        let matched = |pattern: &str| {
            let targets = Targets {
                source: source.clone(),
                extra: vec![Glob::new(&root.join(pattern)).unwrap()],
                imports: None,
                skip: Some(root.clone()),
            };
            let matched: Vec<_> = files
                .iter()
                .filter(|file| targets.matches(file))
                .cloned()
                .collect();
            let mut listed = targets.layout().files.split_off(1);
            listed.sort_by_key(|file| files.iter().position(|known| known == file));
            assert_eq!(listed, matched, "{pattern}");
            matched
        };
        assert_eq!(matched("dynload-src"), files[..1]);
        assert_eq!(matched("**/*.h"), [files[0].clone(), files[3].clone()]);
    }

    #[cfg(unix)]
    #[test]
    fn an_output_directory_that_is_reached_through_a_link_is_ignored() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("src/out")).unwrap();
        fs::write(root.join("src/out/a.h"), "").unwrap();
        std::os::unix::fs::symlink("src/out", root.join("link")).unwrap();
        for skip in ["link", "src/../src/out"] {
            let targets = Targets {
                source: root.join("p.c"),
                extra: vec![Glob::new(&root.join("src")).unwrap()],
                imports: None,
                skip: Some(root.join(skip)),
            };
            assert_eq!(targets.layout().files, [root.join("p.c")], "{skip}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_parent_directory_is_not_followed_for_ever() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir(root.join("src")).unwrap();
        fs::write(root.join("src/a.h"), "").unwrap();
        std::os::unix::fs::symlink("..", root.join("src/up")).unwrap();
        let targets = Targets {
            source: root.join("p.c"),
            extra: vec![Glob::new(&root.join("src")).unwrap()],
            imports: None,
            skip: None,
        };
        let files = targets.layout().files;
        assert_eq!(files, [root.join("p.c"), root.join("src/a.h")]);
    }
}
