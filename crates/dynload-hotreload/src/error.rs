//! Everything that can go wrong.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dynload_diagnostics::printable;
use dynload_native::staging::StageError;

use crate::loader::LoadError;
use crate::step::Step;
use crate::watch::WatchError;

/// Why a [`Reloader`](crate::Reloader) could not be made or started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A path of the configuration cannot be made absolute (it is empty, or there is no current directory).
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The source cannot be watched.
    Watch(WatchError),
    /// The system gave no thread.
    Thread(io::Error),
    /// It was stopped before the first attempt was over, or is being stopped by the callback that starts it.
    Stopped,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, .. } => {
                write!(
                    f,
                    "`{}` cannot be made an absolute path: give one",
                    printable(path.display()).path()
                )
            }
            Self::Watch(_) => f.write_str("the source cannot be watched"),
            Self::Thread(_) => f.write_str("no thread could be started to watch and load"),
            Self::Stopped => f.write_str("it was stopped before it had begun: start it again"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Path { source, .. } | Self::Thread(source) => Some(source),
            Self::Watch(source) => Some(source),
            Self::Stopped => None,
        }
    }
}

impl From<WatchError> for StartError {
    fn from(error: WatchError) -> Self {
        Self::Watch(error)
    }
}

/// Why a change did not become a new version. The version that ran before still runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReloadError {
    /// The source, or a file watched with it, cannot be read.
    Source {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The source changed each time it was read, for longer than it is waited for.
    Unstable {
        /// The file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// No builder is known for this kind of source.
    NoBuilder {
        /// The source.
        path: PathBuf,
    },
    /// The program that builds this kind of source is not installed.
    BuilderMissing {
        /// The program.
        program: String,
        /// The source that needs it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The builder could not be run.
    Builder {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// The builder ran and said no.
    BuildFailed {
        /// The command.
        command: String,
        /// How it ended: `exit status: 1`.
        status: String,
        /// What it wrote, cut in the middle when it is long.
        output: String,
    },
    /// The builder ran longer than it may. It was killed with its children.
    BuildTimeout {
        /// The command.
        command: String,
        /// The time that it had.
        limit: Duration,
        /// What it wrote until then.
        output: String,
    },
    /// The builder ended well, and what it should have made is not there.
    NoArtifact {
        /// The command.
        command: String,
        /// What was looked for.
        expected: String,
        /// What it wrote.
        output: String,
    },
    /// The artifact could not be copied.
    Staging {
        /// The artifact.
        path: PathBuf,
        /// Why.
        source: StageError,
    },
    /// The directory for builds and copies cannot be made.
    OutputDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The loader refused the artifact.
    Load(LoadError),
    /// The new version refused the state of the old one, or the old one could not save it.
    Restore(LoadError),
    /// The loader panicked.
    Panicked {
        /// While doing what.
        step: Step,
        /// What it said.
        message: String,
    },
}

impl ReloadError {
    /// What the compiler or command wrote, for the errors that come from one.
    #[must_use]
    pub fn build_output(&self) -> Option<&str> {
        match self {
            Self::BuildFailed { output, .. }
            | Self::BuildTimeout { output, .. }
            | Self::NoArtifact { output, .. } => Some(output),
            _ => None,
        }
    }

    /// The whole story in one text: this error, its causes, and what the compiler wrote, of that the last 64 KiB. Lines and
    /// tabs are the compiler's own, other characters that are not printable are escaped.
    ///
    /// ```
    /// use dynload_hotreload::{LoadError, ReloadError};
    ///
    /// let error = ReloadError::Load(LoadError::new("no export `tick`"));
    /// assert_eq!(error.report(), "the new version cannot be loaded: no export `tick`");
    /// ```
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&printable(error).message().to_string());
            cause = error.source();
        }
        if let Some(output) = self
            .build_output()
            .map(str::trim_end)
            .filter(|output| !output.is_empty())
        {
            text.push('\n');
            text.push_str(&shown(output));
        }
        text
    }
}

/// What a compiler wrote, as it is shown: its end, which says what went wrong, and no more than [`MOST_OUTPUT`] bytes.
fn shown(output: &str) -> String {
    // An escape is longer than its character, and there are few in what a compiler means.
    let mut start = output.len().saturating_sub(MOST_OUTPUT);
    while !output.is_char_boundary(start) {
        start += 1;
    }
    let left_out = if start == 0 {
        String::new()
    } else {
        format!("[{start} bytes left out]\n")
    };
    format!(
        "{left_out}{}",
        printable(&output[start..]).up_to(2 * MOST_OUTPUT).with_lines()
    )
}

/// The most that is shown of what a compiler wrote.
const MOST_OUTPUT: usize = 64 * 1024;

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { path, .. } => write!(f, "`{}` cannot be read", printable(path.display()).path()),
            Self::Unstable { path, waited } => write!(
                f,
                "`{}` did not hold still for {waited:.1?}: something writes to it all the time",
                printable(path.display()).path()
            ),
            Self::NoBuilder { path } => write!(
                f,
                "no builder is known for `{}`: known are .vais, .rs, .c, Cargo.toml, and .so, .dylib, .dll, .wasm, \
                 .wat as they are; for anything else set a command",
                printable(path.display()).path()
            ),
            Self::BuilderMissing { program, path, .. } => write!(
                f,
                "`{}` was not found, and `{}` needs it: install it, put it on PATH, or set a build command",
                printable(program),
                printable(path.display()).path()
            ),
            Self::Builder { command, .. } => write!(f, "`{}` could not be run", printable(command).path()),
            Self::BuildFailed { command, status, .. } => write!(
                f,
                "`{}` ended with {}",
                printable(command).path(),
                printable(status)
            ),
            Self::BuildTimeout { command, limit, .. } => {
                write!(
                    f,
                    "`{}` was killed after {limit:?}, the time a build may take",
                    printable(command).path()
                )
            }
            Self::NoArtifact {
                command, expected, ..
            } => {
                let (command, expected) = (printable(command).path(), printable(expected).path());
                write!(f, "`{command}` ended well and did not make {expected}")
            }
            Self::Staging { path, .. } => write!(
                f,
                "`{}` could not be copied for loading",
                printable(path.display()).path()
            ),
            Self::OutputDir { path, .. } => {
                write!(
                    f,
                    "the output directory `{}` cannot be made: choose one that can be written",
                    printable(path.display()).path()
                )
            }
            Self::Load(_) => f.write_str("the new version cannot be loaded"),
            Self::Restore(_) => f.write_str("the new version cannot take over the state of the old one"),
            Self::Panicked { step, message } => {
                let message = printable(message).message();
                write!(f, "the loader panicked in the step `{step}`: {message}")
            }
        }
    }
}

impl Error for ReloadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Source { source, .. }
            | Self::BuilderMissing { source, .. }
            | Self::Builder { source, .. }
            | Self::OutputDir { source, .. } => Some(source),
            Self::Staging { source, .. } => Some(source),
            Self::Load(source) | Self::Restore(source) => Some(source),
            _ => None,
        }
    }
}
