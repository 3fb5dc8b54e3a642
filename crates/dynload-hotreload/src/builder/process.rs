//! Running a build, and ending it with everything that it started.

use std::io;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dynload_process::{Environment, Process, null};

use super::capture::Capture;
use crate::inbox::{BuildWake, Inbox, Pending};

/// How long a build that is told to end may take to clean up before it is killed.
const GRACE: Duration = Duration::from_millis(150);
/// How often a build is looked at where its end is not told.
const TICK: Duration = Duration::from_millis(10);
/// How long the rest of the output is waited for, should a child of the build keep the pipe open, where a read cannot be ended.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);

/// How a build ended.
pub(super) enum Ended {
    /// By itself.
    Exited {
        /// Not known where the host ignores SIGCHLD, or something else in it waits for any child.
        status: Option<ExitStatus>,
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
///
/// It inherits the environment, and nothing else of the host. Children that outlive it are left alone when it ends by
/// itself: a compiler's server, say.
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
                    return Ok(Ended::Overtaken);
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

/// Has the inbox told when the process has ended; how often it must be looked at where nobody tells.
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
