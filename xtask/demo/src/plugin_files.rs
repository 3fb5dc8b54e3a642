//! The plugins that the demo writes and builds.

use std::io::{Error, Result};
use std::path::Path;
use std::process::Command;

/// A native plugin whose function `answer` returns 41. [`answer_c`] replaces the number.
pub(crate) const ANSWER_C: &str = include_str!("../plugins/answer.c");
/// A Wasm plugin that prints a line and reads the clock.
pub(crate) const PLUGIN_WAT: &str = include_str!("../plugins/plugin.wat");
/// A Wasm plugin that uses as much of a resource as it is told to.
pub(crate) const HUNGRY_WAT: &str = include_str!("../plugins/hungry.wat");
/// A Wasm plugin whose shader computes squares.
pub(crate) const SQUARES_WAT: &str = include_str!("../plugins/squares.wat");

/// Returns the source of the native plugin with another answer.
pub(crate) fn answer_c(answer: i64) -> String {
    ANSWER_C.replace("41", &answer.to_string())
}

/// Compiles C into a shared library with the machine's C compiler.
pub(crate) fn compile(source: &Path, library: &Path) -> Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-o"])
        .args([library, source])
        .output()
        .map_err(|error| {
            Error::new(
                error.kind(),
                format!("cannot start the C compiler `{compiler}`: {error}"),
            )
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::other(format!(
        "`{compiler}` failed: {}",
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// Replaces a file as editors do: a reader sees either the old text or the new one.
pub(crate) fn save(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, path)
}
