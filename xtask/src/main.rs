//! The commands of the project: `cargo xtask <command>`. `cargo xtask help` lists them.
//!
//! This crate has no dependencies, so that it builds in a second on a fresh machine. Code that needs the project's crates (the
//! demo, the header generator) is in separate packages, which the commands here start.
#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod cargo;
mod demo;
mod failure;
mod gpu;
mod header;
mod install;
mod languages;
mod layers;
mod licenses;
mod long;
mod no_std;
mod package;
mod readme;
mod semver;
mod steps;
mod style;
mod targets;
mod test;
mod tools;
mod vais;

use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;

/// A command: its name, arguments, description and implementation.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(Arguments) -> Result<(), Failure>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        arguments: "[--gpu] [--update-readme]",
        about: "runs the specification's four examples on real plugins and checks each result",
        run: demo::command,
    },
    Command {
        name: "test",
        arguments: "[--quick] [--only STEP] [--from STEP] [--list]",
        about: "runs everything that CI runs; --quick skips the slow steps",
        run: test::command,
    },
    Command {
        name: "header",
        arguments: "[--check]",
        about: "writes crates/dynload-ffi/include/dynload.h; --check only checks that it is up to date",
        run: header::command,
    },
    Command {
        name: "install",
        arguments: "--prefix DIR [--destdir DIR] [--debug]",
        about: "installs the C libraries, the headers, the pkg-config file and the Vais module",
        run: install::command,
    },
    Command {
        name: "package",
        arguments: "",
        about: "packages each crate as for crates.io and builds it from the package alone",
        run: package::command,
    },
    Command {
        name: "semver",
        arguments: "",
        about: "compares the public API of each crate with the last release, by cargo-semver-checks",
        run: semver::command,
    },
    Command {
        name: "bench",
        arguments: "[--quick] [--only NAME] [--list] | --check | --bless | --readme",
        about: "measures dynload and its peers; --check compares instruction counts with bench/baseline.json",
        run: bench::command,
    },
    Command {
        name: "prove",
        arguments: "[--package CRATE]",
        about: "runs the long checks: property tests with their full number of cases (DYNLOAD_PROVE=1), Wasmtime as the oracle, the loom models",
        run: long::prove,
    },
    Command {
        name: "targets",
        arguments: "[--only TARGET] [--list]",
        about: "builds and runs the project for other machines: microcontrollers, browsers, other processors and systems",
        run: targets::command,
    },
    Command {
        name: "vais",
        arguments: "--compiler PATH",
        about: "compiles the Vais module and its examples with a real compiler, links them to both libraries and runs them",
        run: vais::command,
    },
    Command {
        name: "fuzz",
        arguments: "[TARGET] [--seconds N] [LIBFUZZER-ARGUMENTS]",
        about: "fuzzes one target, or each in turn; needs a nightly toolchain and cargo-fuzz",
        run: long::fuzz,
    },
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_env();
    let name = arguments.positional().unwrap_or_else(|| "help".to_owned());
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("unknown command `{name}`\n\n{}", help());
        return ExitCode::from(2);
    };
    match (command.run)(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask {name}: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask <command>\n\n");
    for command in COMMANDS {
        let line = format!("  {} {}", command.name, command.arguments);
        text.push_str(&format!("{}\n      {}\n", line.trim_end(), command.about));
    }
    text
}
