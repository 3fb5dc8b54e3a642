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
    remove_packages(&target.join("debug/.fingerprint"))?;
    // The packages have no lock file of their own to be resolved with; without the network that gives the workspace's
    // versions, which were fetched before.
    run(&mut cargo(["fetch", "--locked"]))?;
    let home = cargo_home(&target.join("home"))?;
    // What is not committed is packaged too: this is a check, and not a release.
    let mut command = cargo(["package", "--allow-dirty", "--offline", "--target-dir"]);
    command.arg(&target).env("CARGO_HOME", home);
    for name in PUBLISHED {
        command.args(["-p", name]);
    }
    run(&mut command)
}

/// Makes a home for cargo that has the user's settings and all that was fetched from registries, and nothing of the packages of
/// an earlier run. Cargo keeps those unpacked, and takes a package of one name and version to be the same for ever, as it is in
/// a true registry (seen with cargo 1.95); so they must not get into the user's own home.
fn cargo_home(private: &Path) -> Result<PathBuf, Failure> {
    let user = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let user = user
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| Failure::new("cargo has no home: set CARGO_HOME"))?;
    if private.exists() {
        // Removes the links, and nothing of what they lead to.
        std::fs::remove_dir_all(private).during(format_args!("cannot remove `{}`", private.display()))?;
    }
    for kind in ["index", "cache", "src"] {
        let directory = private.join("registry").join(kind);
        create(&directory)?;
        for registry in entries(&user.join("registry").join(kind))? {
            // Registries have the name of their host and a hash. A local one, such as cargo makes of these packages, has no
            // host.
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
    std::fs::create_dir_all(directory).during(format_args!("cannot make `{}`", directory.display()))
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
