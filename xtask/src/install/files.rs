//! Which files a library is, and how they get into place.

use std::path::Path;

use super::Place;
use crate::failure::{During, Failure};

/// The names of the libraries of one version.
pub(super) struct Libraries {
    /// What cargo built, in which directory it goes, and under which name.
    files: Vec<(String, &'static str, String)>,
    /// Links in `lib`: the name, and the name it leads to.
    links: Vec<(String, String)>,
}

impl Libraries {
    /// On Unix the file has the whole version. What programs look for when they start has what stands for its ABI, and what
    /// linkers look for has none. `crates/dynload-ffi/shared/build.rs` writes the same name into the library.
    pub(super) fn of(version: &str) -> Libraries {
        let abi = abi(version);
        let archive = ("libdynload.a".to_owned(), "lib", "libdynload.a".to_owned());
        if cfg!(windows) {
            let file = |name: &str, directory| (name.to_owned(), directory, name.to_owned());
            return Libraries {
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
            files: vec![(name(""), "lib", name(version)), archive],
            links: vec![(name(&abi), name(version)), (name(""), name(&abi))],
        }
    }

    /// Copies them from where cargo built them.
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

/// The part of a version that changes when programs have to be linked anew: the first number, or the first two as long as that
/// is 0.
fn abi(version: &str) -> String {
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        (None, _) => version.to_owned(),
    }
}

/// Copies a file into place in one step: programs that have the old one open go on with it.
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
        made.during(format_args!("cannot make the link `{}`", new.display()))
    })
}

fn put(to: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    if let Some(directory) = to.parent() {
        std::fs::create_dir_all(directory).during(format_args!("cannot make `{}`", directory.display()))?;
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
    fn the_abi_is_the_part_that_breaks() {
        assert_eq!(abi("0.1.0"), "0.1");
        assert_eq!(abi("0.12.3-rc.1"), "0.12");
        assert_eq!(abi("1.4.2"), "1");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn links_lead_to_the_file() {
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
