//! What a reloader is told to do.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WatchMode {
    /// By the system's file events where they work, and by polling where they do not. This is the default.
    ///
    /// Network and FUSE mounts are told by the type of the file system, others that are not known to work by a probe: a
    /// hidden file that is made in the watched directory and removed at once. When the system's limit on watches is
    /// exhausted, polling takes over too.
    #[default]
    Auto,
    /// By the system's file events only; starting fails where there are none.
    Native,
    /// By looking at the files at this interval.
    Poll(Duration),
}

/// No time is taken for longer: a moment that far ahead has to exist on every clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Who makes the artifact from the source.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Builder {
    /// The one that the source's name asks for; see the table at [`Config::with_builder`]. This is the default.
    #[default]
    Auto,
    /// Nobody: the source is the artifact.
    None,
    /// This command.
    Command(BuildCommand),
}

/// A command that builds, run as it stands and never through a shell.
///
/// In arguments, `{src}` stands for the source, `{out}` for the file that is to be made, and `{out_dir}` for the directory
/// of that file, all as absolute paths. A command that has its own idea of where its output goes is told where it is with
/// [`output`](BuildCommand::output).
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
    /// The program, as a path or as a name that is looked for on `PATH`.
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

    /// Where the command leaves what it made; by default it is at `{out}`.
    #[must_use]
    pub fn output(mut self, path: impl AsRef<Path>) -> Self {
        self.output = Some(path.as_ref().to_owned());
        self
    }

    /// The extension of `{out}`, without the dot; by default that of the platform's shared libraries.
    #[must_use]
    pub fn extension(mut self, extension: impl Into<String>) -> Self {
        self.extension = Some(extension.into());
        self
    }

    /// The directory that the command runs in; by default that of the host.
    #[must_use]
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.current_dir = Some(dir.as_ref().to_owned());
        self
    }
}

/// Settings of a [`Reloader`](crate::Reloader).
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
    pub(crate) verbose: bool,
    pub(crate) mode: WatchMode,
    pub(crate) extra: Vec<PathBuf>,
    pub(crate) builder: Builder,
    pub(crate) build_timeout: Option<Duration>,
    pub(crate) env: Vec<(OsString, OsString)>,
}

impl Config {
    /// How long a change has to be quiet before it is acted on, unless [`debounce`](Config::with_debounce) says otherwise.
    pub const DEFAULT_DEBOUNCE: Duration = Duration::from_millis(100);
    /// How long a build may run, unless [`build_timeout`](Config::with_build_timeout) says otherwise.
    pub const DEFAULT_BUILD_TIMEOUT: Duration = Duration::from_secs(300);
    /// How long an incomplete file is waited for, unless [`settle_timeout`](Config::with_settle_timeout) says otherwise.
    pub const DEFAULT_SETTLE_TIMEOUT: Duration = Duration::from_secs(3);

    /// The defaults for a source file.
    pub fn new(source: impl AsRef<Path>) -> Self {
        Self {
            source: source.as_ref().to_owned(),
            output_dir: None,
            debounce: Self::DEFAULT_DEBOUNCE,
            settle_timeout: Self::DEFAULT_SETTLE_TIMEOUT,
            verbose: false,
            mode: WatchMode::Auto,
            extra: Vec::new(),
            builder: Builder::Auto,
            build_timeout: Some(Self::DEFAULT_BUILD_TIMEOUT),
            env: Vec::new(),
        }
    }

    /// Where builds and staged copies go: a directory that is made when it is missing.
    ///
    /// By default a private directory below the system's temporary one. What lies there of processes that are gone is
    /// removed when a reloader is made.
    #[must_use]
    pub fn with_output_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.output_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// How long nothing may have happened to the source before it is acted on. By default 100 ms; 0 acts at once.
    ///
    /// The wait starts anew with each further event (the trailing edge), but puts a change off by 2 s or ten times this
    /// at most, whichever is longer. It runs on the monotonic clock.
    #[must_use]
    pub fn with_debounce(mut self, quiet: Duration) -> Self {
        self.debounce = quiet.min(LONGEST);
        self
    }

    /// How long a file that is cut off, or changes each time it is read, is waited for before it counts as broken.
    /// By default 3 s.
    #[must_use]
    pub fn with_settle_timeout(mut self, limit: Duration) -> Self {
        self.settle_timeout = limit.min(LONGEST);
        self
    }

    /// Whether each step is logged at the level `info` and not only at `debug`. By default not.
    ///
    /// Records go to the [`log`] facade with the target `dynload_hotreload`; failures are always at `warn`. Nothing is
    /// ever written to the standard streams.
    #[must_use]
    pub fn with_verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// How changes are noticed. By default [`WatchMode::Auto`].
    #[must_use]
    pub fn with_watch_mode(mut self, mode: WatchMode) -> Self {
        self.mode = match mode {
            WatchMode::Poll(interval) => WatchMode::Poll(interval.min(LONGEST)),
            other => other,
        };
        self
    }

    /// Also rebuilds when this file, or any file that this glob matches, changes, comes or goes.
    ///
    /// In a glob, `*` and `?` stand for characters of one name, `[a-z]` and `[!a-z]` for one character, and `**` for any
    /// number of directories. A directory stands for all files below it. Nothing in a directory `.git` or below
    /// the output directory counts. For a `Cargo.toml` as source, the crate's `src/` and `build.rs` are watched
    /// without being asked for.
    ///
    /// Without a builder the extra files are only a reason to look at the source again, so they change nothing.
    #[must_use]
    pub fn watch_also(mut self, path_or_glob: impl AsRef<Path>) -> Self {
        self.extra.push(path_or_glob.as_ref().to_owned());
        self
    }

    /// Who makes the artifact. By default [`Builder::Auto`], which goes by the name of the source:
    ///
    /// | source | builder |
    /// | --- | --- |
    /// | `*.vais` | `vaisc build --hot SRC -o OUT` |
    /// | `*.rs` | `rustc --crate-type cdylib --edition 2021 SRC -o OUT` |
    /// | `*.c` | `cc -shared -fPIC SRC -o OUT` |
    /// | `Cargo.toml` | `cargo build` of that package's library; its target directory is cargo's choice, or `cargo-target` in the output directory when one was set |
    /// | `*.so`, `*.dylib`, `*.dll`, `*.wasm`, `*.wat` | none |
    #[must_use]
    pub fn with_builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    /// How long a build may run before it is killed with its children; `None` for as long as it likes. By default 5 min.
    #[must_use]
    pub fn with_build_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.build_timeout = limit.into().map(|limit| limit.min(LONGEST));
        self
    }

    /// Sets an environment variable for builds, on top of the host's own environment.
    ///
    /// A `PATH` set here is also where the builder is looked for (on Unix).
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
