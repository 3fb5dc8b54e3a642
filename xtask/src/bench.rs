//! `cargo xtask bench`.
//!
//! The benchmarks are a separate workspace in `bench`, which keeps the peers' dependencies out of the project's build. Only the
//! package that measures the peers needs these dependencies; counting instructions and writing the report do not.

use std::process::Command;

use crate::arguments::Arguments;
use crate::cargo::{cargo, root, run};
use crate::failure::Failure;

/// A task of `cargo xtask bench`.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// Measure dynload and its peers; the strings are arguments of the measuring program.
    Measure(Vec<String>),
    /// Count instructions, and compare them with the baseline or write them to it.
    Count { command: &'static str },
    /// Write the results of the last run into `bench/RESULTS.md` and the README.
    Readme,
}

/// Parses the arguments and runs the task.
pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let flags = ["--check", "--bless", "--readme"].map(|name| arguments.flag(name));
    match task(flags, arguments.rest())? {
        Task::Measure(arguments) => run(package("dynload-bench-peers", "release").args(arguments)),
        Task::Count { command } => count(command),
        Task::Readme => run(package("dynload-bench-report", "dev").arg("readme")),
    }
}

/// Counts instructions and compares them with the baseline: the part that CI runs, which does not need the peers.
pub(crate) fn check() -> Result<(), Failure> {
    run(cargo(["fmt", "--check"]).current_dir(root().join("bench")))?;
    count("check")
}

fn count(command: &str) -> Result<(), Failure> {
    run(package("dynload-bench-instructions", "instructions").arg(command))
}

fn task([check, bless, readme]: [bool; 3], rest: Vec<String>) -> Result<Task, Failure> {
    let task = match (check, bless, readme) {
        (false, false, false) => return Ok(Task::Measure(rest)),
        (true, false, false) => Task::Count { command: "check" },
        (false, true, false) => Task::Count { command: "bless" },
        (false, false, true) => Task::Readme,
        _ => {
            return Err(Failure::new(
                "--check, --bless and --readme exclude each other: pass one of them",
            ));
        }
    };
    match rest.first() {
        None => Ok(task),
        Some(word) => Err(Failure::new(format!(
            "unexpected argument `{word}`: see `cargo xtask help`"
        ))),
    }
}

/// Returns the command that runs a package of the benchmark workspace.
fn package(name: &str, profile: &str) -> Command {
    // A peer may declare a newer Rust than it needs.
    let mut command = cargo([
        "run",
        "--quiet",
        "--ignore-rust-version",
        "--profile",
        profile,
        "--package",
        name,
        "--",
    ]);
    command.current_dir(root().join("bench"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_select_the_task() {
        let words = ["--only", "calls", "--quick"].map(str::to_owned).to_vec();
        let measure = task([false; 3], words.clone()).unwrap();
        assert_eq!(measure, Task::Measure(words.clone()));
        assert_eq!(
            task([true, false, false], vec![]).unwrap(),
            Task::Count { command: "check" }
        );
        assert_eq!(
            task([false, true, false], vec![]).unwrap(),
            Task::Count { command: "bless" }
        );
        assert_eq!(task([false, false, true], vec![]).unwrap(), Task::Readme);
        assert!(task([true, true, false], vec![]).is_err());
        assert!(task([true, false, false], words).is_err());
    }
}
