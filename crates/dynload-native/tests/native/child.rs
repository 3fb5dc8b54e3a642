//! Running a test again in its own process, which may die.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const ARGUMENT: &str = "DYNLOAD_NATIVE_CHILD";

/// In a child, returns the argument that the parent passed.
pub(crate) fn argument() -> Option<PathBuf> {
    std::env::var_os(ARGUMENT).map(PathBuf::from)
}

/// Returns the command of a child that runs one test of this program, by its full name, with an argument.
pub(crate) fn command(test: &str, argument: impl Into<PathBuf>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    command.env(ARGUMENT, argument.into()).stdin(Stdio::null());
    command
}

/// Runs the command to its end, and checks that it succeeded and ran a test.
#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "the child ended with {}:\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed"), "the child ran no test: {stdout}");
    output
}
