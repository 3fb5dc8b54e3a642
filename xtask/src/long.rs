//! The checks that take hours: property tests with their full number of cases, and fuzzing.

use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::cargo::{cargo, is_available, root, run, target_dir};
use crate::failure::{During, Failure};
use crate::languages;

/// Runs `cargo xtask prove`.
pub(crate) fn prove(mut arguments: Arguments) -> Result<(), Failure> {
    let package = arguments.value("--package")?;
    arguments.end()?;
    if let Some(package) = &package {
        return long(&mut cargo(["test", "--release", "-p", package]));
    }
    long(&mut cargo(["test", "--release", "--workspace"]))?;
    // Cranelift takes minutes to build, so the comparison with Wasmtime's own fuel is not part of the default build.
    long(&mut cargo([
        "test",
        "--release",
        "-p",
        "dynload-oracle",
        "--features",
        "wasmtime",
    ]))?;
    models()?;
    // The fuzz targets are a separate workspace. Here they run over a fixed corpus, which does not require another compiler.
    long(cargo(["test", "--release", "--no-default-features"]).current_dir(root().join("fuzz")))?;
    // A separate workspace too, because of Wasmtime. Its dev profile optimizes dependencies, and builds faster than release.
    let mut command = cargo(["test"]);
    languages::provide(&mut command)?;
    long(command.current_dir(root().join("tests/wasi_oracle")))
}

fn long(command: &mut Command) -> Result<(), Failure> {
    run(command.env("DYNLOAD_PROVE", "1"))
}

/// Runs the models of concurrent access to handles, lent instances, grants, interrupts and workers: loom tries every order. Its
/// flag applies to the whole build, so everything is built again, in a separate target directory.
fn models() -> Result<(), Failure> {
    let mut command = cargo([
        "test",
        "--lib",
        "-p",
        "dynload-ffi",
        "-p",
        "dynload-sandbox",
        // No model runs a guest, so an unoptimized interpreter is enough, and it builds faster.
        "--config",
        "profile.dev.package.wasmi.opt-level=0",
        "--target-dir",
    ]);
    run(command
        .arg(target_dir()?.join("xtask/loom"))
        .arg("models")
        .env("RUSTFLAGS", "--cfg loom"))
}

/// Runs `cargo xtask fuzz`. The remaining arguments are passed to libFuzzer.
pub(crate) fn fuzz(mut arguments: Arguments) -> Result<(), Failure> {
    let seconds = arguments.value("--seconds")?.unwrap_or_else(|| "600".to_owned());
    let target = arguments.positional();
    let rest = arguments.rest();
    if seconds.parse::<u32>().is_err() {
        return Err(Failure::new(format!(
            "invalid value `{seconds}` for --seconds: pass a whole number"
        )));
    }
    let targets = match target {
        Some(target) => vec![target],
        None => fuzz_targets(&root().join("fuzz"))?,
    };
    if !is_available("cargo", &["fuzz", "--version"]) {
        return Err(Failure::new(
            "cargo-fuzz is missing: run `cargo install cargo-fuzz`, and install a nightly toolchain",
        ));
    }
    for target in targets {
        // Not the cargo that runs this program: fuzzing requires another toolchain.
        let mut command = Command::new("cargo");
        command
            .current_dir(root())
            .args(["+nightly", "fuzz", "run", &target, "--"]);
        command.arg(format!("-max_total_time={seconds}")).args(&rest);
        run(command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO"))?;
    }
    Ok(())
}

/// Returns the targets of the fuzz package: one for each file in `fuzz_targets`.
fn fuzz_targets(fuzz: &Path) -> Result<Vec<String>, Failure> {
    let directory = fuzz.join("fuzz_targets");
    let mut targets = Vec::new();
    for entry in
        std::fs::read_dir(&directory).during(format_args!("cannot read `{}`", directory.display()))?
    {
        let path = entry
            .during(format_args!("cannot read `{}`", directory.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    Ok(targets)
}
