//! Reading and compiling a module, in the binary or the text format.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use dynload_diagnostics::printable;
use dynload_sandbox::{Engine, Module, ModuleError};

use crate::exit::{Failure, chain, code};
use crate::progress;

/// The largest file that is read: 1 GiB. The limit of the engine is lower, but text is longer than its module.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The longest line of a file that an error quotes.
const MAX_LINE_BYTES: usize = 300;

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = printable(path.display()).path().to_string();
    let mut bytes = Vec::new();
    let result = File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    match result {
        Ok(read) if read as u64 > MAX_FILE_BYTES => Err(Failure::new(
            code::NOT_LOADABLE,
            format!("`{shown}` is larger than {MAX_FILE_BYTES} bytes, the largest size that is read"),
        )),
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Failure::new(
            code::NOT_FOUND,
            format!("`{shown}` does not exist: check the path"),
        )),
        Err(error) => {
            Err(Failure::of(code::NOT_LOADABLE, &error).about(format_args!("cannot read `{shown}`")))
        }
    }
}

/// Reads a module in the binary or the text format, and compiles it with `new`.
pub(crate) fn module<T>(
    path: &Path,
    new: impl FnOnce(&[u8]) -> Result<T, ModuleError>,
) -> Result<T, Failure> {
    file(path, |bytes| {
        binary(bytes, path).and_then(|bytes| new(&bytes).map_err(|error| explained(&error)))
    })
}

/// Reads a prepared module.
pub(crate) fn prepared(engine: &Engine, path: &Path) -> Result<Module, Failure> {
    file(path, |bytes| {
        Module::from_prepared(engine, bytes).map_err(|error| explained(&error))
    })
}

/// Reads a file and compiles its contents.
fn file<T>(path: &Path, new: impl FnOnce(Vec<u8>) -> Result<T, String>) -> Result<T, Failure> {
    let shown = printable(path.display()).path().to_string();
    let bytes = read(path)?;
    let what = format!("loading {shown} ({} bytes)", bytes.len());
    progress::during(&what, || new(bytes))
        .map_err(|message| Failure::new(code::NOT_LOADABLE, format!("cannot load `{shown}`: {message}")))
}

/// Returns whether a file is a module in the text format, by its name or its first character.
pub(crate) fn is_text(bytes: &[u8], path: &Path) -> bool {
    if bytes.starts_with(b"\0asm") {
        return false;
    }
    let is_wat = |extension: &OsStr| extension.eq_ignore_ascii_case("wat");
    let start = bytes.trim_ascii_start();
    path.extension().is_some_and(is_wat) || start.starts_with(b"(") || start.starts_with(b";;")
}

/// Returns the module in the binary format.
pub(crate) fn binary(bytes: Vec<u8>, path: &Path) -> Result<Vec<u8>, String> {
    if !is_text(&bytes, path) {
        return Ok(bytes);
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("invalid UTF-8 at byte {}", error.utf8_error().valid_up_to()))?;
    wat::parse_str(&text).map_err(|mut error| {
        error.set_path(path);
        // It quotes the line, which can be the whole file.
        let text = printable(error).message().with_lines().to_string();
        if text.lines().any(|line| line.len() > MAX_LINE_BYTES) {
            return one_line(&text);
        }
        text
    })
}

/// Returns an error of [`binary`] without the line that it quotes: `FILE:LINE:COLUMN: what is wrong`.
pub(crate) fn one_line(error: &str) -> String {
    let mut lines = error.lines().map(str::trim);
    let first = printable(lines.next().unwrap_or_default()).up_to(MAX_LINE_BYTES);
    match lines.find_map(|line| line.strip_prefix("--> ")) {
        Some(at) => format!("{at}: {first}"),
        None => first.to_string(),
    }
}

/// Compiles a module in the binary format. An error says what to do.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, String> {
    Module::new(engine, bytes).map_err(|error| explained(&error))
}

/// Returns the text of an error, with the remedies of the command.
fn explained(error: &ModuleError) -> String {
    let text = chain(error);
    match error {
        ModuleError::TooLarge {
            limit: Some(limit), ..
        } => {
            format!("{text} with `--module-limit {limit}=N`")
        }
        // The remedies are those of a Rust program.
        ModuleError::Unsupported { .. } => {
            text.replace("set `EngineConfig::memory64`", "accept it with `--memory64`")
        }
        ModuleError::NotAModule { .. } => text
            .replace(
                "load such a library with dynload-native",
                "see `dynload inspect`: the command loads only WebAssembly",
            )
            .replace(
                "load it with `Module::from_prepared`",
                "run it with `dynload run --prepared`",
            ),
        ModuleError::NotPrepared { .. } => text
            .replace("prepare the module", "prepare it with `dynload prepare`")
            .replace("load it with `Module::new`", "run it without `--prepared`"),
        // The command has this feature too.
        _ => text.replace(
            "`portable-dispatch` of dynload-sandbox",
            "`portable-dispatch` of dynload-cli",
        ),
    }
}
