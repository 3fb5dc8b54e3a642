//! A process on Unix: held by a pidfd if the system has pidfds, otherwise by its process id.

use crate::{Environment, Stream, launch::launch};
#[cfg(target_os = "linux")]
use crate::{
    mark::{Mark, ends_within},
    syscalls,
};
#[cfg(target_os = "linux")]
use rustix::fd::OwnedFd;
use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid},
};
use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// The polling interval for a process whose end the system does not report.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The longest wait for a killed process to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    #[cfg(target_os = "linux")]
    held: Option<OwnedFd>,
    #[cfg(target_os = "linux")]
    mark: Option<Mark>,
    is_reaped: bool,
}

#[derive(Debug)]
pub(crate) struct Watch {
    pid: Pid,
    #[cfg(target_os = "linux")]
    held: Option<OwnedFd>,
}

impl Process {
    pub(crate) fn spawn(
        command: &Command,
        environment: Environment,
        streams: [Stream; 3],
    ) -> io::Result<Process> {
        let child = launch(command, environment, streams)?;
        let pid = child.pid;
        // The child waits, so its process id is certainly its own.
        #[cfg(target_os = "linux")]
        let held = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok();
        let mut process = Process {
            pid,
            // Without pidfds, the processes with the mark could not be held.
            #[cfg(target_os = "linux")]
            mark: held.as_ref().and_then(|_| Mark::set(pid)),
            #[cfg(target_os = "linux")]
            held,
            is_reaped: false,
        };
        match child.release() {
            Ok(()) => Ok(process),
            Err(error) => {
                process.await_end(KILL_TIMEOUT);
                process.reap();
                Err(error)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        match self.look(WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT) {
            Ok(status) => Ok(status.is_some()),
            Err(Errno::CHILD) => Ok(self.ended_unseen()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        while !self.has_ended()? {
            self.await_end(Duration::from_secs(3600));
        }
        Ok(())
    }

    pub(crate) fn watch(&self) -> io::Result<Option<Watch>> {
        Ok(Some(Watch {
            pid: self.pid,
            #[cfg(target_os = "linux")]
            held: self.held.as_ref().map(OwnedFd::try_clone).transpose()?,
        }))
    }

    pub(crate) fn kill_group(&mut self, grace: Duration) {
        if !grace.is_zero() {
            self.signal_group(Signal::TERM);
            self.await_end(grace);
        }
        self.signal_group(Signal::KILL);
        #[cfg(target_os = "linux")]
        if let Some(mark) = self.mark {
            mark.kill(Some(self.pid));
        }
        self.await_end(KILL_TIMEOUT);
    }

    pub(crate) fn kill_all(&mut self) {
        self.signal_group(Signal::KILL);
        #[cfg(target_os = "linux")]
        if let Some(mark) = self.mark {
            mark.kill(None);
        }
        self.await_end(KILL_TIMEOUT);
    }

    pub(crate) fn reap(&mut self) -> Option<ExitStatus> {
        if self.is_reaped {
            return None;
        }
        match self.look(WaitIdOptions::NOHANG) {
            Ok(None) => None,
            Ok(Some(status)) => {
                self.is_reaped = true;
                exit_status(&status)
            }
            Err(_) => {
                self.is_reaped = self.ended_unseen();
                #[cfg(target_os = "linux")]
                if let (true, Some(held)) = (self.is_reaped, &self.held) {
                    return syscalls::status_after_reaping(held).map(ExitStatus::from_raw);
                }
                None
            }
        }
    }

    fn look(&self, options: WaitIdOptions) -> Result<Option<WaitIdStatus>, Errno> {
        if self.is_reaped {
            return Err(Errno::CHILD);
        }
        rustix::io::retry_on_intr(|| {
            #[cfg(target_os = "linux")]
            if let Some(held) = &self.held {
                let id = WaitId::PidFd(rustix::fd::AsFd::as_fd(held));
                // Linux 5.3 has pidfds but cannot wait for them.
                match waitid(id, WaitIdOptions::EXITED | options) {
                    Err(Errno::INVAL) => {}
                    result => return result,
                }
            }
            waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | options)
        })
    }

    /// Returns whether a process that is no longer a child has ended: other code or the system has reaped it.
    fn ended_unseen(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(held) = &self.held {
            return ends_within(held, Duration::ZERO);
        }
        true
    }

    /// Waits at most `time` for the end.
    fn await_end(&self, time: Duration) {
        #[cfg(target_os = "linux")]
        if let Some(held) = &self.held {
            ends_within(held, time);
            return;
        }
        let deadline = Instant::now() + time;
        while Instant::now() < deadline && matches!(self.has_ended(), Ok(false)) {
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Sends a signal to the process group of the program. A group without a pidfd is signaled by its id, if that still belongs
    /// to the program: until the program is reaped.
    fn signal_group(&self, signal: Signal) {
        if self.is_reaped {
            return;
        }
        #[cfg(target_os = "linux")]
        if let Some(held) = &self.held
            && syscalls::signal_group(held, signal) != Err(Errno::INVAL)
        {
            return;
        }
        let look = WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if self.look(look).is_ok() {
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill_group(Duration::ZERO);
            self.await_end(KILL_TIMEOUT);
            self.reap();
        }
    }
}

impl Watch {
    pub(crate) fn wait(self) {
        #[cfg(target_os = "linux")]
        if let Some(held) = &self.held {
            while !ends_within(held, Duration::from_secs(3600)) {}
            return;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // Any error except an interruption means that it is no longer a child.
        let _ = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(self.pid), options));
    }
}

/// Converts a status to the form that `waitpid` returns.
fn exit_status(status: &WaitIdStatus) -> Option<ExitStatus> {
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal,
        (None, None) => return None,
    };
    Some(ExitStatus::from_raw(raw))
}
