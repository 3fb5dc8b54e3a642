//! `dynload watch`: builds a plugin on every save, and reloads it in a sandbox.

use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use dynload_diagnostics::{listed, printable};
use dynload_hotreload::{
    Artifact, ArtifactKind, BuildCommand, Builder, Config, Event, EventKind, Guard, LoadError, Loader,
    ReloadError, Reloader,
};
use dynload_native::inspect::{HeaderError, LibraryInfo, inspect};
use dynload_sandbox::{Console, ConsoleOutput, Engine, Instance, Sandbox};
use wasmparser::{Chunk, Parser};

use crate::exit::{Failure, chain, code, try_print};
use crate::limits::{SandboxOptions, duration};
use crate::load;
use crate::progress;
use crate::run::explained;

/// Builds a plugin on every save, reloads it, and prints each step with its time. Ctrl-C ends it.
///
/// WebAssembly is loaded in a sandbox, which `--call` calls. A native library is built and its headers are inspected, but
/// it is never loaded, because nothing can restrict it.
#[derive(Args)]
#[command(after_help = "Examples:
  dynload watch plugin.wat --call value
  dynload watch plugin.c --call value --build 'clang --target=wasm32 -nostdlib -Wl,--no-entry -o {out} {src}'
  dynload watch native.c")]
pub(crate) struct Options {
    /// A .wat, .wasm, .c, .rs or .vais file, a Cargo.toml, or a library. Without `--build`, .c, .rs and .vais files are built
    /// as native libraries.
    source: PathBuf,
    /// A function without parameters to call after each reload.
    #[arg(long, value_name = "EXPORT")]
    call: Option<String>,
    /// The command that builds a module: words separated by spaces, run without a shell. `{src}` is replaced by the source,
    /// `{out}` by the file to create.
    #[arg(long, value_name = "COMMAND")]
    build: Option<String>,
    /// Another file, or a pattern such as `include/*.h`, that starts a build when it changes; repeatable.
    #[arg(long, value_name = "PATH")]
    also: Vec<PathBuf>,
    /// How long the source must be quiet before a change is processed.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "100ms")]
    debounce: Duration,
    #[command(flatten)]
    sandbox: SandboxOptions,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let sandbox = options
        .sandbox
        .sandbox()?
        .with_console(Console::new(ConsoleOutput::Inherit).with_limit(u64::MAX));
    let loader = SandboxLoader {
        engine: Engine::new(options.sandbox.engine_config()),
        sandbox,
    };
    let failed = |error: &dyn Error| Failure::of(code::FAILED, error);
    let reloader = Reloader::new(config(options)?, loader).map_err(|error| failed(&error))?;
    let begun = Instant::now();
    let events = reloader.subscribe();
    let source = printable(reloader.source().display()).path();
    progress::during(&format!("building and loading {source}"), || reloader.start())
        .map_err(|error| failed(&error))?;
    let heading = format!(
        "watching {source} ({}); press Ctrl-C to stop\n",
        reloader.watch_state()
    );
    if !printed(&heading)? {
        return Ok(ExitCode::SUCCESS);
    }
    for event in events {
        let mut text = line(&event, begun);
        match &event.kind {
            EventKind::Built { output, .. } => text += &indented(output),
            EventKind::Failed { error, .. } => {
                if let ReloadError::NoBuilder { .. } = **error {
                    return Err(Failure::of(code::USAGE, &**error).with_remedy("pass it with `--build`"));
                }
                text += &match (error.build_output(), error.source()) {
                    (Some(output), _) => indented(output),
                    (None, Some(cause)) => indented(&chain(cause)),
                    (None, None) => String::new(),
                };
            }
            EventKind::Swapped { version, .. } => {
                // After two saves in a row, only the newer version can be called.
                let current = reloader
                    .current()
                    .filter(|current| Guard::version(current) == *version);
                if let Some(current) = current {
                    // The guest may print, so the line comes first.
                    if !printed(&text)? {
                        return Ok(ExitCode::SUCCESS);
                    }
                    text = current.describe(options.call.as_deref());
                }
            }
            _ => {}
        }
        if !printed(&text)? {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn config(options: &Options) -> Result<Config, Failure> {
    let mut config = Config::new(&options.source).with_debounce(options.debounce);
    for path in &options.also {
        config = config.watch_also(path);
    }
    if let Some(command) = &options.build {
        let mut words = command.split_whitespace();
        let program = words.next().ok_or_else(|| {
            Failure::new(
                code::USAGE,
                "`--build` is empty; pass a program and its arguments",
            )
        })?;
        let command = BuildCommand::new(program).args(words).extension("wasm");
        config = config.with_builder(Builder::Command(command));
    }
    Ok(config)
}

/// Prints `text`. Returns `false` if the reader has closed its end.
fn printed(text: &str) -> Result<bool, Failure> {
    match try_print(text) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::of(code::FAILED, &error).about("cannot write to standard output")),
    }
}

fn line(event: &Event, begun: Instant) -> String {
    let time = event.at.saturating_duration_since(begun);
    format!("{:>9.3} s  {event}\n", time.as_secs_f64())
}

fn indented(text: &str) -> String {
    let lines = text.trim_end().lines();
    let lines = lines.map(|line| format!("{:>11}  | {}\n", "", printable(line).message().with_lines()));
    lines.collect()
}

/// Loads modules in a sandbox, and only inspects libraries.
struct SandboxLoader {
    engine: Engine,
    sandbox: Sandbox,
}

/// A version: an instance, or the headers of a library.
enum Loaded {
    Wasm(Mutex<Instance>),
    Native(LibraryInfo),
}

impl Loaded {
    /// Returns a line about the version, after calling `export`.
    fn describe(&self, export: Option<&str>) -> String {
        let text = match self {
            Loaded::Native(info) => {
                let needed = printable(listed(&info.needed)).message().to_string();
                format!(
                    "a native library, inspected and not loaded: {} for {}, needs {}",
                    info.format,
                    info.architecture,
                    if needed.is_empty() { "nothing" } else { &needed }
                )
            }
            Loaded::Wasm(instance) => {
                let Some(export) = export else {
                    return String::new();
                };
                let mut instance = instance.lock().unwrap_or_else(PoisonError::into_inner);
                let name = printable(export);
                match instance.call(export, &[]) {
                    Ok(results) => format!("{name}() = {}", listed(&results)),
                    Err(error) => match error.exit_code() {
                        Some(code) => format!("{name}() exited with code {code}"),
                        None => format!("{name}() failed: {}", explained(&error)),
                    },
                }
            }
        };
        format!("{:>11}  {text}\n", "")
    }
}

impl SandboxLoader {
    /// Returns the module of an artifact in the binary format, or `None` if it is a library.
    fn wasm(artifact: &Artifact) -> Result<Option<Vec<u8>>, LoadError> {
        let failed = |error: io::Error| LoadError::new("cannot read the copy").with_source(error);
        match artifact.kind {
            ArtifactKind::Native => return Ok(None),
            _ if artifact.size == 0 => return Err(LoadError::incomplete("the file is empty")),
            _ => {}
        }
        let bytes = fs::read(&artifact.path).map_err(failed)?;
        load::binary(bytes, &artifact.origin)
            .map(Some)
            .map_err(|error| LoadError::new(load::one_line(&error)))
    }
}

impl Loader for SandboxLoader {
    type Loaded = Loaded;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        match Self::wasm(artifact) {
            Ok(Some(bytes)) if is_cut_off(&bytes) => Err(LoadError::incomplete("the module is truncated")),
            Ok(_) => Ok(()),
            // Text that does not parse is an error of `load`, unless it is empty.
            Err(error) if error.is_incomplete() => Err(error),
            Err(_) => Ok(()),
        }
    }

    fn load(&self, artifact: &Artifact) -> Result<Loaded, LoadError> {
        let Some(bytes) = Self::wasm(artifact)? else {
            let info = inspect(&artifact.path).map_err(|error| {
                let make = match error {
                    HeaderError::Empty | HeaderError::Truncated { .. } => LoadError::incomplete,
                    _ => LoadError::new,
                };
                make("not a library for this machine").with_source(error)
            })?;
            return Ok(Loaded::Native(info));
        };
        let module = load::compile(&self.engine, &bytes).map_err(LoadError::new)?;
        let refused = |error: dynload_sandbox::Error| LoadError::new(explained(&error));
        let mut instance = self.sandbox.instantiate(&module).map_err(refused)?;
        if instance.signature("_initialize").is_some() {
            instance.call("_initialize", &[]).map_err(refused)?;
        }
        Ok(Loaded::Wasm(Mutex::new(instance)))
    }
}

/// Returns whether a module ends within a section: it is still being written.
fn is_cut_off(bytes: &[u8]) -> bool {
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        match parser.parse(rest, false) {
            Ok(Chunk::NeedMoreData(_)) => return !rest.is_empty(),
            Ok(Chunk::Parsed { consumed, .. }) => rest = &rest[consumed..],
            // Malformed, which more bytes do not change.
            Err(_) => return false,
        }
        if rest.is_empty() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_ends_within_a_section_is_cut_off() {
        let bytes = wat::parse_str(
            "(module (memory 1) (data (i32.const 0) \"abc\") (func (export \"f\") (result i32) (i32.const 7)))",
        )
        .unwrap();
        assert!(!is_cut_off(&bytes));
        let cut = (1..bytes.len()).filter(|&at| is_cut_off(&bytes[..at])).count();
        // A cut between two sections is not noticed: what is left is a module.
        assert!(cut > bytes.len() * 3 / 4, "{cut} of {}", bytes.len());
        assert!(!is_cut_off(b"(module)"));
    }
}
