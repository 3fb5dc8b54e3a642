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

/// Whether the header that is checked in is the one that would be written.
pub(crate) fn check() -> Result<(), Failure> {
    run(&mut test())
}

/// The test that compares the header with the source, and writes it where it is told to. Of the whole workspace: for one package
/// alone, cargo would choose other features and build everything anew.
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
