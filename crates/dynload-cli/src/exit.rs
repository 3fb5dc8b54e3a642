//! How the command ends: exit codes, error messages, and printing to standard output.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use dynload_diagnostics::printable;

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
}

/// The reason why the command ends without success.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
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
        // If standard error is closed, only the exit code is left.
        let _ = writeln!(io::stderr(), "dynload: {}", self.message);
        ExitCode::from(self.code)
    }
}

/// Formats an error with all its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {}", printable(error).message());
        cause = error.source();
    }
    text
}

/// Prints the help, the version, or what is wrong with the arguments.
pub(crate) fn of_arguments(error: &clap::Error) -> ExitCode {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_help {
        let _ = error.print();
        return if error.use_stderr() {
            ExitCode::from(code::USAGE)
        } else {
            ExitCode::SUCCESS
        };
    }
    let text = error.to_string();
    let text = text.trim_end();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    // The text quotes arguments.
    let text = printable(text).message().with_lines().to_string();
    Failure::new(code::USAGE, text).report()
}

/// Prints to standard output. A reader that has closed its end is not an error: it has read what it needs.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match try_print(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::of(code::FAILED, &error).about("cannot write to standard output"))
        }
        _ => Ok(()),
    }
}

/// Prints to standard output, and reports every error.
pub(crate) fn try_print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
