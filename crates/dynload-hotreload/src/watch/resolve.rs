//! Finds the directory entries that determine what a path refers to.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The kernel's limit on links in one path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// A directory entry. When it is created, removed or changed, the path may refer to something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The directory, without links in its path.
    pub(crate) dir: PathBuf,
    /// The name in the directory.
    pub(crate) name: OsString,
    /// Whether this is the file itself. If not, it is a link along the path, or a missing entry.
    pub(crate) is_end: bool,
}

/// The result of resolving a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// Every link along the path, and the last entry.
    pub(crate) places: Vec<Place>,
    /// The real path, if the path can be resolved.
    pub(crate) real: Option<PathBuf>,
    /// The missing directory along the path, if there is one. The file itself does not count.
    pub(crate) missing_dir: Option<PathBuf>,
}

/// Resolves an absolute path, component by component.
pub(crate) fn resolve(path: &Path) -> Resolution {
    let mut resolution = Resolution::default();
    let mut real = PathBuf::new();
    let mut todo: VecDeque<Step> = steps(path).collect();
    let mut links = 0;
    while let Some(step) = todo.pop_front() {
        let name = match step {
            Step::Root(root) => {
                // A prefix (`C:`) and the root are consecutive components, and the root is added to the prefix.
                real = if real.as_os_str().is_empty() || root.is_absolute() {
                    root
                } else {
                    real.join(root)
                };
                continue;
            }
            Step::Up => {
                real.pop();
                continue;
            }
            Step::Down(name) => name,
        };
        let here = real.join(&name);
        let place = |is_end| Place {
            dir: real.clone(),
            name: name.clone(),
            is_end,
        };
        match fs::symlink_metadata(&here) {
            Ok(metadata) if metadata.is_symlink() && links < MAX_LINKS => {
                links += 1;
                resolution.places.push(place(false));
                let Ok(target) = fs::read_link(&here) else {
                    return resolution;
                };
                let target: Vec<Step> = steps(&target).collect();
                for step in target.into_iter().rev() {
                    todo.push_front(step);
                }
            }
            Ok(_) => {
                if todo.is_empty() {
                    resolution.places.push(place(true));
                }
                real = here;
            }
            // Missing or inaccessible: it may appear later.
            Err(_) => {
                resolution.places.push(place(todo.is_empty()));
                if !todo.is_empty() {
                    resolution.missing_dir = Some(here);
                }
                return resolution;
            }
        }
    }
    resolution.real = Some(real);
    resolution
}

enum Step {
    Root(PathBuf),
    Up,
    Down(OsString),
}

fn steps(path: &Path) -> impl Iterator<Item = Step> + '_ {
    path.components().filter_map(|part| match part {
        Component::Prefix(_) | Component::RootDir => Some(Step::Root(PathBuf::from(part.as_os_str()))),
        Component::CurDir => None,
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn places(path: &Path, below: &Path) -> Vec<String> {
        let show = |place: &Place| {
            let dir = place.dir.strip_prefix(below).unwrap().join(&place.name);
            format!("{}{}", dir.display(), if place.is_end { "" } else { " ->" })
        };
        resolve(path).places.iter().map(show).collect()
    }

    #[test]
    fn every_link_is_followed() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("v1/lib")).unwrap();
        fs::write(root.join("v1/lib/real.so"), "x").unwrap();
        symlink("real.so", root.join("v1/lib/plugin.so")).unwrap();
        symlink("v1", root.join("current")).unwrap();
        symlink("current/lib", root.join("lib")).unwrap();
        let through = ["lib ->", "current ->", "v1/lib/plugin.so ->", "v1/lib/real.so"];
        assert_eq!(places(&root.join("lib/plugin.so"), &root), through);
        // `..` is the parent of the link's target, as for the kernel.
        let around = ["lib ->", "current ->", "v1/lib/plugin.so ->", "v1/lib/real.so"];
        assert_eq!(places(&root.join("lib/../lib/plugin.so"), &root), around);
        assert_eq!(
            resolve(&root.join("lib/plugin.so")).real,
            Some(root.join("v1/lib/real.so"))
        );
    }

    #[test]
    fn resolution_stops_at_a_missing_entry() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        assert_eq!(places(&root.join("a/b/c.so"), &root), ["a ->"]);
        assert_eq!(resolve(&root.join("a/b/c.so")).missing_dir, Some(root.join("a")));
        assert_eq!(places(&root.join("c.so"), &root), ["c.so"]);
        assert_eq!(resolve(&root.join("c.so")).missing_dir, None);
        symlink("gone", root.join("dangling.so")).unwrap();
        assert_eq!(
            places(&root.join("dangling.so"), &root),
            ["dangling.so ->", "gone"]
        );
    }

    #[test]
    fn a_link_loop_ends() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(resolve(&root.join("a")).places.len() <= MAX_LINKS + 1);
    }
}
