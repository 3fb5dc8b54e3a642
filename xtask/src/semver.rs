//! `cargo xtask semver`: compares the public API with that of the last release.

use std::process::Command;

use crate::arguments::Arguments;
use crate::cargo::{PUBLISHED, cargo, is_available, output, root, run};
use crate::failure::Failure;

pub(crate) fn command(arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    check()
}

/// Runs `cargo semver-checks` on each published crate. Without a release, or without the tool, it says so and succeeds.
pub(crate) fn check() -> Result<(), Failure> {
    let Some(tag) = last_release() else {
        println!("    no release is tagged (`v0.1.0`), so there is nothing to compare with");
        return Ok(());
    };
    if !is_available("cargo", &["semver-checks", "--version"]) {
        println!("    not checked: run `cargo install cargo-semver-checks --locked` first");
        return Ok(());
    }
    let mut command = cargo(["semver-checks", "--baseline-rev"]);
    command.arg(tag);
    // A command has no API.
    let is_library = |name: &&&str| root().join("crates").join(name).join("src/lib.rs").is_file();
    for name in PUBLISHED.iter().filter(is_library) {
        command.args(["-p", name]);
    }
    run(&mut command)
}

/// Returns the newest tag of a version that the current commit descends from.
fn last_release() -> Option<String> {
    let mut git = Command::new("git");
    git.current_dir(root()).args([
        "tag",
        "--list",
        "v[0-9]*",
        "--merged",
        "HEAD",
        "--sort=-v:refname",
    ]);
    let tags = output(&mut git).ok()?;
    tags.lines().next().map(str::to_owned)
}
