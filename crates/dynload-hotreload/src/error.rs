//! The errors of reloaders and reloads.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dynload_diagnostics::{printable, with_causes};
use dynload_native::staging::StageError;

use crate::loader::LoadError;
use crate::step::Step;
use crate::watch::WatchError;

/// The reason why a [`Reloader`](crate::Reloader) could not be created or started.
#[non_exhaustive]
pub enum StartError {
    /// A path of the configuration cannot be made absolute (it is empty, or there is no current directory).
    Path {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The source cannot be watched.
    Watch(WatchError),
    /// The system could not create a thread.
    Thread(io::Error),
    /// The reloader was stopped before the first attempt ended, or is being stopped by the callback that starts it.
    Stopped,
    /// Another process started the reloader, and this one was forked from it.
    OtherProcess {
        /// The process id.
        process: u32,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, .. } => {
                write!(
                    f,
                    "cannot make `{}` absolute: pass an absolute path",
                    printable(path.display()).path()
                )
            }
            Self::Watch(_) => f.write_str("cannot watch the source"),
            Self::Thread(_) => f.write_str("cannot start the thread that watches and loads"),
            Self::Stopped => {
                f.write_str("the reloader was stopped before its first attempt ended: start it again")
            }
            Self::OtherProcess { process } => {
                write!(
                    f,
                    "process {process} runs the reloader, and this process was forked from it: create another reloader here"
                )
            }
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Path { source, .. } | Self::Thread(source) => Some(source),
            Self::Watch(source) => Some(source),
            Self::Stopped | Self::OtherProcess { .. } => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(StartError);

impl From<WatchError> for StartError {
    fn from(error: WatchError) -> Self {
        Self::Watch(error)
    }
}

/// The reason why a change did not become a new version. The previous version keeps running.
#[non_exhaustive]
pub enum ReloadError {
    /// The source, or a file watched with it, cannot be read.
    Source {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The source changed on each read for the whole settle timeout.
    Unstable {
        /// The file.
        path: PathBuf,
        /// How long the reloader waited.
        waited: Duration,
    },
    /// There is no builder for this kind of source.
    NoBuilder {
        /// The source.
        path: PathBuf,
    },
    /// The program that builds this kind of source accepts only paths that are Unicode.
    NotUnicode {
        /// The program.
        program: String,
        /// The path of the source, or of the output.
        path: PathBuf,
    },
    /// The program that builds this kind of source is not installed.
    BuilderMissing {
        /// The program.
        program: String,
        /// The source that needs it.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The builder could not be run.
    Builder {
        /// The command.
        command: String,
        /// The system's error.
        source: io::Error,
    },
    /// The builder reported a failure.
    BuildFailed {
        /// The command.
        command: String,
        /// The exit status as text: `exit status: 1`.
        status: String,
        /// The output of the builder, shortened in the middle if it is long.
        output: String,
    },
    /// The builder exceeded its time limit. It was killed with its children.
    BuildTimeout {
        /// The command.
        command: String,
        /// The time limit.
        limit: Duration,
        /// The output of the builder until then.
        output: String,
    },
    /// The builder succeeded, but its artifact does not exist.
    NoArtifact {
        /// The command.
        command: String,
        /// The expected artifact.
        expected: String,
        /// The output of the builder.
        output: String,
    },
    /// The artifact could not be copied.
    Staging {
        /// The artifact.
        path: PathBuf,
        /// The reason.
        source: StageError,
    },
    /// The directory for builds and copies cannot be created.
    OutputDir {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The loader refused the artifact.
    Load(LoadError),
    /// The new version refused the state of the old one, or the old one could not save it.
    Restore(LoadError),
    /// The loader panicked.
    Panicked {
        /// The step that was in progress.
        step: Step,
        /// The panic message.
        message: String,
    },
}

impl ReloadError {
    /// Returns the output of the compiler or command, for errors that have one.
    #[must_use]
    pub fn build_output(&self) -> Option<&str> {
        match self {
            Self::BuildFailed { output, .. }
            | Self::BuildTimeout { output, .. }
            | Self::NoArtifact { output, .. } => Some(output),
            _ => None,
        }
    }

    /// Returns this error, its causes, and the last 64 KiB of the compiler's output as one text. The line breaks
    /// and tabs of the output are kept; other unprintable characters are escaped.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_hotreload::{LoadError, ReloadError};
    ///
    /// let error = ReloadError::Load(LoadError::new("no export `tick`"));
    /// assert_eq!(error.report(), "cannot load the new version: no export `tick`");
    /// ```
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = with_causes(self).to_string();
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

/// Returns the displayed part of a compiler's output: its end, where the failure is, and at most [`MAX_OUTPUT`]
/// bytes.
fn shown(output: &str) -> String {
    // An escape is longer than its character, but genuine compiler output contains few of them.
    let mut start = output.len().saturating_sub(MAX_OUTPUT);
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
        printable(&output[start..]).up_to(2 * MAX_OUTPUT).with_lines()
    )
}

/// The maximum number of displayed bytes of a compiler's output.
const MAX_OUTPUT: usize = 64 * 1024;

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { path, .. } => write!(f, "cannot read `{}`", printable(path.display()).path()),
            Self::Unstable { path, waited } => write!(
                f,
                "`{}` kept changing for {waited:.1?}: something writes to it continuously",
                printable(path.display()).path()
            ),
            Self::NoBuilder { path } => write!(
                f,
                "there is no builder for `{}`: supported are .vais, .rs, .c, Cargo.toml, and .so, .dylib, .dll, .wasm, \
                 .wat without a build; for anything else set a build command",
                printable(path.display()).path()
            ),
            Self::NotUnicode { program, path } => write!(
                f,
                "`{}` accepts only paths that are Unicode, and `{}` is not: rename it, or set a build command",
                printable(program),
                printable(path.display()).path()
            ),
            Self::BuilderMissing { program, path, .. } => write!(
                f,
                "`{}` was not found, but `{}` needs it: install it, put it on PATH, or set a build command",
                printable(program),
                printable(path.display()).path()
            ),
            Self::Builder { command, .. } => write!(f, "cannot run `{}`", printable(command).path()),
            Self::BuildFailed { command, status, .. } => write!(
                f,
                "`{}` ended with {}",
                printable(command).path(),
                printable(status)
            ),
            Self::BuildTimeout { command, limit, .. } => {
                write!(
                    f,
                    "`{}` was killed after {limit:?}, the time limit for builds",
                    printable(command).path()
                )
            }
            Self::NoArtifact {
                command, expected, ..
            } => {
                let (command, expected) = (printable(command).path(), printable(expected).path());
                write!(f, "`{command}` succeeded but did not create {expected}")
            }
            Self::Staging { path, .. } => write!(
                f,
                "cannot copy `{}` for loading",
                printable(path.display()).path()
            ),
            Self::OutputDir { path, .. } => {
                write!(
                    f,
                    "cannot use the output directory `{}`: choose a writable one, in which only you and root can replace files",
                    printable(path.display()).path()
                )
            }
            Self::Load(_) => f.write_str("cannot load the new version"),
            Self::Restore(_) => f.write_str("cannot transfer the state of the old version to the new one"),
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

dynload_diagnostics::debug_with_causes!(ReloadError);
