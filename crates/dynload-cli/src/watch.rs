//! `dynload watch`: builds a plugin on every save, and reloads it in a sandbox.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use dynload_diagnostics::{listed, printable};
use dynload_hotreload::{
    Artifact, ArtifactKind, BuildCommand, Builder, Config, Event, EventKind, Guard, LoadError, Loader,
    ReloadError, Reloader,
};
use dynload_native::inspect::{HeaderError, LibraryInfo, inspect};
use dynload_sandbox::{Console, ConsoleOutput, Engine, Instance, InterruptHandle, Sandbox};
use wasmparser::{Chunk, Parser};

use crate::exit::{Failure, chain, code, print};
use crate::limits::{SandboxOptions, duration};
use crate::run::explained;
use crate::{load, number, progress, signals};

/// Builds a plugin on every save, reloads it, and prints each step with its time. Ctrl-C ends it.
///
/// WebAssembly is loaded in a sandbox, which `--call` calls. A native library is built and its headers are inspected, but
/// it is never loaded, because nothing can restrict it.
#[derive(Args)]
#[command(after_help = "Exit codes:
  1    the source cannot be watched, or the output could not be written
  2    the arguments are wrong
  129  SIGHUP ended it (on Unix)
  130  Ctrl-C (SIGINT) ended it (on Unix)
  141  the reader of standard output has closed it
  143  SIGTERM ended it (on Unix)

Examples:
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
    /// Another file, or a pattern such as `include/*.h`, that starts a build when it changes. Repeatable.
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
        engine: Engine::new(options.sandbox.module.engine_config()),
        sandbox,
    };
    let failed = |error: &dyn Error| Failure::of(code::FAILED, error);
    let reloader = Reloader::new(config(options)?, loader).map_err(|error| failed(&error))?;
    let (sender, messages) = mpsc::channel();
    let events = sender.clone();
    reloader.on_event(move |event| {
        // Without a receiver, the command is about to end.
        let _ = events.send(Message::Event(event.clone()));
    });
    let stop = || {
        let _ = sender.send(Message::Stop);
        // The version that runs now, and one that is loaded until the reloader has stopped.
        interrupt(&reloader);
        reloader.stop();
        interrupt(&reloader);
    };
    let (result, signal) =
        signals::stopping(stop, || follow(options, &reloader, &messages)).map_err(|error| failed(&error))?;
    match signal {
        // Dropping the reloader removes the copies of the plugin.
        Some(signal) => Ok(ExitCode::from(128 + signal as u8)),
        None => result.map(|()| ExitCode::SUCCESS),
    }
}

/// What the command waits for.
enum Message {
    Event(Event),
    /// A signal has arrived.
    Stop,
}

/// Ends the calls of the running version.
fn interrupt(reloader: &Reloader<SandboxLoader>) {
    if let Some(current) = reloader.current()
        && let Loaded::Wasm { interrupt, .. } = &*current
    {
        interrupt.interrupt_all();
    }
}

/// Prints the events, and calls each version, until a signal arrives or the output cannot be written.
fn follow(
    options: &Options,
    reloader: &Reloader<SandboxLoader>,
    messages: &Receiver<Message>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let source = printable(reloader.source().display()).path();
    progress::during(&format!("building and loading {source}"), || reloader.start())
        .map_err(|error| Failure::of(code::FAILED, &error))?;
    print(&format!(
        "watching {source} ({}); press Ctrl-C to stop\n",
        reloader.watch_state()
    ))?;
    let mut presence = Presence::new(reloader.source());
    loop {
        match messages.recv_timeout(Presence::INTERVAL) {
            Ok(Message::Event(event)) => show(options, reloader, &event, begun)?,
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(text) = presence.change() {
            print(&line(Instant::now(), begun, text))?;
        }
    }
}

/// Whether the source exists. The reloader reports neither its removal nor its return with the same content, because editors
/// remove a file in order to replace it.
struct Presence<'a> {
    source: &'a Path,
    /// Since when it has been missing.
    missing: Option<Instant>,
    is_reported: bool,
}

impl Presence<'_> {
    const INTERVAL: Duration = Duration::from_millis(250);
    /// An editor has replaced the file by then.
    const GRACE: Duration = Duration::from_millis(500);

    fn new(source: &Path) -> Presence<'_> {
        // That it is missing at the start is an event.
        let missing = (!source.exists()).then(Instant::now);
        Presence {
            source,
            missing,
            is_reported: missing.is_some(),
        }
    }

    /// Returns what has changed, if something has.
    fn change(&mut self) -> Option<&'static str> {
        if self.source.exists() {
            self.missing = None;
            return std::mem::take(&mut self.is_reported).then_some("the source exists again");
        }
        let since = *self.missing.get_or_insert_with(Instant::now);
        if self.is_reported || since.elapsed() < Self::GRACE {
            return None;
        }
        self.is_reported = true;
        Some("the source was removed; waiting for it")
    }
}

/// Prints an event. Calls a new version.
fn show(
    options: &Options,
    reloader: &Reloader<SandboxLoader>,
    event: &Event,
    begun: Instant,
) -> Result<(), Failure> {
    print(&line(event.at, begun, event))?;
    let details = match &event.kind {
        EventKind::Built { output, .. } => indented(output),
        EventKind::Failed { error, .. } => {
            if let ReloadError::NoBuilder { .. } = **error {
                return Err(Failure::of(code::USAGE, &**error).with_remedy("pass it with `--build`"));
            }
            match (error.build_output(), error.source()) {
                (Some(output), _) => indented(output),
                (None, Some(cause)) => indented(&chain(cause)),
                (None, None) => String::new(),
            }
        }
        EventKind::Swapped { version, .. } => {
            // After two saves in a row, only the newer version can be called.
            let current = reloader
                .current()
                .filter(|current| Guard::version(current) == *version);
            current.map_or_else(String::new, |current| current.describe(options.call.as_deref()))
        }
        _ => String::new(),
    };
    print(&details)
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

fn line(at: Instant, begun: Instant, text: impl std::fmt::Display) -> String {
    let time = at.saturating_duration_since(begun);
    format!("{:>9.3} s  {text}\n", time.as_secs_f64())
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
    Wasm {
        instance: Mutex<Instance>,
        interrupt: InterruptHandle,
    },
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
            Loaded::Wasm { instance, .. } => {
                let Some(export) = export else {
                    return String::new();
                };
                let mut instance = instance.lock().unwrap_or_else(PoisonError::into_inner);
                let name = printable(export);
                match instance.call(export, &[]) {
                    Ok(results) => {
                        let results: Vec<String> = results.iter().map(number::text).collect();
                        format!("{name}() = {}", listed(&results))
                    }
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
        Ok(Loaded::Wasm {
            interrupt: instance.interrupt_handle(),
            instance: Mutex::new(instance),
        })
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
