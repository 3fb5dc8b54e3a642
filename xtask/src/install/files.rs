//! The files of a library, and their installation.

use std::path::Path;

use super::Place;
use crate::failure::{During, Failure};

/// The files and links that make up the libraries of one version.
pub(super) struct Libraries {
    pub(super) version: String,
    /// For each file: the name that cargo built it under, the directory to install it in, and the name to install it under. The
    /// shared library is the first, the static one the last.
    files: Vec<(String, &'static str, String)>,
    /// Links in `lib`: the name, and the name of the target.
    links: Vec<(String, String)>,
}

impl Libraries {
    /// Returns the files and links of a version.
    ///
    /// On Unix, the name of the file has the full version. The name that the dynamic linker looks for has the ABI version only,
    /// and the name that linkers look for has none. `crates/dynload-ffi/shared/build.rs` writes the name with the ABI version
    /// into the library.
    pub(super) fn of(version: &str) -> Libraries {
        let abi = abi(version);
        let archive = ("libdynload.a".to_owned(), "lib", "libdynload.a".to_owned());
        if cfg!(windows) {
            let file = |name: &str, directory| (name.to_owned(), directory, name.to_owned());
            return Libraries {
                version: version.to_owned(),
                files: vec![
                    file("dynload.dll", "bin"),
                    file("dynload.dll.lib", "lib"),
                    file("dynload.lib", "lib"),
                ],
                links: Vec::new(),
            };
        }
        let name = |version: &str| match (cfg!(target_vendor = "apple"), version) {
            (true, "") => "libdynload.dylib".to_owned(),
            (true, version) => format!("libdynload.{version}.dylib"),
            (false, "") => "libdynload.so".to_owned(),
            (false, version) => format!("libdynload.so.{version}"),
        };
        Libraries {
            version: version.to_owned(),
            files: vec![(name(""), "lib", name(version)), archive],
            links: vec![(name(&abi), name(version)), (name(""), name(&abi))],
        }
    }

    /// Returns the place of the shared library within the prefix.
    pub(super) fn shared(&self) -> String {
        self.place(0)
    }

    /// Returns the place of the static library within the prefix.
    pub(super) fn archive(&self) -> String {
        self.place(self.files.len() - 1)
    }

    fn place(&self, n: usize) -> String {
        let (_, directory, name) = &self.files[n];
        format!("{directory}/{name}")
    }

    /// Returns the part of the version that changes when programs have to be relinked.
    pub(super) fn abi(&self) -> String {
        abi(&self.version)
    }

    /// Copies the files from the directory that cargo built them in, and creates the links.
    pub(super) fn install(&self, built: &Path, place: &Place) -> Result<(), Failure> {
        for (from, directory, to) in &self.files {
            copy(&built.join(from), &place.on_disk(&format!("{directory}/{to}")))?;
        }
        for (name, to) in &self.links {
            link(&place.on_disk(&format!("lib/{name}")), to)?;
        }
        Ok(())
    }
}

/// Returns the part of a version that changes when programs have to be relinked: the first number, or the first two while the
/// first is 0.
fn abi(version: &str) -> String {
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => version.to_owned(),
    }
}

/// Copies a file into place in one step: programs that have the old file open keep using it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    put(to, |new| {
        std::fs::copy(from, new)
            .map(drop)
            .during(format_args!("cannot copy `{}`", from.display()))
    })
}

/// Writes a file into place in one step.
pub(super) fn write(to: &Path, text: &str) -> Result<(), Failure> {
    put(to, |new| {
        std::fs::write(new, text).during(format_args!("cannot write `{}`", new.display()))
    })
}

fn link(at: &Path, to: &str) -> Result<(), Failure> {
    put(at, |new| {
        #[cfg(unix)]
        let made = std::os::unix::fs::symlink(to, new);
        #[cfg(not(unix))]
        let made = std::fs::copy(at.with_file_name(to), new).map(drop);
        made.during(format_args!("cannot create the link `{}`", new.display()))
    })
}

fn put(to: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    if let Some(directory) = to.parent() {
        std::fs::create_dir_all(directory).during(format_args!("cannot create `{}`", directory.display()))?;
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = to.with_file_name(name);
    if new.symlink_metadata().is_ok() {
        std::fs::remove_file(&new).during(format_args!("cannot remove `{}`", new.display()))?;
    }
    make(&new)?;
    std::fs::rename(&new, to).during(format_args!("cannot write `{}`", to.display()))?;
    println!("    {}", to.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abi_is_the_part_that_changes_when_programs_have_to_be_relinked() {
        assert_eq!(abi("0.1.0"), "0.1");
        assert_eq!(abi("0.12.3-rc.1"), "0.12");
        assert_eq!(abi("1.4.2"), "1");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn links_point_to_the_versioned_file() {
        let libraries = Libraries::of("0.1.0");
        assert_eq!(libraries.files[0].2, "libdynload.so.0.1.0");
        assert_eq!(
            libraries.links,
            [
                ("libdynload.so.0.1".to_owned(), "libdynload.so.0.1.0".to_owned()),
                ("libdynload.so".to_owned(), "libdynload.so.0.1".to_owned()),
            ]
        );
    }
}
