//! `cargo xtask demo`.

use crate::arguments::Arguments;
use crate::cargo::{cargo, is_available, output, run, target_dir};
use crate::failure::Failure;
use crate::readme;

pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let update = arguments.flag("--update-readme");
    let with_gpu = arguments.flag("--gpu");
    arguments.end()?;
    if !is_available(
        &std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()),
        &["--version"],
    ) {
        return Err(Failure::new(
            "the demo builds plugins in C, and no C compiler was found: install one (on Debian: apt-get install gcc), or set CC",
        ));
    }
    if update {
        return readme::update(&played()?);
    }
    if with_gpu {
        return play_with_gpu();
    }
    run(&mut demo())
}

/// Builds the worker for GPUs, which takes minutes, and plays the chapter about them too.
pub(crate) fn play_with_gpu() -> Result<(), Failure> {
    run(&mut cargo([
        "build",
        "--quiet",
        "-p",
        "dynload-gpu",
        "--features",
        "wgpu",
    ]))?;
    run(demo()
        .arg("--")
        .arg(target_dir()?.join("debug/dynload-gpu-worker")))
}

fn demo() -> std::process::Command {
    cargo(["run", "--quiet", "-p", "dynload-demo"])
}

fn played() -> Result<String, Failure> {
    output(&mut demo())
}

/// Runs the demo and checks that the README shows its output.
pub(crate) fn check() -> Result<(), Failure> {
    let printed = played()?;
    print!("{printed}");
    // Library names differ between systems, and so does the output.
    if cfg!(target_os = "linux") {
        readme::check(&printed)
    } else {
        Ok(())
    }
}
