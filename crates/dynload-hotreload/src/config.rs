//! The configuration of a reloader.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WatchMode {
    /// File-change notifications if they work, polling otherwise. This is the default.
    ///
    /// Network and FUSE mounts are recognized by the type of the file system. A file system of unknown type is
    /// tested with a probe: a hidden file that is created in the watched directory and removed immediately. Polling
    /// is also used when the system's limit on watches is exhausted.
    #[default]
    Auto,
    /// Only file-change notifications; starting fails if they are unavailable.
    Native,
    /// Polling: the files are checked at this interval.
    Poll(Duration),
}

/// The upper limit for all durations: a point in time that far ahead is representable on every clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How the artifact is built from the source.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Builder {
    /// The builder is chosen by the name of the source; see the table at [`Config::with_builder`]. This is the
    /// default.
    #[default]
    Auto,
    /// No builder: the source is the artifact.
    None,
    /// The builder is this command.
    Command(BuildCommand),
}

/// A build command, run directly and never through a shell.
///
/// In arguments, `{src}` is replaced by the source, `{out}` by the file to create, and `{out_dir}` by the directory
/// of that file, all as absolute paths. If a command chooses the location of its output itself, specify that
/// location with [`output`](BuildCommand::output).
///
/// # Examples
///
/// ```
/// use dynload_hotreload::BuildCommand;
///
/// let clang = BuildCommand::new("clang").args(["-O2", "-shared", "-fPIC", "{src}", "-o", "{out}"]);
/// let make = BuildCommand::new("make").args(["-C", "plugin"]).output("plugin/build/plugin.so");
/// # let _ = (clang, make);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildCommand {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) output: Option<PathBuf>,
    pub(crate) extension: Option<String>,
    pub(crate) current_dir: Option<PathBuf>,
}

impl BuildCommand {
    /// Creates a command from a program: a path, or a name that is searched on `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            output: None,
            extension: None,
            current_dir: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the path of the command's output; the default is `{out}`.
    #[must_use]
    pub fn output(mut self, path: impl AsRef<Path>) -> Self {
        self.output = Some(path.as_ref().to_owned());
        self
    }

    /// Sets the extension of `{out}`, without the dot; the default is the extension of the platform's shared
    /// libraries.
    #[must_use]
    pub fn extension(mut self, extension: impl Into<String>) -> Self {
        self.extension = Some(extension.into());
        self
    }

    /// Sets the working directory of the command; the default is that of the host.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.current_dir = Some(dir.as_ref().to_owned());
        self
    }
}

/// The settings of a [`Reloader`](crate::Reloader).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use dynload_hotreload::{Config, WatchMode};
///
/// let config = Config::new("plugins/greeter.c")
///     .with_debounce(Duration::from_millis(50))
///     .watch_also("plugins/include/**/*.h")
///     .with_watch_mode(WatchMode::Poll(Duration::from_millis(500)));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) source: PathBuf,
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) debounce: Duration,
    pub(crate) settle_timeout: Duration,
    pub(crate) shrink_timeout: Duration,
    pub(crate) verbose: bool,
    pub(crate) mode: WatchMode,
    pub(crate) extra: Vec<PathBuf>,
    pub(crate) builder: Builder,
    pub(crate) build_timeout: Option<Duration>,
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Config {
    /// The default [debounce time](Config::with_debounce): how long the source must be quiet before a change is
    /// processed.
    pub const DEFAULT_DEBOUNCE: Duration = Duration::from_millis(100);
    /// The default [time limit of a build](Config::with_build_timeout).
    pub const DEFAULT_BUILD_TIMEOUT: Duration = Duration::from_secs(300);
    /// The default [settle timeout](Config::with_settle_timeout): how long the reloader waits for an incomplete
    /// file.
    pub const DEFAULT_SETTLE_TIMEOUT: Duration = Duration::from_secs(3);
    /// The default [shrink timeout](Config::with_shrink_timeout): how long the reloader waits for the writer of a file
    /// that has become much shorter.
    pub const DEFAULT_SHRINK_TIMEOUT: Duration = Duration::from_secs(1);

    /// Creates the default settings for a source.
    pub fn new(source: impl AsRef<Path>) -> Self {
        Self {
            source: source.as_ref().to_owned(),
            output_dir: None,
            debounce: Self::DEFAULT_DEBOUNCE,
            settle_timeout: Self::DEFAULT_SETTLE_TIMEOUT,
            shrink_timeout: Self::DEFAULT_SHRINK_TIMEOUT,
            verbose: false,
            mode: WatchMode::Auto,
            extra: Vec::new(),
            builder: Builder::Auto,
            build_timeout: Some(Self::DEFAULT_BUILD_TIMEOUT),
            env: Vec::new(),
        }
    }

    /// Sets the directory for builds and staged copies. It is created if it does not exist. One in which other users can
    /// replace files is refused, when the first attempt needs it: they could run code in this process.
    ///
    /// The default is a private directory below the system's temporary directory. Leftovers of processes that have
    /// ended are removed there when a reloader is created.
    #[must_use]
    pub fn with_output_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.output_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets the debounce time: how long the source must be quiet before a change is processed. The default is 100
    /// ms; 0 processes changes immediately.
    ///
    /// Each further event restarts the wait (trailing edge), but a change is delayed by at most 2 s or ten times
    /// the debounce time, whichever is longer. Times are measured on the monotonic clock.
    #[must_use]
    pub fn with_debounce(mut self, quiet: Duration) -> Self {
        self.debounce = quiet.min(LONGEST);
        self
    }

    /// Sets how long the reloader waits for a file that is truncated, or that changes each time it is read, before
    /// it reports the file as broken. The default is 3 s.
    #[must_use]
    pub fn with_settle_timeout(mut self, limit: Duration) -> Self {
        self.settle_timeout = limit.min(LONGEST);
        self
    }

    /// Sets how long a file must stay unchanged before it is used, if it is empty, or if it is the source and less than half
    /// as long as the content that was tried before. The default is 1 s; 0 uses such a file immediately.
    ///
    /// Some programs truncate a file, or close it after its first part, and write the rest a moment later. An event says that
    /// the reloader [waits](crate::EventKind::Waiting). Each change of such a file restarts the wait, but no change of the
    /// source or another file is delayed by more than ten times this timeout. A file that was empty before is not waited for,
    /// and at the first attempt after the start only an empty source is.
    #[must_use]
    pub fn with_shrink_timeout(mut self, limit: Duration) -> Self {
        self.shrink_timeout = limit.min(LONGEST);
        self
    }

    /// Sets whether each step is logged at the level `info` instead of `debug`. The default is `false`.
    ///
    /// Records are sent to the [`log`](https://docs.rs/log) facade with the target `dynload_hotreload`; failures are
    /// always logged at `warn`. Nothing is ever written to the standard streams.
    #[must_use]
    pub fn with_verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets how changes are noticed. The default is [`WatchMode::Auto`].
    #[must_use]
    pub fn with_watch_mode(mut self, mode: WatchMode) -> Self {
        self.mode = match mode {
            WatchMode::Poll(interval) => WatchMode::Poll(interval.min(LONGEST)),
            other => other,
        };
        self
    }

    /// Also rebuilds when this file, or any file that matches this glob, is changed, created or removed.
    ///
    /// In a glob, `*` and `?` match characters within one name, `[a-z]` and `[!a-z]` match one character, and `**`
    /// matches any number of directories. To match one of these characters itself, write it in brackets: `[*]`, `[?]`,
    /// `[[]`. This applies to every path that is passed here. A relative path is relative to the current directory, whose
    /// own name has no wildcards.
    ///
    /// A directory matches all files below it, except those that builds write: `*.ll`, and everything in a directory `target`,
    /// `.vais-cache` or `.git`. They are inputs only if the path spells them out: `src/tables.ll`, `src/*.ll`,
    /// `target/**/*.h`.
    ///
    /// Files below the [output directory](Config::with_output_dir) are ignored too. If the path leads into that directory up to
    /// its first wildcard, only what the reloader itself creates there is ignored: `cargo-target` and `dynload-PID-NUMBER`.
    ///
    /// What other programs write is a change like any other, and so is what the host itself writes, or what a process writes
    /// that a build has left running: do not watch the directory of a log of the reloads, which would cause further ones.
    ///
    /// If the source is a `Cargo.toml`, the crate's `build.rs` and everything in its `src/` are always watched. If it is a
    /// `*.vais`, so are the modules that it imports, directly or not: beside the importing file, in the directories of the
    /// environment variable `VAIS_DEP_PATHS` (of [builds](Config::with_build_env), or else of the host), or beside the source.
    ///
    /// Without a builder the extra files are only a reason to look at the source again, so they have no effect.
    #[must_use]
    pub fn watch_also(mut self, path_or_glob: impl AsRef<Path>) -> Self {
        self.extra.push(path_or_glob.as_ref().to_owned());
        self
    }

    /// Sets the builder. The default is [`Builder::Auto`], which chooses it by the name of the source:
    ///
    /// | source | builder |
    /// | --- | --- |
    /// | `*.vais` | `vaisc build --hot SRC -o OUT`; clang is told by `CCC_OVERRIDE_OPTIONS` to link a library |
    /// | `*.rs` | `rustc --crate-type cdylib --edition 2021 SRC -o OUT` |
    /// | `*.c` | `cc -shared -fPIC SRC -o OUT`; on Windows `gcc`, `clang` or `cl` if there is no `cc` |
    /// | `Cargo.toml` | `cargo build` of that package's library; its target directory is cargo's choice, or `cargo-target` in the output directory when one was set |
    /// | `*.so`, `*.dylib`, `*.dll`, `*.wasm`, `*.wat` | none |
    #[must_use]
    pub fn with_builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    /// Sets the time limit of a build, after which it is killed with its children; `None` means no limit. The
    /// default is 5 min.
    #[must_use]
    pub fn with_build_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.build_timeout = limit.into().map(|limit| limit.min(LONGEST));
        self
    }

    /// Sets an environment variable for builds, in addition to the host's environment.
    ///
    /// A `PATH` that is set here is also used to find the builder (on Unix).
    #[must_use]
    pub fn with_build_env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }
}

impl From<&Path> for Config {
    fn from(source: &Path) -> Self {
        Self::new(source)
    }
}

impl fmt::Display for WatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Native => f.write_str("native"),
            Self::Poll(interval) => write!(f, "poll every {interval:?}"),
        }
    }
}
