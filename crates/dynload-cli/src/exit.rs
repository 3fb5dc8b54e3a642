//! How the command ends: exit codes, error messages, and printing to standard output.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use dynload_diagnostics::{printable, with_causes};

/// The exit codes, apart from those of guests.
pub(crate) mod code {
    /// A command failed, or an audit found something.
    pub(crate) const FAILED: u8 = 1;
    /// The arguments are wrong.
    pub(crate) const USAGE: u8 = 2;
    /// The guest exceeded its time limit: the code of `timeout`.
    pub(crate) const TIME_LIMIT: u8 = 124;
    /// The file cannot be loaded: the code of shells for a file that is not a program.
    pub(crate) const NOT_LOADABLE: u8 = 126;
    /// The file does not exist: the code of shells for it.
    pub(crate) const NOT_FOUND: u8 = 127;
    /// The guest was aborted for another reason: the code of shells for `SIGABRT`.
    pub(crate) const ABORTED: u8 = 134;
    /// The reader of standard output has closed its end: the code of shells for `SIGPIPE`.
    pub(crate) const CLOSED: u8 = 141;
}

/// The reason why the command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// Empty if there is nothing to say.
    message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
        }
    }

    /// Creates a failure from an error and its causes.
    pub(crate) fn of(code: u8, error: &dyn Error) -> Failure {
        Failure::new(code, chain(error))
    }

    /// Puts what was attempted in front of the message.
    pub(crate) fn about(self, subject: impl fmt::Display) -> Failure {
        Failure::new(self.code, format!("{subject}: {}", self.message))
    }

    /// Adds what to do about it.
    pub(crate) fn with_remedy(self, remedy: impl fmt::Display) -> Failure {
        Failure::new(self.code, format!("{}; {remedy}", self.message))
    }

    /// Prints the message to standard error, and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            // If standard error is closed, only the exit code is left.
            let _ = writeln!(io::stderr(), "dynload: {}", self.message);
        }
        ExitCode::from(self.code)
    }
}

/// Formats a name in quotes. Backquotes around nothing would not look like a name.
pub(crate) fn quoted(name: &str) -> String {
    if name.is_empty() {
        return "\"\"".to_owned();
    }
    format!("`{}`", printable(name))
}

/// Formats an error with all its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    with_causes(error).to_string()
}

/// Prints the help, the version, or what is wrong with the arguments.
pub(crate) fn of_arguments(mut error: clap::Error) -> ExitCode {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_help {
        let printed = error.print().and_then(|()| io::stdout().flush());
        return match printed {
            _ if error.use_stderr() => ExitCode::from(code::USAGE),
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => unwritten(&error).report(),
        };
    }
    // Such as `to pass '--x' as a value, use '-- --x'`: a guest's option has to follow the module instead, and ids and paths
    // seldom start with a hyphen.
    error.remove(ContextKind::Suggested);
    let text = error.to_string();
    let text = text.trim_end();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    // The text quotes arguments.
    let text = printable(text).message().with_lines().to_string();
    Failure::new(code::USAGE, text).report()
}

/// Prints to standard output.
///
/// A reader that has closed its end has read what it needs, as `head` does. So the command ends without a message, with the
/// exit code that it would have if it did not ignore `SIGPIPE`.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write(text.as_bytes())
}

/// As [`print()`], for bytes.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| unwritten(&error))
}

fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::new(code::CLOSED, "");
    }
    Failure::of(code::FAILED, error).about("cannot write to standard output")
}
