//! `cargo xtask targets`: builds the project for other machines, and runs it where one can be emulated.

mod firmware;

use std::time::Instant;

use crate::arguments::Arguments;
use crate::cargo::is_available;
use crate::failure::Failure;
use crate::tools::{self, Tool};

/// Builds and runs something. Returns what was found.
type Check = fn() -> Result<String, Failure>;

/// A kind of machine.
struct Target {
    /// The name for `--only`.
    name: &'static str,
    triple: &'static str,
    /// The programs that it needs.
    tools: &'static [Tool],
    /// The part of the check that takes seconds.
    short: Check,
    full: Check,
}

const TARGETS: &[Target] = &[
    Target {
        name: "cortex-m4",
        triple: firmware::CORTEX_M.triple,
        tools: &[Tool::required(
            "qemu-system-arm",
            || is_available("qemu-system-arm", &["--version"]),
            &["qemu-system-arm"],
        )],
        short: || firmware::CORTEX_M.check(),
        full: || firmware::lint().and_then(|()| firmware::CORTEX_M.check()),
    },
    Target {
        name: "riscv32",
        triple: firmware::RISCV.triple,
        tools: &[Tool::required(
            "qemu-system-riscv32",
            || is_available("qemu-system-riscv32", &["--version"]),
            &["qemu-system-misc"],
        )],
        short: || firmware::RISCV.check(),
        full: || firmware::RISCV.check(),
    },
    Target {
        name: "browser",
        triple: firmware::BROWSER,
        tools: &[Tool::required(
            "node",
            || is_available("node", &["--version"]),
            &["nodejs"],
        )],
        short: firmware::browser,
        full: firmware::browser,
    },
];

/// Runs `cargo xtask targets`: every target, and then a table of the results.
pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let list = arguments.flag("--list");
    let only = arguments.value("--only")?;
    arguments.end()?;
    let selected = select(only.as_deref())?;
    if list {
        for target in selected {
            println!("{:<10} {}", target.name, target.triple);
        }
        return Ok(());
    }
    run(&selected, |target| target.full)
}

/// Checks a part of every target, within minutes.
pub(crate) fn check() -> Result<(), Failure> {
    run(&select(None)?, |target| target.short)
}

fn select(only: Option<&str>) -> Result<Vec<&'static Target>, Failure> {
    let names = || {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        names.join(", ")
    };
    let selected: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| only.is_none_or(|name| [target.name, target.triple].contains(&name)))
        .collect();
    match (selected.is_empty(), only) {
        (true, Some(name)) => Err(Failure::new(format!(
            "unknown target `{name}`: use one of {}",
            names()
        ))),
        _ => Ok(selected),
    }
}

/// Runs a part of each target, also after one has failed.
fn run(targets: &[&Target], part: fn(&Target) -> Check) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for target in targets {
        println!("\n{}: {}", target.name, target.triple);
        let start = Instant::now();
        let result = provide(target).and_then(|()| part(target)());
        let seconds = start.elapsed().as_secs_f64();
        let found = result.unwrap_or_else(|failure| {
            failed.push(target.name);
            format!("FAILED: {failure}")
        });
        rows.push(format!("{:<10} {seconds:>6.1} s  {found}", target.name));
    }
    println!("\n{}", rows.join("\n"));
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "failed: {}; to run only one: cargo xtask targets --only {}",
        failed.join(", "),
        failed[0]
    )))
}

/// Installs what a target needs, or says what is missing.
fn provide(target: &Target) -> Result<(), Failure> {
    tools::provide_all(target.tools)?;
    if tools::has_target(target.triple)? {
        return Ok(());
    }
    Err(Failure::new(format!(
        "this toolchain has no target {0}: run `rustup target add {0}`",
        target.triple
    )))
}
