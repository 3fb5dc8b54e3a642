//! Linux on other processors: the tests run under an emulator of one program.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, output, run};
use crate::failure::{During, Failure};

/// A processor.
pub(super) struct Machine {
    pub(super) triple: &'static str,
    /// The prefix of the names of its compilers.
    tools: &'static str,
    emulator: &'static str,
}

pub(super) const AARCH64: Machine = Machine {
    triple: "aarch64-unknown-linux-gnu",
    tools: "aarch64-linux-gnu",
    emulator: "qemu-aarch64",
};

pub(super) const I686: Machine = Machine {
    triple: "i686-unknown-linux-gnu",
    tools: "i686-linux-gnu",
    emulator: "qemu-i386",
};

/// The only one here that is big-endian.
pub(super) const S390X: Machine = Machine {
    triple: "s390x-unknown-linux-gnu",
    tools: "s390x-linux-gnu",
    emulator: "qemu-s390x",
};

/// The tests of each crate that depend on the processor: its byte order, its word size, its ELF files.
const TESTS: &[(&str, &[&str])] = &[
    ("dynload-caps", &["--lib", "--test", "caps"]),
    ("dynload-native", &["--lib", "--test", "native"]),
    ("dynload-oracle", &["--tests"]),
    (
        "dynload-sandbox",
        &[
            "--lib",
            "--test",
            "sandbox",
            "--test",
            "services",
            "--test",
            "languages",
        ],
    ),
];

/// Tests that start their own program again, or an example, which the system cannot run without the emulator.
const SKIPPED: &[&str] = &[
    "dependencies::a_copy_finds_what_the_loader_finds_for_the_original",
    "dependencies::a_library_that_was_closed_is_used_for_its_name",
    "dependencies::a_version_that_was_reloaded_is_not_used_for_its_name",
    "dependencies::what_a_copy_opens_itself_is_what_the_original_opens",
    "inspect::a_library_of_every_length_is_refused_or_loads",
    "links::a_dependency_finds_its_files_after_a_reload",
    "links::a_parent_and_its_child_stage_in_the_same_directory",
    "rust_plugin::thread_local_destructors_run_after_reload_and_unload",
    "staging::a_file_system_without_code_is_named",
    "staging::an_unusual_environment_does_no_harm",
    "staging::directories_of_dead_processes_are_swept_and_others_are_not",
    "staging::two_processes_reload_the_same_file",
    "stress::a_thousand_reloads_with_calls_running",
    "stress::all_operations_concurrently_from_any_thread",
    "stress::loads_unloads_and_reloads_leave_nothing_behind",
    "commands::the_run_example",
    "commands::unread_output",
    "console::errors_of_the_hosts_own_output_reach_the_guest",
    "escapes::without_openat2",
    "hostile::the_host_keeps_descriptors_for_itself",
    "process::a_host_that_ignores_sigchld",
    "process::a_program_inherits_no_descriptor",
    "threads::nothing_of_a_worker_outlives_the_call",
];

impl Machine {
    /// Runs the tests.
    pub(super) fn test(&self) -> Result<String, Failure> {
        for (package, tests) in TESTS {
            let mut command = self.command()?;
            command.args(["-p", package]).args(*tests).arg("--");
            for name in SKIPPED {
                command.args(["--skip", name]);
            }
            run(&mut command)?;
        }
        Ok(format!(
            "the tests of caps, native, the oracle and the sandbox pass in {}",
            self.emulator
        ))
    }

    /// Returns a command that runs tests for the machine. The tests find its compilers under the names of this machine's.
    fn command(&self) -> Result<Command, Failure> {
        let target = super::directory()?;
        let bin = self.compilers(&target.join(self.tools))?;
        let name = self.triple.to_uppercase().replace('-', "_");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = cargo(["test", "--target", self.triple, "--target-dir"]);
        command
            .arg(&target)
            .env(
                format!("CARGO_TARGET_{name}_LINKER"),
                format!("{}-gcc", self.tools),
            )
            .env(
                format!("CARGO_TARGET_{name}_RUNNER"),
                format!(
                    "env PATH={}:{path} {} -L /usr/{}",
                    bin.display(),
                    self.emulator,
                    self.tools
                ),
            );
        Ok(command)
    }

    /// Writes programs `cc`, `c++` and `rustc` that compile for the machine.
    fn compilers(&self, directory: &Path) -> Result<PathBuf, Failure> {
        let rustc = output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let rustc = format!(
            "{}/bin/rustc --target {} -C linker={}-gcc",
            rustc.trim_end(),
            self.triple,
            self.tools
        );
        let programs = [
            ("cc", format!("{}-gcc", self.tools)),
            ("c++", format!("{}-g++", self.tools)),
            ("rustc", rustc),
        ];
        std::fs::create_dir_all(directory).during(directory.display())?;
        for (name, command) in programs {
            let path = directory.join(name);
            std::fs::write(&path, format!("#!/bin/sh\nexec {command} \"$@\"\n")).during(path.display())?;
            run(Command::new("chmod").arg("+x").arg(&path))?;
        }
        Ok(directory.to_owned())
    }
}
