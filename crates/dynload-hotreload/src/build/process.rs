//! Running a build, and ending it with everything that it started.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::capture::Capture;
use crate::inbox::{BuildWake, Inbox, Pending};

/// How long a build that is told to end may take to clean up before it is killed.
const GRACE: Duration = Duration::from_millis(150);
/// How long the output of a build that ended is waited for, should a child of it keep the pipe open.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// How a build ended.
pub(super) enum Ended {
    /// By itself.
    Exited {
        status: ExitStatus,
        /// Standard output, where it was asked for apart.
        stdout: String,
        /// Standard output and error, as one.
        output: String,
    },
    /// Killed: it ran too long.
    Timeout { output: String },
    /// Killed: a newer change came.
    Overtaken,
    /// Killed: the reloader stops.
    Stopped,
}

/// What a build has to watch while it runs.
pub(super) struct Watch<'a> {
    pub(super) inbox: &'a Arc<Inbox>,
    pub(super) debounce: Duration,
    pub(super) limit: Option<Duration>,
    /// Whether the change is real, so that the build is of no use any more.
    pub(super) overtaken: &'a mut dyn FnMut(Pending) -> bool,
    /// Runs the callbacks of events that came from elsewhere.
    pub(super) deliver: &'a dyn Fn(),
}

/// Runs `command` to its end, or to the moment that `watch` speaks against it.
pub(super) fn run(mut command: Command, stdout_apart: bool, watch: Watch<'_>) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stderr(writer.try_clone()?);
    if stdout_apart {
        command.stdout(Stdio::piped());
    } else {
        command.stdout(writer.try_clone()?);
    }
    drop(writer);
    group::lead(&mut command);
    let number = watch.inbox.expect_child();
    let mut child = command.spawn()?;
    // The command holds the pipe's writing ends; the reader waits for its end until they are closed.
    drop(command);
    let started = (|| {
        let output = Capture::start(reader, false)?;
        let stdout = child
            .stdout
            .take()
            .map(|pipe| Capture::start(pipe, true))
            .transpose()?;
        group::notify_end(&child, Arc::clone(watch.inbox), number)?;
        Ok((output, stdout))
    })();
    let (output, stdout) = match started {
        Ok(started) => started,
        Err(error) => {
            group::kill(&mut child, Duration::ZERO);
            return Err(error);
        }
    };
    let deadline = watch.limit.map(|limit| Instant::now() + limit);
    loop {
        match watch.inbox.during_build(watch.debounce, deadline, group::TICK) {
            BuildWake::Tick => {
                if child.try_wait()?.is_some() {
                    watch.inbox.child_ended(number);
                }
            }
            BuildWake::Ended => {
                let status = child.wait()?;
                let stdout = stdout
                    .map(|stdout| stdout.finish(OUTPUT_GRACE))
                    .unwrap_or_default();
                return Ok(Ended::Exited {
                    status,
                    stdout,
                    output: output.finish(OUTPUT_GRACE),
                });
            }
            BuildWake::Callbacks => (watch.deliver)(),
            BuildWake::Due(pending) => {
                if (watch.overtaken)(pending) {
                    group::kill(&mut child, GRACE);
                    return Ok(Ended::Overtaken);
                }
            }
            BuildWake::Deadline => {
                group::kill(&mut child, GRACE);
                return Ok(Ended::Timeout {
                    output: output.finish(OUTPUT_GRACE),
                });
            }
            BuildWake::Stop => {
                group::kill(&mut child, GRACE);
                return Ok(Ended::Stopped);
            }
        }
    }
}

/// A process with its children, as a process group (POSIX, "Process Groups").
#[cfg(unix)]
mod group {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use std::{io, thread};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    use crate::inbox::Inbox;

    /// The end of a process is told.
    pub(super) const TICK: Option<Duration> = None;

    pub(super) fn lead(command: &mut Command) {
        command.process_group(0);
    }

    fn pid(child: &Child) -> Option<Pid> {
        i32::try_from(child.id()).ok().and_then(Pid::from_raw)
    }

    /// Tells the inbox when the child has ended, and leaves it to be reaped.
    ///
    /// As long as it is not reaped its number is not given to another process, so whoever holds the `Child` can kill
    /// the group without a race.
    pub(super) fn notify_end(child: &Child, inbox: Arc<Inbox>, number: u64) -> io::Result<()> {
        let pid = pid(child).ok_or(io::ErrorKind::InvalidInput)?;
        thread::Builder::new()
            .name("dynload build".into())
            .spawn(move || {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                while let Err(error) = waitid(WaitId::Pid(pid), options) {
                    if error != rustix::io::Errno::INTR {
                        break;
                    }
                }
                inbox.child_ended(number);
            })?;
        Ok(())
    }

    /// Ends the group: politely, so that a compiler can remove its temporary files, and then for good.
    pub(super) fn kill(child: &mut Child, grace: Duration) {
        if let Some(group) = pid(child) {
            let _ = kill_process_group(group, Signal::TERM);
            let deadline = Instant::now() + grace;
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
            while Instant::now() < deadline && matches!(waitid(WaitId::Pid(group), options), Ok(None)) {
                thread::sleep(Duration::from_millis(2));
            }
            // The leader is not reaped yet, so this group is still ours. Its children may have outlived it.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
    }
}

/// A process with its children, as the tree that `taskkill` knows.
#[cfg(not(unix))]
mod group {
    use std::io;
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::time::Duration;

    use crate::inbox::Inbox;

    /// `std` has no second handle to a process that another thread could wait on, so the first one is asked.
    pub(super) const TICK: Option<Duration> = Some(Duration::from_millis(10));

    pub(super) fn lead(_command: &mut Command) {}

    pub(super) fn notify_end(_child: &Child, _inbox: Arc<Inbox>, _number: u64) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn kill(child: &mut Child, _grace: Duration) {
        let _ = Command::new("taskkill")
            .args(["/F", "/T", "/PID", &child.id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = child.kill();
        let _ = child.wait();
    }
}
