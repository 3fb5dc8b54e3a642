//! The Python package, installed by pip from the checkout.

use std::path::Path;
use std::process::Command;

use super::compare_output;
use crate::cargo::{root, run};
use crate::failure::Failure;
use crate::{languages, readme};

/// Installs the package into `scratch`, and runs the README's program with the library at `prefix`.
pub(super) fn check(scratch: &Path, prefix: &Path) -> Result<(), Failure> {
    // pip writes into the directory that it installs from.
    let copy = scratch.join("package");
    run(Command::new("cp").arg("-R").arg(root().join("python")).arg(&copy))?;
    let installed = scratch.join("python");
    run(languages::pip()?
        .args(["install", "--quiet", "--no-deps", "--target"])
        .arg(&installed)
        .arg(&copy))?;
    let mut python = Command::new("python3");
    python.args(["-c", &readme::python_program()?]);
    python.env("PYTHONPATH", installed);
    python.env("LD_LIBRARY_PATH", prefix.join("lib"));
    python.env("DYLD_LIBRARY_PATH", prefix.join("lib"));
    python.env_remove("DYNLOAD_LIBRARY");
    compare_output(&mut python, scratch)
}
