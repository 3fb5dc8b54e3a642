//! Runs a build, and ends it with all processes that it started.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dynload_process::{Environment, Process, null};

use super::capture::Capture;
use crate::inbox::{BuildWake, Inbox, Pending};

/// How long a build that is asked to end may take to clean up before it is killed.
const GRACE: Duration = Duration::from_millis(150);
/// How often a build is polled if its end is not reported.
const TICK: Duration = Duration::from_millis(10);
/// How long to wait for the rest of the output if a child of the build keeps the pipe open and a read cannot be
/// interrupted.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// How a build ended.
pub(super) enum Ended {
    /// It exited without being killed.
    Exited {
        /// Unknown if the host ignores SIGCHLD, or if other code in the host waits for any child.
        status: Option<ExitStatus>,
        /// Standard output, if it was captured separately.
        stdout: String,
        /// Standard output and error, combined.
        output: String,
    },
    /// Killed: it exceeded the time limit.
    Timeout { output: String },
    /// Killed: a newer change arrived.
    Superseded,
    /// Killed: the reloader stops.
    Stopped,
}

/// The conditions that can end a running build.
pub(super) struct Watch<'a> {
    pub(super) inbox: &'a Arc<Inbox>,
    pub(super) debounce: Duration,
    pub(super) limit: Option<Duration>,
    /// Returns whether the change is real, so that the build is obsolete.
    pub(super) overtaken: &'a mut dyn FnMut(Pending) -> bool,
    /// Runs the callbacks for queued events.
    pub(super) deliver: &'a dyn Fn(),
}

/// Runs `command` until it ends or until a condition in `watch` ends it.
///
/// The command inherits only the environment of the host. Children that outlive it, such as a compiler's server,
/// are left alone if it exits without being killed.
pub(super) fn run(command: &Command, stdout_apart: bool, watch: Watch<'_>) -> io::Result<Ended> {
    let (reader, errors) = io::pipe()?;
    let output = Capture::start(reader, false)?;
    let (stdout, apart) = if stdout_apart {
        let (reader, writer) = io::pipe()?;
        (writer, Some(Capture::start(reader, true)?))
    } else {
        (errors.try_clone()?, None)
    };
    let streams = [null()?, stdout.into(), errors.into()];
    let number = watch.inbox.expect_child();
    let mut process = Process::spawn(command, Environment::Host, streams)?;
    let tick = notify_end(&process, watch.inbox, number)?;
    let deadline = watch.limit.map(|limit| Instant::now() + limit);
    loop {
        match watch.inbox.during_build(watch.debounce, deadline, tick) {
            BuildWake::Tick => {
                if process.has_ended()? {
                    watch.inbox.child_ended(number);
                }
            }
            BuildWake::Ended => {
                return Ok(Ended::Exited {
                    status: process.reap(),
                    stdout: apart
                        .map(|stdout| stdout.finish(OUTPUT_GRACE))
                        .unwrap_or_default(),
                    output: output.finish(OUTPUT_GRACE),
                });
            }
            BuildWake::Callbacks => (watch.deliver)(),
            BuildWake::Due(pending) => {
                if (watch.overtaken)(pending) {
                    process.kill_group(GRACE);
                    return Ok(Ended::Superseded);
                }
            }
            BuildWake::Deadline => {
                process.kill_group(GRACE);
                return Ok(Ended::Timeout {
                    output: output.finish(OUTPUT_GRACE),
                });
            }
            BuildWake::Stop => {
                process.kill_group(GRACE);
                return Ok(Ended::Stopped);
            }
        }
    }
}

/// Arranges for the inbox to be notified when the process has ended. Returns the polling interval if there is no
/// such notification.
fn notify_end(process: &Process, inbox: &Arc<Inbox>, number: u64) -> io::Result<Option<Duration>> {
    let Some(watch) = process.watch()? else {
        return Ok(Some(TICK));
    };
    let inbox = Arc::clone(inbox);
    let named = thread::Builder::new().name("dynload build".into());
    named.spawn(move || {
        watch.wait();
        inbox.child_ended(number);
    })?;
    Ok(None)
}
