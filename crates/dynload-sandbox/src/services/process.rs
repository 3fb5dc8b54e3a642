//! `dynload.process_run`: one program of the scopes, run to its end, behind the capability PROCESS.
//!
//! It gets the arguments as given, an empty environment, `/` as its directory and what the guest has for it as standard
//! input. What it writes goes into the guest's own buffers; what does not fit is counted and thrown away. When the call
//! ends first, the program and every process of its group are killed.

use super::{
    answer::{Answer, Fail},
    functions, guest,
    guest::read_u32,
    readiness, require,
    wasi::Errno,
};
use crate::{host::Caller, state::State};
use dynload_caps::Capabilities;
use rustix::{
    event::{PollFd, PollFlags},
    fd::{AsFd, OwnedFd},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use std::{
    io::{self, Read, Write},
    os::unix::{net::UnixStream, process::CommandExt, process::ExitStatusExt},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    string::String,
    time::Duration,
    vec::Vec,
};
use wasmi::{Func, Store};

/// The longest path of a program.
const MAX_PROGRAM: u32 = 4096;

/// Bytes of all arguments together.
const MAX_ARGUMENTS: u32 = 1 << 17;

/// Arguments.
const MAX_ARGUMENT_COUNT: usize = 1024;

/// Bytes that are read of what the guest has no room for, at a time.
const DISCARD: usize = 1 << 14;

/// Makes the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    functions!(store, name, { "process_run" => run [request: u32]; })
}

/// A buffer of the guest, and how much of it is used.
#[derive(Debug, Clone, Copy)]
struct Room {
    ptr: u32,
    len: u32,
    /// Bytes that went through it, those included that did not fit.
    seen: u32,
}

impl Room {
    fn left(&self) -> u32 {
        self.len.saturating_sub(self.seen)
    }
}

/// `struct dynload_process` of the guest.
#[derive(Debug)]
struct Request {
    at: u32,
    program: String,
    arguments: Vec<String>,
    /// What the program reads; `seen` is what it was given.
    input: Room,
    output: Room,
    errors: Room,
}

/// Where the results are in `struct dynload_process`: status, bytes of output, bytes of errors.
const RESULTS: u64 = 40;

impl Request {
    fn read(caller: &mut Caller<'_>, at: u32) -> Answer<Request> {
        let memory = caller.memory();
        memory.slice(at, 52)?;
        let word = |n: u64| -> Answer<u32> { Ok(read_u32(&memory, guest::offset(at, n * 4)?)?) };
        let room = |n: u64| -> Answer<Room> {
            let room = Room {
                ptr: word(n)?,
                len: word(n + 1)?,
                seen: 0,
            };
            memory.slice(room.ptr, room.len)?;
            Ok(room)
        };
        let (program, arguments) = (room(0)?, room(2)?);
        let (input, output, errors) = (room(4)?, room(6)?, room(8)?);
        if arguments.len > MAX_ARGUMENTS {
            return Err(Errno::TooBig.into());
        }
        caller.charge_bytes(u64::from(arguments.len) + u64::from(input.len))?;
        let program = guest::text(caller, program.ptr, program.len, MAX_PROGRAM)?;
        let memory = caller.memory();
        let bytes = memory.slice(arguments.ptr, arguments.len)?;
        let text = core::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
        let arguments = match text.strip_suffix('\0') {
            Some(text) => text
                .split('\0')
                .take(MAX_ARGUMENT_COUNT + 1)
                .map(String::from)
                .collect(),
            None if text.is_empty() => Vec::new(),
            // The last one has no end.
            None => return Err(Errno::Inval.into()),
        };
        if arguments.len() > MAX_ARGUMENT_COUNT {
            return Err(Errno::TooBig.into());
        }
        Ok(Request {
            at,
            program,
            arguments,
            input,
            output,
            errors,
        })
    }

    /// Tells the guest how it went.
    fn write_results(&self, caller: &mut Caller<'_>, status: ExitStatus) -> Answer {
        // As a shell does: what a signal ended has 128 and its number.
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        for (n, word) in [code as u32, self.output.seen, self.errors.seen]
            .into_iter()
            .enumerate()
        {
            guest::write_u32(caller, guest::offset(self.at, RESULTS + n as u64 * 4)?, word)?;
        }
        Ok(())
    }
}

/// A program that runs, with everything that it started. Dropping it kills them all.
struct Running {
    child: Child,
    stdin: Option<UnixStream>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    ended: Option<ExitStatus>,
}

impl Running {
    fn start(request: &Request) -> Result<Running, Errno> {
        let broken = |error: io::Error| Errno::from(&error);
        let mut command = Command::new(&request.program);
        command
            .args(&request.arguments)
            .env_clear()
            .current_dir("/")
            .process_group(0);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        let mut stdin = None;
        if request.input.len > 0 {
            // Not a pipe: writing to one that nobody reads any more raises a signal that may end the host.
            let (ours, theirs) = UnixStream::pair().map_err(broken)?;
            ours.set_nonblocking(true).map_err(broken)?;
            command.stdin(OwnedFd::from(theirs));
            stdin = Some(ours);
        }
        let mut child = command.spawn().map_err(broken)?;
        // The command keeps its end of the input open until it is gone.
        drop(command);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let running = Running {
            child,
            stdin,
            stdout,
            stderr,
            ended: None,
        };
        for pipe in [
            running.stdout.as_ref().map(AsFd::as_fd),
            running.stderr.as_ref().map(AsFd::as_fd),
        ] {
            let set = |pipe| fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK);
            pipe.map_or(Ok(()), set)
                .map_err(|error| Errno::from(&io::Error::from(error)))?;
        }
        Ok(running)
    }

    /// Kills the program and its group: what it left running in the background has nobody to answer to.
    fn kill(&mut self) {
        if let Some(group) = self.pid() {
            // It may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// If the program has ended, ends its group as well.
    fn end(&mut self) -> Result<(), Errno> {
        let Some(pid) = self.pid() else { return Ok(()) };
        // It is left to be waited for until its group is dead: until then nobody else can have its number.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let broken = |error: io::Error| Errno::from(&error);
        if waitid(WaitId::Pid(pid), look)
            .map_err(|error| broken(error.into()))?
            .is_some()
        {
            self.kill();
            self.ended = Some(self.child.wait().map_err(broken)?);
        }
        Ok(())
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Waits a slice for something to read, or to write.
    fn pause(&self, slice: Duration) -> Result<(), Errno> {
        let mut fds = Vec::with_capacity(3);
        fds.extend(self.stdout.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        fds.extend(self.stderr.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        fds.extend(
            self.stdin
                .as_ref()
                .map(|socket| PollFd::new(socket, PollFlags::OUT)),
        );
        readiness::wait(&mut fds, slice).map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            // Killed for certain, so this does not take long.
            let _ = self.child.wait();
        }
    }
}

fn run(caller: &mut Caller<'_>, request: u32) -> Answer {
    require(caller, Capabilities::PROCESS)?;
    let mut request = Request::read(caller, request)?;
    if !caller.state().config.scopes.allows_program(&request.program) {
        return Err(Errno::Notcapable.into());
    }
    caller.check()?;
    let mut running = Running::start(&request)?;
    let status = loop {
        // Any of these ends the program with the call, or with the errno.
        caller.check()?;
        require(caller, Capabilities::PROCESS)?;
        feed(caller, &mut running, &mut request.input)?;
        drain(caller, &mut running.stdout, &mut request.output)?;
        drain(caller, &mut running.stderr, &mut request.errors)?;
        match running.ended {
            None => {
                // Looked at after reading, so that all it wrote is read in the next round.
                running.end()?;
                if running.ended.is_some() {
                    continue;
                }
            }
            Some(status) => break status,
        }
        let slice = readiness::SLICE.min(caller.remaining());
        running.pause(slice)?;
        if running.stdout.is_none() && running.stderr.is_none() {
            std::thread::sleep(slice);
        }
    };
    request.write_results(caller, status)
}

/// Writes to the program what it takes.
fn feed(caller: &mut Caller<'_>, running: &mut Running, input: &mut Room) -> Answer {
    let Some(socket) = &mut running.stdin else {
        return Ok(());
    };
    let memory = caller.memory();
    let rest = memory.slice(input.ptr + input.seen, input.left())?;
    match socket.write(rest) {
        Ok(written) => input.seen += written as u32,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
        // It does not want any more.
        Err(_) => input.seen = input.len,
    }
    if input.left() == 0 {
        running.stdin = None;
    }
    Ok(())
}

/// Reads what the program wrote, as much as there is.
fn drain(caller: &mut Caller<'_>, pipe: &mut Option<impl Read>, room: &mut Room) -> Answer {
    let mut rest = [0; DISCARD];
    while let Some(open) = pipe {
        caller.check()?;
        require(caller, Capabilities::PROCESS)?;
        let mut memory = caller.memory();
        let buffer = match room.left() {
            0 => &mut rest[..],
            left => memory.slice_mut(room.ptr + room.seen, left)?,
        };
        match open.read(buffer) {
            Ok(0) => *pipe = None,
            Ok(read) => {
                room.seen = room.seen.saturating_add(read as u32);
                caller.charge_bytes(read as u64)?;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Fail::from(error)),
        }
    }
    Ok(())
}
