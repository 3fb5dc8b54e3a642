//! Runs a program that inherits no descriptors, signal settings or terminal, and kills the descendants that can be
//! found.
//!
//! # Examples
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
//! # What the program inherits
//!
//! On Unix, the program gets three descriptors, its arguments, an environment and a directory. Every other descriptor
//! of the host is closed in it, whether it was marked close-on-exec or not; the host's own descriptors do not change.
//! The program leads its own session and process group and has no controlling terminal (POSIX, `setsid`). No signal is
//! blocked or ignored. It keeps the user and groups, the limits, the file mode mask, the priority, the namespaces and
//! the cgroup of the host.
//!
//! Linux 5.9 and later close all descriptors with one call (`close_range`). Elsewhere they are closed one by one, up to
//! 1 024 above the highest number in use just before the start: one with a higher number, opened by another thread
//! during the start, is inherited.
//!
//! On Linux the program is killed when the *thread* that started it ends, for example because the host ends
//! (`PR_SET_PDEATHSIG`): see [`Process::spawn`].
//!
//! # How the program is held
//!
//! On Linux (5.4 or later) it is held by a pidfd, which is opened while the program is certain to be alive. So waiting and
//! killing never affect another process, even if the host ignores `SIGCHLD`, or other code in it waits for any child: the
//! end is still detected, and only the exit status is lost ([`Process::reap`] returns `None`), before Linux 6.15. The process
//! group is signaled through the pidfd too (Linux 6.9). Before that, and on other systems, the group is signaled by the process
//! id, which is used only while the process is known not to be reaped.
//!
//! # The processes that it started
//!
//! On Linux, every descendant of the program has a mark: the hard limit of `RLIMIT_RTTIME`, set to a random number of about
//! 100 000 years. `fork`, `execve` and `setsid` preserve it, no process can raise it, and any process that may kill the
//! descendant can read it. [`Process::kill_all`] kills every process with the mark, including a daemon in its own session.
//!
//! Killing them takes a fraction of a millisecond, or up to about 1.5 s if they fork in the meantime or do not end
//! immediately.
//!
//! These processes are not found:
//!
//! - most processes that keep forking a successor and ending, faster than one can be checked,
//! - a process that lowers that limit itself,
//! - a process of another user (`sudo`),
//! - a process that another process starts on request (`at`, `systemd-run`, a container engine).
//!
//! Without the mark (on other Unix systems, without `/proc`, on a kernel without pidfds, or in a host that has this limit
//! itself), only the process group is killed, and processes that left it escape.
//!
//! On Windows, the program and its descendants are in a job object, which none of them can leave. They are killed when the host
//! ends, too. Not in it are what a service of the system starts on request, and a process that the program starts before it is
//! added, microseconds after its own start.
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(unix)]
#[expect(unsafe_code)]
mod launch;
#[cfg(target_os = "linux")]
mod mark;
#[cfg(target_os = "linux")]
#[expect(unsafe_code)]
mod syscalls;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(not(unix))]
use windows as system;

use std::{
    io,
    process::{Command, ExitStatus},
    time::Duration,
};

/// The standard input, output or error of a program: any descriptor (on Windows, a handle).
#[cfg(unix)]
pub type Stream = std::os::fd::OwnedFd;
/// The standard input, output or error of a program: any descriptor (on Windows, a handle).
#[cfg(not(unix))]
pub type Stream = std::os::windows::io::OwnedHandle;

/// Opens a stream that is empty when read and discards everything that is written.
///
/// # Errors
///
/// Returns the error of opening the file.
pub fn null() -> io::Result<Stream> {
    occupy_standard_streams()?;
    let path = if cfg!(unix) { "/dev/null" } else { "NUL" };
    let file = std::fs::File::options().read(true).write(true).open(path)?;
    Ok(file.into())
}

/// Opens a file that discards everything in place of each of the descriptors 0 to 2 that is closed, and keeps it open.
///
/// If a program has closed its standard streams, the system gives their numbers to the next files that are opened. What the
/// program then prints goes into these files. Call this before opening one. [`null`] and [`Process::spawn`] call it. On
/// Windows, it does nothing.
///
/// # Examples
///
/// ```
/// dynload_process::occupy_standard_streams()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// Returns the error of opening the file.
pub fn occupy_standard_streams() -> io::Result<()> {
    #[cfg(unix)]
    launch::occupy_standard_streams()?;
    Ok(())
}

/// The variables that a program gets besides those that its command sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// No variables; on Windows, only `SystemRoot`.
    Empty,
    /// The host's variables, except those that the command removes.
    Host,
}

/// A program that was started.
///
/// Dropping it kills its process group (on Windows, its job) and reaps the program. After
/// [`reap`](Process::reap) has found that the program ended, dropping it does nothing: processes that the program
/// started keep running.
#[derive(Debug)]
pub struct Process(system::Process);

/// Waits for the end of a program from another thread; see the example of [`Process::watch`].
#[derive(Debug)]
pub struct Watch(system::Watch);

impl Process {
    /// Starts the program of `command` with its arguments, directory and variables, and with `streams` as standard input,
    /// output and error.
    ///
    /// Nothing else in the command has an effect: neither its streams, `uid`, `gid`, `groups`, `process_group`,
    /// `pre_exec` and `arg0`, nor `env_clear`, for which `environment` is passed, nor `creation_flags` on Windows.
    ///
    /// Without a directory, the program starts in the host's. On Unix, a program name without a slash is searched for
    /// in the `PATH` that the program gets, or in `/usr/local/bin:/usr/bin:/bin` if it gets none.
    ///
    /// On Linux, the program is killed when the thread that called this function ends, even if the host continues. So
    /// call it on a thread that outlives the program: a thread pool that ends its idle threads kills the programs that
    /// they started. The kernel does not do this for a program file with a set-user-ID or set-group-ID bit or with
    /// capabilities, nor for the processes that the program started (prctl(2), `PR_SET_PDEATHSIG`).
    ///
    /// # Errors
    ///
    /// - The errors of `execve`, `chdir` and `fork`.
    /// - [`io::ErrorKind::InvalidInput`] when a string contains a NUL.
    pub fn spawn(command: &Command, environment: Environment, streams: [Stream; 3]) -> io::Result<Process> {
        system::Process::spawn(command, environment, streams).map(Process)
    }

    /// Returns the process id, which belongs to the program only until it is reaped.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns whether the program has ended.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn has_ended(&self) -> io::Result<bool> {
        self.0.has_ended()
    }

    /// Waits for the program to end.
    ///
    /// # Errors
    ///
    /// Returns the system's error.
    pub fn wait(&self) -> io::Result<()> {
        self.0.wait()
    }

    /// Returns a [`Watch`], which waits for the end on another thread.
    ///
    /// Returns `None` if the system does not support that; then call [`has_ended`](Process::has_ended) repeatedly.
    ///
    /// # Examples
    ///
    /// A time limit:
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # fn main() -> std::io::Result<()> {
    /// use dynload_process::{Environment, Process, null};
    /// use std::{process::Command, sync::mpsc, thread, time::Duration};
    ///
    /// let mut command = Command::new("/bin/sleep");
    /// command.arg("600");
    /// let mut process = Process::spawn(&command, Environment::Empty, [null()?, null()?, null()?])?;
    /// let (sender, ended) = mpsc::channel();
    /// if let Some(watch) = process.watch()? {
    ///     thread::spawn(move || {
    ///         watch.wait();
    ///         let _ = sender.send(());
    ///     });
    /// }
    /// if ended.recv_timeout(Duration::from_millis(50)).is_err() {
    ///     process.kill_group(Duration::ZERO);
    /// }
    /// assert!(process.has_ended()?);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of duplicating a descriptor.
    pub fn watch(&self) -> io::Result<Option<Watch>> {
        Ok(self.0.watch()?.map(Watch))
    }

    /// Asks its process group to end (`SIGTERM`), and kills the rest of the group when the program has ended or `grace` has
    /// passed.
    pub fn kill_group(&mut self, grace: Duration) {
        self.0.kill_group(grace);
    }

    /// Kills the program and all of its descendants that can be found (see the [crate documentation](crate)).
    pub fn kill_all(&mut self) {
        self.0.kill_all();
    }

    /// Reaps the program if it has ended, and returns its exit status. The processes that it started are left alone.
    ///
    /// Returns `None` in these cases, of which [`has_ended`](Process::has_ended) distinguishes the first from the
    /// others:
    ///
    /// - The program has not ended.
    /// - An earlier call has reaped it. (Windows returns the status again.)
    /// - The exit status is lost: the host ignores `SIGCHLD`, or other code in it has reaped the program. (Linux 6.15 and
    ///   later keep the status.)
    /// - The system reports another error.
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
