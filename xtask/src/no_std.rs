//! The part that firmware takes, linked into a program without `std` and run.

use std::process::Command;

use crate::cargo::{cargo, run, target_dir};
use crate::failure::Failure;

/// Links for this machine: a second definition of the panic handler is an error, so nothing in the program can have brought
/// `std` along. Only on Linux: elsewhere a program without `std` starts in another way.
pub(crate) fn check() -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        let core = ["build", "-p", "dynload-sandbox", "--no-default-features"];
        return run(&mut cargo(core));
    }
    let target = target_dir()?.join("xtask/no_std");
    // There is nobody to unwind to.
    let mut build = cargo([
        "build",
        "-p",
        "dynload-no-std",
        "--features",
        "link",
        "--config",
        "profile.dev.panic='abort'",
        "--target-dir",
    ]);
    run(build.arg(&target))?;
    run(&mut Command::new(target.join("debug/dynload-no-std")))
}
