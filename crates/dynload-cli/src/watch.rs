//! `dynload watch`: builds a plugin on every save, and reloads it in a sandbox.

mod loader;

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use dynload_diagnostics::printable;
use dynload_hotreload::{
    ArtifactKind, BuildCommand, Builder, Config, Event, EventKind, Guard, ReloadError, Reloader, StartError,
};
use dynload_sandbox::{Console, ConsoleOutput, Engine};

use crate::exit::{Failure, code, print};
use crate::limits::{SandboxOptions, duration};
use crate::signals;
use loader::{Loaded, SandboxLoader};

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
    /// A function without parameters to call after each reload. Not for native libraries, which are never loaded.
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
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, default_value = "100ms")]
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
    let (result, signal) = signals::stopping(stop, || follow(options, &reloader, &sender, messages))
        .map_err(|error| failed(&error))?;
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

/// Starts the reloader, and prints its events until a signal arrives or the output cannot be written.
fn follow(
    options: &Options,
    reloader: &Reloader<SandboxLoader>,
    sender: &Sender<Message>,
    messages: Receiver<Message>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    print(&introduction(options, reloader.source()))?;
    thread::scope(|scope| {
        // Beside the start, which waits for the first build.
        let printing = scope.spawn(move || {
            let result = show_all(options, reloader, &messages, begun);
            reloader.stop();
            result
        });
        let started = reloader.start();
        if started.is_err() {
            let _ = sender.send(Message::Stop);
        }
        printing
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        match started {
            Ok(()) | Err(StartError::Stopped) => Ok(()),
            Err(error) => Err(Failure::of(code::FAILED, &error)),
        }
    })
}

/// Returns the lines that precede the events.
fn introduction(options: &Options, source: &Path) -> String {
    let source = printable(source.display()).path();
    let mut text = format!("watching {source}; press Ctrl-C to stop\n");
    let is_pattern = |path: &Path| path.to_string_lossy().contains(['*', '?', '[']);
    for path in &options.also {
        if !path.exists() && !is_pattern(path) {
            let path = printable(path.display()).path();
            text += &format!("{:>11}  {path} does not exist; waiting for it too\n", "");
        }
    }
    text
}

/// Prints the events, and calls each version.
fn show_all(
    options: &Options,
    reloader: &Reloader<SandboxLoader>,
    messages: &Receiver<Message>,
    begun: Instant,
) -> Result<(), Failure> {
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
    let is_native = options.is_native();
    let (text, details) = match &event.kind {
        // Nothing has changed at the start.
        EventKind::Changed { .. } if event.attempt == 1 => return Ok(()),
        EventKind::Built { output, .. } => (event.to_string(), indented(output)),
        EventKind::Loaded { took, .. } if is_native => (format!("inspected in {took:.1?}"), String::new()),
        EventKind::Failed { error, .. } => match (&**error, error.build_output()) {
            (ReloadError::NoBuilder { .. }, ..) => {
                return Err(Failure::of(code::USAGE, &**error).with_remedy("pass it with `--build`"));
            }
            (ReloadError::Source { path, source }, ..)
                if source.kind() == io::ErrorKind::NotFound && path == reloader.source() =>
            {
                (
                    "the source does not exist; waiting for it".to_owned(),
                    String::new(),
                )
            }
            (_, Some(output)) => (event.to_string(), indented(output)),
            (_, None) => (event.to_string(), String::new()),
        },
        EventKind::Swapped { version, .. } => {
            let text = match event.since_change {
                Some(since) if is_native => format!("version {version}, {since:.1?} after the change"),
                _ => event.to_string(),
            };
            // After two saves in a row, only the newer version can be called.
            let current = reloader
                .current()
                .filter(|current| Guard::version(current) == *version);
            // Before the call, which can print and can take long.
            print(&line(event.at, begun, text))?;
            let details =
                current.map_or_else(String::new, |current| current.describe(options.call.as_deref()));
            return print(&details);
        }
        EventKind::Retired { .. } if is_native => return Ok(()),
        _ => (event.to_string(), String::new()),
    };
    print(&(line(event.at, begun, text) + &details))
}

impl Options {
    /// Returns whether the result is a native library.
    fn is_native(&self) -> bool {
        let is_built = || {
            let extension = self.source.extension().and_then(OsStr::to_str);
            let extension = extension.map(str::to_ascii_lowercase);
            self.source.file_name() == Some(OsStr::new("Cargo.toml"))
                || matches!(extension.as_deref(), Some("c" | "rs" | "vais"))
        };
        self.build.is_none()
            && match ArtifactKind::of(&self.source) {
                ArtifactKind::Native => true,
                ArtifactKind::Wasm | ArtifactKind::Wat => false,
                _ => is_built(),
            }
    }
}

fn config(options: &Options) -> Result<Config, Failure> {
    let source = without_parents(&options.source);
    let mut config = Config::new(&source).with_debounce(options.debounce);
    for path in &options.also {
        config = config.watch_also(path);
    }
    match &options.build {
        Some(command) => {
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
        None if options.call.is_some() && options.is_native() => {
            let source = printable(options.source.display()).path();
            return Err(Failure::new(
                code::USAGE,
                format!(
                    "`--call` has no effect, because without `--build` `{source}` is a native library, which is never \
                     loaded; pass a command that builds a module with `--build`"
                ),
            ));
        }
        None => {}
    }
    Ok(config)
}

/// Resolves each `..` in a path, so that messages show the path that is watched.
fn without_parents(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        if component != Component::ParentDir {
            resolved.push(component);
            continue;
        }
        // `..` of a symbolic link is the parent of the directory to which it leads.
        match fs::canonicalize(resolved.join("..")) {
            Ok(parent) => resolved = parent,
            Err(_) => resolved.push(component),
        }
    }
    resolved
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
