//! Vais sources: the modules that they import, and how one with imports is linked.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dynload_native::read_regular;

use crate::config::Config;

/// The bytes of the largest source in which imports are searched, and the most files that are found.
const MAX_BYTES: u64 = 1 << 20;
const MAX_FILES: usize = 1000;

/// The variable with further directories of modules, which the compiler reads.
const DEPENDENCIES: &str = "VAIS_DEP_PATHS";

/// For a source with imports, also of the standard library, `vaisc` ignores `--hot` and has clang link an executable. This
/// variable of clang makes it a library. Without imports, it changes nothing.
pub(crate) const LINKED_AS_LIBRARY: (&str, &str) =
    ("CCC_OVERRIDE_OPTIONS", "# +-shared +-fPIC +-Qunused-arguments");

pub(crate) fn is_source(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("vais"))
}

/// Finds imported modules as the compiler does.
#[derive(Clone, Debug)]
pub(crate) struct Imports {
    /// The directories of [`DEPENDENCIES`]; absolute.
    dependencies: Vec<PathBuf>,
}

impl Imports {
    /// Returns how the imports of the source are found, if it is a Vais source.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        if !is_source(&config.source) {
            return None;
        }
        let set = config.env.iter().rev().find(|(name, _)| name == DEPENDENCIES);
        let paths: Option<OsString> = set
            .map(|(_, value)| value.clone())
            .or_else(|| std::env::var_os(DEPENDENCIES));
        let paths = paths.iter().flat_map(std::env::split_paths);
        Some(Self {
            // Empty paths are not absolute: the compiler ignores them too.
            dependencies: paths.filter_map(|path| std::path::absolute(path).ok()).collect(),
        })
    }

    /// Returns the files that a source imports, directly and through others. If there is none for an import, the first path at
    /// which the compiler looks for it is returned.
    pub(crate) fn files(&self, source: &Path) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        let mut unread = vec![source.to_owned()];
        // Modules of one directory may all import each other.
        let mut searched = HashSet::new();
        while let Some(file) = unread.pop() {
            let content = read_regular(&file, MAX_BYTES).unwrap_or_default();
            let directory = file.parent().unwrap_or(Path::new(""));
            for path in imports(&String::from_utf8_lossy(&content)) {
                if !searched.insert((directory.to_owned(), path.clone())) {
                    continue;
                }
                if files.len() == MAX_FILES {
                    return files;
                }
                let found = self.find(&path, directory, source);
                if found != source && files.insert(found.clone()) {
                    // The imports of a link are beside its target.
                    unread.push(dunce::canonicalize(&found).unwrap_or(found));
                }
            }
        }
        files
    }

    /// Finds a module: in the directory of the file that imports it, in those of dependencies, beside the source.
    fn find(&self, path: &str, directory: &Path, source: &Path) -> PathBuf {
        let file = |module: &Path| {
            // Not `with_extension`: the name has no extension.
            let mut name = module.as_os_str().to_owned();
            name.push(".vais");
            PathBuf::from(name)
        };
        let beside_source = source.parent().unwrap_or(Path::new(""));
        let own = [directory, beside_source].map(|directory| {
            let module = directory.join(path);
            [file(&module), module.join("mod.vais")]
        });
        let dependencies = self.dependencies.iter().map(|directory| directory.join(path));
        let dependencies =
            dependencies.flat_map(|module| [file(&module), module.join("mod.vais"), module.join("lib.vais")]);
        let [beside_importer, beside_source] = own;
        let first = beside_importer[0].clone();
        beside_importer
            .into_iter()
            .chain(dependencies)
            .chain(beside_source)
            .find(|path| path.is_file())
            .unwrap_or(first)
    }
}

/// Returns the imports of a source as relative paths, without those of the standard library: `U a::b`, `use a/b.{c}`.
fn imports(source: &str) -> impl Iterator<Item = String> {
    source.lines().filter_map(|line| {
        let mut words = line.split_whitespace().peekable();
        words.next_if(|word| matches!(*word, "P" | "pub"));
        words.next_if(|word| matches!(*word, "U" | "use"))?;
        let path = words.next()?.replace("::", "/");
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '/');
        let path = path[..end.unwrap_or(path.len())].trim_end_matches('/');
        let is_path = path.split('/').all(|name| !name.is_empty());
        let is_std = path == "std" || path.starts_with("std/");
        (is_path && !is_std).then(|| path.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn imports_of_both_dialects_are_found() {
        let source = "U a\n  use b::c;\nP U d/e.{f, g}\npub use h::{i}\nU std/dynload\nU std\n# U comment\nUx y\nU ../up\nU /abs\nU\nF main() -> i64 { 0 }\n";
        assert_eq!(imports(source).collect::<Vec<_>>(), ["a", "b/c", "d/e", "h"]);
    }

    #[test]
    fn modules_are_found_where_the_compiler_finds_them() {
        let temp = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = temp.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            path
        };
        let source = write("p/main.vais", "U part\nU both\nU dep\nU missing\nU deep/inner\n");
        let mut expected = vec![
            write("p/part/mod.vais", "U main\nU both\n"),
            write("p/both.vais", "U both\n"),
            write("deps/dep/lib.vais", ""),
            // It imports a module that is beside the source, not beside itself.
            write("p/deep/inner.vais", "U rest\n"),
            write("p/rest.vais", ""),
            temp.path().join("p/missing.vais"),
        ];
        // Not a module of its own: `part` finds the one beside the source.
        write("deps/both.vais", "U never\n");
        expected.sort();
        let config = Config::new(&source).with_build_env(DEPENDENCIES, temp.path().join("deps"));
        let imports = Imports::of(&config).unwrap();
        let found: Vec<_> = imports.files(&source).into_iter().collect();
        // `part` imports `both`: the compiler searches dependencies before the directory of the source.
        expected.push(temp.path().join("deps/both.vais"));
        expected.push(temp.path().join("deps/never.vais"));
        expected.sort();
        assert_eq!(found, expected);
        assert!(Imports::of(&Config::new("p.c")).is_none());
    }

    #[test]
    fn directories_of_dependencies_are_absolute() {
        let paths = std::env::join_paths(["", "deps", ""]).unwrap();
        let config = Config::new("/p.vais").with_build_env(DEPENDENCIES, paths);
        let absolute = std::path::absolute("deps").unwrap();
        assert_eq!(Imports::of(&config).unwrap().dependencies, [absolute]);
    }

    #[cfg(unix)]
    #[test]
    fn the_imports_of_a_linked_module_are_beside_its_target() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        let source = root.join("main.vais");
        fs::write(&source, "U part\n").unwrap();
        fs::write(root.join("real/part.vais"), "U inner\n").unwrap();
        fs::write(root.join("real/inner.vais"), "").unwrap();
        std::os::unix::fs::symlink("real/part.vais", root.join("part.vais")).unwrap();
        let files = Imports::of(&Config::new(&source)).unwrap().files(&source);
        assert_eq!(
            files,
            ["part.vais", "real/inner.vais"]
                .map(|file| root.join(file))
                .into()
        );
    }
}
