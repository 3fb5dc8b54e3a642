//! `cargo xtask test`: everything that CI runs.

use crate::arguments::Arguments;
use crate::cargo::{cargo, is_there, root, run, target_dir};
use crate::failure::Failure;
use crate::steps::{self, Step};
use crate::{bench, demo, header, install, layers, licences, no_std, package};

/// The steps, in order: what is fast and often wrong first. All but `no_std`, `counts` and `package` use the same features and profile, so
/// that dependencies are compiled twice in all: checked once (clippy, docs), built once (tests, header, demo, install).
const STEPS: &[Step] = &[
    Step {
        name: "tools",
        about: "the programs that the steps need are there",
        quick: true,
        run: tools,
    },
    Step {
        name: "fmt",
        about: "the code is formatted as rustfmt does it",
        quick: true,
        run: fmt,
    },
    Step {
        name: "layers",
        about: "crates import each other in one direction only",
        quick: true,
        run: layers::check,
    },
    Step {
        name: "licences",
        about: "what the crates depend on may be used under permissive terms",
        quick: true,
        run: licences::check,
    },
    Step {
        name: "clippy",
        about: "no target of any crate has a warning",
        quick: true,
        run: clippy,
    },
    Step {
        name: "tests",
        about: "all tests and the examples in the documentation",
        quick: true,
        run: tests,
    },
    Step {
        name: "features",
        about: "each crate works with its optional features, and without its default ones",
        quick: false,
        run: features,
    },
    Step {
        name: "fuzz",
        about: "the fuzz targets hold over a fixed corpus",
        quick: false,
        run: fuzz,
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        quick: false,
        run: docs,
    },
    Step {
        name: "header",
        about: "include/dynload.h is what the code says",
        quick: true,
        run: header::check,
    },
    Step {
        name: "no_std",
        about: "caps and the sandbox's core run where there is no std",
        quick: false,
        run: no_std::check,
    },
    Step {
        name: "counts",
        about: "no path takes more instructions than it used to",
        quick: false,
        run: bench::check,
    },
    Step {
        name: "demo",
        about: "the demo's answers are the specification's, and its output is the README's",
        quick: true,
        run: demo::check,
    },
    Step {
        name: "install",
        about: "a C program finds, links and runs the installed libraries",
        quick: false,
        run: install::check,
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

/// Says at once what is missing, and not after ten minutes.
fn tools() -> Result<(), Failure> {
    let needed: &[(&str, &[&str], &str)] = &[
        ("cargo", &["fmt", "--version"], "`rustup component add rustfmt`"),
        ("cargo", &["clippy", "--version"], "`rustup component add clippy`"),
        (
            "cc",
            &["--version"],
            "a C compiler: the packages gcc and g++ on Debian",
        ),
        ("c++", &["--version"], "a C++ compiler: the package g++ on Debian"),
        ("clang", &["--version"], "the package clang on Debian"),
        ("wasm-ld", &["--version"], "the package lld on Debian"),
        ("python3", &["--version"], "the package python3 on Debian"),
        ("pkg-config", &["--version"], "the package pkg-config on Debian"),
    ];
    let missing: Vec<String> = needed
        .iter()
        .filter(|(program, arguments, _)| !is_there(program, arguments))
        .map(|(program, arguments, remedy)| {
            let subcommand = if *program == "cargo" { arguments[0] } else { "" };
            format!("    {program} {subcommand}: {remedy}")
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "these programs are missing:\n{}",
        missing.join("\n")
    )))
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
    // All that fails is said in one run, and once more at its end.
    run(&mut cargo(["test", "--workspace", "--no-fail-fast"]))
}

/// The features that are not part of the workspace's build.
fn features() -> Result<(), Failure> {
    run(&mut cargo(["test", "-p", "dynload-caps", "--all-features"]))?;
    run(&mut cargo([
        "test",
        "-p",
        "dynload-sandbox",
        "--features",
        "simd,deterministic",
    ]))?;
    let combinations: &[&[&str]] = &[
        &["dynload-native", "--no-default-features"],
        &["dynload-sandbox", "--no-default-features"],
        &[
            "dynload-sandbox",
            "--no-default-features",
            "--features",
            "simd,deterministic",
        ],
        &["dynload-sandbox", "--all-features"],
    ];
    for combination in combinations {
        run(cargo(["clippy", "-p"])
            .args(*combination)
            .args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// The fuzz targets have a workspace of their own; over a fixed corpus they are plain tests.
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
