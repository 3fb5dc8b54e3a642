//! `cargo xtask package`: checks that each crate builds on its own, as it would be published.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::cargo::{PUBLISHED, cargo, root, run, target_dir};
use crate::failure::{During, Failure};

pub(crate) fn command(arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    check()
}

/// Packages all crates in one call. Since 1.90, cargo resolves the crates of the workspace to the packages that it has just
/// created, so a crate does not have to be published before the next one is built.
pub(crate) fn check() -> Result<(), Failure> {
    for name in PUBLISHED {
        complete(name)?;
    }
    let target = target_dir()?.join("xtask/package");
    remove_packages(&target.join("debug/.fingerprint"))?;
    // The packages are resolved without a lock file of their own. Offline, this selects the workspace's versions, which are
    // fetched here first.
    run(&mut cargo(["fetch", "--locked"]))?;
    let home = cargo_home(&target.join("home"))?;
    // Uncommitted changes are packaged too: this is a check, not a release.
    let mut command = cargo(["package", "--allow-dirty", "--offline", "--target-dir"]);
    command.arg(&target).env("CARGO_HOME", home);
    for name in PUBLISHED {
        command.args(["-p", name]);
    }
    run(&mut command)
}

/// Creates a cargo home with the user's settings and everything fetched from registries, but without the packages of
/// an earlier run. Cargo keeps packages unpacked, and assumes that a package of a given name and version never
/// changes, as in a real registry (seen with cargo 1.95). So these packages must not enter the user's own cargo home.
fn cargo_home(private: &Path) -> Result<PathBuf, Failure> {
    let user = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let user = user
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| Failure::new("cannot find cargo's home directory: set CARGO_HOME"))?;
    if private.exists() {
        // Removes the links, not their targets.
        std::fs::remove_dir_all(private).during(format_args!("cannot remove `{}`", private.display()))?;
    }
    for kind in ["index", "cache", "src"] {
        let directory = private.join("registry").join(kind);
        create(&directory)?;
        for registry in entries(&user.join("registry").join(kind))? {
            // The name of a registry's directory is its host and a hash. A local registry, like the one that cargo creates for
            // these packages, has no host.
            let name = registry.file_name().unwrap_or_default();
            if !name.to_string_lossy().starts_with('-') {
                link(&registry, &directory.join(name))?;
            }
        }
    }
    for name in ["config.toml", "config", "git"] {
        let path = user.join(name);
        if path.exists() {
            link(&path, &private.join(name))?;
        }
    }
    Ok(private.to_owned())
}

fn create(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).during(format_args!("cannot create `{}`", directory.display()))
}

fn link(to: &Path, at: &Path) -> Result<(), Failure> {
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(to, at);
    #[cfg(windows)]
    let linked = if to.is_dir() {
        std::os::windows::fs::symlink_dir(to, at)
    } else {
        std::os::windows::fs::symlink_file(to, at)
    };
    linked.during(format_args!(
        "cannot link `{}` to `{}`",
        at.display(),
        to.display()
    ))
}

/// Removes the subdirectories of a directory that belong to published crates.
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

/// Returns the paths of the entries of a directory; none if it does not exist.
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

/// Checks that a crate has the files that its package must contain and that cargo does not require.
fn complete(name: &str) -> Result<(), Failure> {
    let directory = root().join("crates").join(name);
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        let path = directory.join(file);
        let text = std::fs::read_to_string(&path).during(format_args!("cannot read {file} of `{name}`"))?;
        if text.lines().count() < 3 {
            return Err(Failure::new(format!(
                "`{}` has fewer than 3 lines: write it",
                path.display()
            )));
        }
    }
    Ok(())
}
