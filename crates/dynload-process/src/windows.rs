//! A process on Windows, with its descendants as the tree that `taskkill` finds.

use crate::{Environment, Stream};
use std::{
    io,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[derive(Debug)]
pub(crate) struct Process {
    /// In an uncontended mutex: `std` requires exclusive access to check whether it has ended.
    child: Mutex<Child>,
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
        Ok(Process {
            child: Mutex::new(started.spawn()?),
            is_reaped: false,
        })
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
        let _ = Command::new("taskkill")
            .args(["/F", "/T", "/PID", &self.id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
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
