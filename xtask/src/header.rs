//! `cargo xtask header`.

use std::process::Command;

use crate::arguments::Arguments;
use crate::cargo::{cargo, run};
use crate::failure::Failure;

pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let only_check = arguments.flag("--check");
    arguments.end()?;
    if only_check {
        check()
    } else {
        run(test().env("DYNLOAD_WRITE_HEADER", "1"))
    }
}

/// Checks that the committed header is the one that would be written.
pub(crate) fn check() -> Result<(), Failure> {
    run(&mut test())
}

/// Returns the command of the test that compares the header with the source, and writes it if `DYNLOAD_WRITE_HEADER`
/// is set. The command covers the whole workspace: for a single package, cargo would select other features and
/// rebuild everything.
fn test() -> Command {
    cargo([
        "test",
        "--quiet",
        "--workspace",
        "--test",
        "header",
        "--",
        "the_header_is_current",
    ])
}
