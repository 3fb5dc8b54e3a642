//! A process on Windows, with its descendants in a job object.

#[expect(unsafe_code)]
mod job;

use crate::{Environment, Stream};
use job::Job;
use std::{
    io,
    os::windows::process::CommandExt,
    process::{Child, Command, ExitStatus},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Process creation flags: a console of its own that is not shown, and no Ctrl-C of the host's.
const CREATE_NO_WINDOW: u32 = 0x0800_0000;
const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;

#[derive(Debug)]
pub(crate) struct Process {
    /// In an uncontended mutex: `std` requires exclusive access to check whether it has ended.
    child: Mutex<Child>,
    job: Job,
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
        started.creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP);
        let job = Job::new()?;
        let mut child = started.spawn()?;
        // It takes the program longer to start a process than it takes to return here.
        if let Err(error) = job.add(&child) {
            // The program may have ended already.
            if child.try_wait()?.is_none() {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        }
        Ok(Process {
            child: Mutex::new(child),
            job,
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
        self.job.kill();
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }

    pub(crate) fn reap(&mut self) -> Option<ExitStatus> {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait().ok().flatten();
        if status.is_some() {
            self.job.release();
            self.is_reaped = true;
        }
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
