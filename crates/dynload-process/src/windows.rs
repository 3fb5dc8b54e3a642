//! A process on Windows, with its descendants in a job, or, where it cannot have one, as the tree that `taskkill` finds.

use crate::{
    Environment, Stream,
    job::{self, Job},
};
use std::{
    io,
    os::windows::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Flags of `CreateProcessW`.
const CREATE_SUSPENDED: u32 = 4;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

#[derive(Debug)]
pub(crate) struct Process {
    /// In an uncontended mutex: `std` requires exclusive access to check whether it has ended.
    child: Mutex<Child>,
    /// Without one (before Windows 8, if the host is in a job itself), the tree is killed.
    job: Option<Job>,
    is_reaped: bool,
}

/// Never exists: `std` has no second handle to a process on which another thread could wait.
#[derive(Debug)]
pub(crate) enum Watch {}

impl Process {
    pub(crate) fn spawn(
        command: &Command,
        environment: Environment,
        [input, output, errors]: [Stream; 3],
    ) -> io::Result<Process> {
        let mut started = Command::new(command.get_program());
        started.args(command.get_args());
        if environment == Environment::Empty {
            started.env_clear();
            // Without it, most programs do not start.
            if let Some(root) = std::env::var_os("SystemRoot") {
                started.env("SystemRoot", root);
            }
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => started.env(name, value),
                None => started.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            started.current_dir(dir);
        }
        started.stdin(input).stdout(output).stderr(errors);
        // A console of its own: through the host's, it could read what is typed there, and end the host with a key event.
        started.creation_flags(CREATE_NO_WINDOW | CREATE_SUSPENDED);
        let child = started.spawn()?;
        let mut process = Process {
            job: Job::of(&child).ok(),
            child: Mutex::new(child),
            is_reaped: false,
        };
        let resumed = job::resume(&process.child());
        if resumed.is_err() {
            process.kill_all();
        }
        resumed.map(|()| process)
    }

    /// Locks the child. No panic leaves it inconsistent.
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        let mut child = self.child();
        Ok(child.try_wait()?.is_some())
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut child = self.child();
        child.wait().map(drop)
    }

    pub(crate) fn watch(&self) -> io::Result<Option<Watch>> {
        Ok(None)
    }

    pub(crate) fn kill_group(&mut self, _grace: Duration) {
        self.kill_all();
    }

    pub(crate) fn kill_all(&mut self) {
        if self.job.as_ref().is_none_or(|job| job.kill().is_err()) {
            self.kill_tree();
        }
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }

    fn kill_tree(&self) {
        // The directory of the host's program would be searched first.
        let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
        let _ = Command::new(Path::new(&root).join(r"System32\taskkill.exe"))
            .creation_flags(CREATE_NO_WINDOW)
            .args(["/F", "/T", "/PID", &self.id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }

    pub(crate) fn reap(&mut self) -> Option<ExitStatus> {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait().ok().flatten();
        self.is_reaped |= status.is_some();
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill_all();
        }
    }
}

impl Watch {
    pub(crate) fn wait(self) {
        match self {}
    }
}
