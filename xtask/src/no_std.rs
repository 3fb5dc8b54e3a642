//! Links the part that firmware uses into a program without `std`, and runs it.

use std::process::Command;

use crate::cargo::{cargo, run, target_dir};
use crate::failure::Failure;

/// Links and runs the program on this machine. A second definition of the panic handler is an error, so no part of the program
/// can have pulled in `std`. On Linux only: elsewhere, a program without `std` starts differently, and the core is only built.
pub(crate) fn check() -> Result<(), Failure> {
    if !cfg!(target_os = "linux") {
        let core = ["build", "-p", "dynload-sandbox", "--no-default-features"];
        return run(&mut cargo(core));
    }
    let target = target_dir()?.join("xtask/no_std");
    // No code in the program could catch an unwinding panic.
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
