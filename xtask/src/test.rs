//! `cargo xtask test`: everything that CI runs.

use crate::arguments::Arguments;
use crate::cargo::{cargo, root, run, target_dir};
use crate::failure::Failure;
use crate::steps::{self, Step};
use crate::{
    bench, demo, gpu, header, install, languages, layers, licenses, no_std, package, semver, style, targets,
    tools,
};

/// The steps, in order: fast steps that often fail come first. All but `gpu`, `no_std`, `counts` and `package` use the same
/// features and profile, so dependencies are compiled only twice: checked once (clippy, docs), built once (tests,
/// header, demo, install).
const STEPS: &[Step] = &[
    Step {
        name: "tools",
        about: "installs the programs that the steps need, or says how",
        quick: true,
        run: tools::provide,
    },
    Step {
        name: "fmt",
        about: "the code is formatted with rustfmt",
        quick: true,
        run: fmt,
    },
    Step {
        name: "style",
        about: "prose and documentation follow CONTRIBUTING.md",
        quick: true,
        run: style::check,
    },
    Step {
        name: "layers",
        about: "crates depend on each other in one direction only",
        quick: true,
        run: layers::check,
    },
    Step {
        name: "licenses",
        about: "all dependencies may be used under permissive licenses",
        quick: true,
        run: licenses::check,
    },
    Step {
        name: "clippy",
        about: "no target of any crate has a warning",
        quick: true,
        run: clippy,
    },
    Step {
        name: "tests",
        about: "all tests and documentation examples pass",
        quick: true,
        run: tests,
    },
    Step {
        name: "features",
        about: "each crate works with its optional features and without its default features",
        quick: false,
        run: features,
    },
    Step {
        name: "languages",
        about: "programs and plugins in C, Rust, Go, Zig and AssemblyScript run in the sandbox",
        quick: false,
        run: languages::check,
    },
    Step {
        name: "fuzz",
        about: "the fuzz targets pass over a fixed corpus",
        quick: false,
        run: fuzz,
    },
    Step {
        name: "gpu",
        about: "shaders run in workers on a Vulkan device, and the host survives hostile ones",
        quick: false,
        run: gpu::check,
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        quick: false,
        run: docs,
    },
    Step {
        name: "header",
        about: "include/dynload.h matches the code",
        quick: true,
        run: header::check,
    },
    Step {
        name: "no_std",
        about: "caps and the sandbox's core run without std",
        quick: false,
        run: no_std::check,
    },
    Step {
        name: "targets",
        about: "the sandbox's meter is the same on two microcontrollers and in a browser's engine, within budgets",
        quick: false,
        run: targets::check,
    },
    Step {
        name: "counts",
        about: "no path takes more instructions than the baseline allows",
        quick: false,
        run: bench::check,
    },
    Step {
        name: "demo",
        about: "the demo's results match the specification, and its output matches the README",
        quick: true,
        run: demo::check,
    },
    Step {
        name: "install",
        about: "programs in C and Python find the installed libraries and run",
        quick: false,
        run: install::check,
    },
    Step {
        name: "semver",
        about: "the public API is compatible with the last release",
        quick: false,
        run: semver::check,
    },
    Step {
        name: "package",
        about: "each crate builds from its package alone",
        quick: false,
        run: package::check,
    },
];

pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let quick = arguments.flag("--quick");
    let list = arguments.flag("--list");
    let only = arguments.value("--only")?;
    let from = arguments.value("--from")?;
    arguments.end()?;
    let steps = steps::select(STEPS, quick, only.as_deref(), from.as_deref())?;
    if list {
        for step in steps {
            println!("{:<10} {}", step.name, step.about);
        }
        return Ok(());
    }
    steps::run(&steps)
}

fn fmt() -> Result<(), Failure> {
    run(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), Failure> {
    run(&mut cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn tests() -> Result<(), Failure> {
    // One run reports every failure, and lists them again at its end.
    run(&mut cargo(["test", "--workspace", "--no-fail-fast"]))
}

/// Checks the feature combinations that the workspace build does not cover.
fn features() -> Result<(), Failure> {
    run(&mut cargo(["test", "-p", "dynload-caps", "--all-features"]))?;
    run(&mut cargo(["test", "-p", "dynload-discovery", "--all-features"]))?;
    run(&mut cargo([
        "test",
        "-p",
        "dynload-sandbox",
        "--no-default-features",
        "--features",
        "cache,deterministic",
    ]))?;
    run(&mut cargo([
        "test",
        "-p",
        "dynload-sandbox",
        "--features",
        "http",
        "--test",
        "http",
        "--lib",
    ]))?;
    let combinations: &[&[&str]] = &[
        &["dynload-guest", "--no-default-features"],
        &["dynload-native", "--no-default-features"],
        &["dynload-sandbox", "--no-default-features"],
        &[
            "dynload-sandbox",
            "--no-default-features",
            "--features",
            "rewriter",
        ],
        &[
            "dynload-sandbox",
            "--no-default-features",
            "--features",
            "rewriter,simd,deterministic",
        ],
        &["dynload-sandbox", "--all-features"],
        &["dynload-sandbox", "--no-default-features", "--features", "http"],
    ];
    for combination in combinations {
        run(cargo(["clippy", "-p"])
            .args(*combination)
            .args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// Runs the fuzz targets. They are a separate workspace; over a fixed corpus they are plain tests.
fn fuzz() -> Result<(), Failure> {
    let directory = root().join("fuzz");
    run(cargo(["fmt", "--check"]).current_dir(&directory))?;
    let target = target_dir()?;
    run(cargo(["test", "--no-default-features", "--target-dir"])
        .arg(target)
        .current_dir(directory))
}

fn docs() -> Result<(), Failure> {
    run(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_names_are_unique() {
        for (n, step) in STEPS.iter().enumerate() {
            assert!(
                STEPS[n + 1..].iter().all(|other| other.name != step.name),
                "{}",
                step.name
            );
        }
    }
}
