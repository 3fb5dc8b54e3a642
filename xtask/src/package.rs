//! `cargo xtask package`: what would be published builds on its own.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::cargo::{PUBLISHED, cargo, root, run, target_dir};
use crate::failure::{During, Failure};

pub(crate) fn command(arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    check()
}

/// Packages all crates in one call, since cargo 1.90: it resolves the crates of the workspace to the packages that it just
/// made, so that none of them has to be published for the next to be built.
pub(crate) fn check() -> Result<(), Failure> {
    for name in PUBLISHED {
        complete(name)?;
    }
    let target = target_dir()?.join("xtask/package");
    forget(&target)?;
    // The packages have no lock file of their own to be resolved with; without the network that gives the workspace's
    // versions, which were fetched before.
    run(&mut cargo(["fetch", "--locked"]))?;
    // What is not committed is packaged too: this is a check, and not a release.
    let mut command = cargo(["package", "--allow-dirty", "--offline", "--target-dir"]);
    command.arg(&target);
    for name in PUBLISHED {
        command.args(["-p", name]);
    }
    run(&mut command)
}

/// Removes what cargo keeps of the packages of an earlier run: their unpacked sources, and what was built of those. It takes a
/// package of one name and version to be the same for ever, as it is in a true registry (seen with cargo 1.95).
fn forget(target: &Path) -> Result<(), Failure> {
    remove_packages(&target.join("debug/.fingerprint"))?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let Some(home) = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))) else {
        return Ok(());
    };
    for registry in entries(&home.join("registry/src"))? {
        // Registries have the name of their host and a hash. A local one has no host.
        if registry
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('-'))
        {
            remove_packages(&registry)?;
        }
    }
    Ok(())
}

/// Removes the directories of published crates in a directory.
fn remove_packages(directory: &Path) -> Result<(), Failure> {
    for path in entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if PUBLISHED.iter().any(|published| {
            name.strip_prefix(published)
                .is_some_and(|rest| rest.starts_with('-'))
        }) {
            std::fs::remove_dir_all(&path).during(format_args!("cannot remove `{}`", path.display()))?;
        }
    }
    Ok(())
}

/// What is in a directory; nothing where there is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let what = format!("cannot read `{}`", directory.display());
    match std::fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).during(&what))
            .collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).during(what),
    }
}

/// The files that a package has to have, and that cargo does not ask for.
fn complete(name: &str) -> Result<(), Failure> {
    let directory = root().join("crates").join(name);
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        let path = directory.join(file);
        let text =
            std::fs::read_to_string(&path).during(format_args!("`{name}` has no {file} to package"))?;
        if text.lines().count() < 3 {
            return Err(Failure::new(format!("`{}` says nothing yet", path.display())));
        }
    }
    Ok(())
}
