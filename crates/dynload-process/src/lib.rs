//! Runs a program that inherits nothing, and ends it with what it started.
//!
//! ```
//! # #[cfg(unix)]
//! # fn main() -> std::io::Result<()> {
//! use dynload_process::{Environment, Process, null};
//! use std::{io::Read, process::Command};
//!
//! let (mut reader, writer) = std::io::pipe()?;
//! let mut command = Command::new("/bin/echo");
//! command.arg("hello").current_dir("/");
//! let mut process = Process::spawn(&command, Environment::Empty, [null()?, writer.into(), null()?])?;
//! let mut text = String::new();
//! reader.read_to_string(&mut text)?;
//! assert_eq!(text, "hello\n");
//! process.wait()?;
//! assert!(process.reap().is_none_or(|status| status.success()));
//! # Ok(())
//! # }
//! # #[cfg(not(unix))]
//! # fn main() {}
//! ```
//!
//! # What the program gets
//!
//! On Unix: three descriptors, its arguments, an environment, a directory, and nothing else. Every other descriptor of the
//! host is closed in it, whether it was marked close-on-exec or not; those of the host stay as they are. It leads a session
//! and a process group of its own and has no controlling terminal (POSIX, `setsid`). No signal is blocked or ignored.
//! It keeps the user and groups, the limits, the file mode mask, the priority, the namespaces and the cgroup of the host.
//!
//! On Linux it is killed when the thread that started it ends (`PR_SET_PDEATHSIG`), with the host for instance, unless it is
//! a program that changes user.
//!
//! # How it is held
//!
//! On Linux (5.4 or later) by a pidfd, opened while it is certain to live. So waiting and killing never mean another process,
//! also where the host ignores `SIGCHLD`, or somebody else in it waits for any child: the end is seen all the same, and
//! what is lost is the exit status ([`Process::reap`] gives `None`). Elsewhere it is held by its number, which is used only
//! while the process is known not to be reaped.
//!
//! # What it started
//!
//! On Linux, a process that descends from the program carries a mark: the hard limit of `RLIMIT_RTTIME`, set to a random
//! number of about 100 000 years. `fork`, `execve` and `setsid` hand it on, no process can raise it, and whoever may kill the
//! process can read it. [`Process::kill_all`] kills everything that carries it, a daemon in a session of its own as well.
//!
//! Looking for them takes a part of a millisecond, and up to a second where they fork meanwhile or do not end at once.
//!
//! What gets away: processes that replace themselves by `fork` faster than they can be looked at, mostly; a process that lowers that limit itself on purpose, one of another user (`sudo`), and work that somebody
//! else does on request (`at`, `systemd-run`, a container engine). Where there is no mark (other systems, no `/proc`, a
//! kernel without pidfds, a host that has such a limit itself) only the process group is killed, and what left it gets away.
#![deny(unsafe_code)]

#[cfg(unix)]
#[allow(unsafe_code)]
mod launch;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod limit;
#[cfg(target_os = "linux")]
mod mark;
#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;

use std::{
    io,
    process::{Command, ExitStatus},
    time::Duration,
};

/// What a program gets as standard input, output or error: anything that is a descriptor (on Windows, a handle).
#[cfg(unix)]
pub type Stream = std::os::fd::OwnedFd;
/// What a program gets as standard input, output or error: anything that is a descriptor (on Windows, a handle).
#[cfg(not(unix))]
pub type Stream = std::os::windows::io::OwnedHandle;

/// A stream that has nothing to read and swallows what is written.
///
/// # Errors
/// As opening a file.
pub fn null() -> io::Result<Stream> {
    let path = if cfg!(unix) { "/dev/null" } else { "NUL" };
    let file = std::fs::File::options().read(true).write(true).open(path)?;
    Ok(file.into())
}

/// The variables that a program gets besides those that its command sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// None.
    Empty,
    /// The host's, but for those that the command removes.
    Host,
}

/// A program that was started.
///
/// Dropping it kills its process group and takes it off the system's list; call [`reap`](Process::reap) to leave alone what
/// it started.
#[derive(Debug)]
pub struct Process(system::Process);

/// Waits for the end of a program from another thread.
#[derive(Debug)]
pub struct Watch(system::Watch);

impl Process {
    /// Starts the program of `command` with its arguments, directory and variables, and with these as standard input, output
    /// and error. What the command says about streams, groups and users does not count.
    ///
    /// Without a directory it starts in the host's. A program without a slash is looked for in the `PATH` that it gets.
    ///
    /// # Errors
    /// As `execve`, `chdir` and `fork`; [`io::ErrorKind::InvalidInput`] for a NUL in a string.
    pub fn spawn(command: &Command, environment: Environment, streams: [Stream; 3]) -> io::Result<Process> {
        system::Process::spawn(command, environment, streams).map(Process)
    }

    /// Its number. It is the program's own only until it is reaped.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// As the system's.
    pub fn has_ended(&self) -> io::Result<bool> {
        self.0.has_ended()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As the system's.
    pub fn wait(&self) -> io::Result<()> {
        self.0.wait()
    }

    /// Something that waits for the end on another thread; `None` where the system has nothing of the kind, and
    /// [`has_ended`](Process::has_ended) must be asked.
    ///
    /// # Errors
    /// As duplicating a descriptor.
    pub fn watch(&self) -> io::Result<Option<Watch>> {
        Ok(self.0.watch()?.map(Watch))
    }

    /// Tells its process group to end (`SIGTERM`), and kills what is left of it when the program has ended or `grace` is
    /// over.
    pub fn kill_group(&mut self, grace: Duration) {
        self.0.kill_group(grace);
    }

    /// Kills it and everything that descends from it, as far as the system lets it be found (see above).
    pub fn kill_all(&mut self) {
        self.0.kill_all();
    }

    /// Takes it off the system's list once it has ended: how it did, or `None` where it has not, or somebody else was told.
    /// What it started is left alone.
    pub fn reap(&mut self) -> Option<ExitStatus> {
        self.0.reap()
    }
}

impl Watch {
    /// Waits for the end.
    pub fn wait(self) {
        self.0.wait();
    }
}
