//! `dynload.process_run`: one program of the scopes, run to its end, behind the capability PROCESS.
//!
//! The program receives the arguments as passed, an empty environment, `/` as its working directory (on Windows, the root of
//! the system drive) and the guest's input as standard input, and nothing else of the host ([`dynload_process`]). Its output is
//! written to buffers of the guest; bytes that do not fit are counted and discarded. When the program exits, or the call ends,
//! everything that it started is killed.

use super::{
    answer::{Answer, Fail},
    functions, guest,
    guest::read_u32,
    readiness, require,
    system::pipes::{self, Input, Output},
    wasi::Errno,
};
use crate::{call::state::State, host::Caller};
use dynload_caps::Capabilities;
use dynload_process::{Environment, Process, null};
use std::{
    io,
    process::{Command, ExitStatus},
    string::String,
    vec::Vec,
};
use wasmi::{Func, Store};

/// The maximum length of a program's path.
const MAX_PROGRAM: u32 = 4096;

/// Bytes of all arguments together.
const MAX_ARGUMENTS: u32 = 1 << 17;

/// The maximum number of arguments.
const MAX_ARGUMENT_COUNT: usize = 1024;

/// The status of a program whose exit status is unknown: the host ignores SIGCHLD, or other code in it waits for any
/// child.
const UNKNOWN: i32 = -1;

/// Bytes that are read and discarded at a time when the guest's buffer is full.
const DISCARD: usize = 1 << 14;

/// Creates the function of that name in a store, if there is one.
pub(super) fn define(store: &mut Store<State>, name: &str) -> Option<Func> {
    functions!(store, name, { "process_run" => run [request: u32]; })
}

/// A buffer of the guest, and the bytes passed through it.
#[derive(Debug, Clone, Copy)]
struct Room {
    ptr: u32,
    len: u32,
    /// Bytes that passed through it, including those that did not fit.
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
    /// Standard input of the program; `seen` counts the bytes sent to it.
    input: Room,
    output: Room,
    errors: Room,
}

/// The offset of the results in `struct dynload_process`: status, bytes of output, bytes of errors.
const RESULTS: u64 = 40;

impl Request {
    fn read(caller: &mut Caller<'_>, at: u32) -> Answer<Request> {
        let memory = caller.memory_or_empty();
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
        let memory = caller.memory_or_empty();
        let bytes = memory.slice(arguments.ptr, arguments.len)?;
        let text = core::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?;
        let arguments = match text.strip_suffix('\0') {
            Some(text) => text
                .split('\0')
                .take(MAX_ARGUMENT_COUNT + 1)
                .map(String::from)
                .collect(),
            None if text.is_empty() => Vec::new(),
            // The last one is not NUL-terminated.
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

    /// Writes the status and the byte counts to the guest.
    fn write_results(&self, caller: &mut Caller<'_>, status: Option<ExitStatus>) -> Answer {
        let code = status.map_or(UNKNOWN, pipes::status);
        for (n, word) in [code as u32, self.output.seen, self.errors.seen]
            .into_iter()
            .enumerate()
        {
            guest::write_u32(caller, guest::offset(self.at, RESULTS + n as u64 * 4)?, word)?;
        }
        Ok(())
    }
}

/// A running program, with everything that it started. Dropping this kills them all.
struct Running {
    process: Process,
    stdin: Option<Input>,
    stdout: Option<Output>,
    stderr: Option<Output>,
    has_ended: bool,
}

impl Running {
    fn start(request: &Request) -> io::Result<Running> {
        let mut command = Command::new(&request.program);
        command.args(&request.arguments).current_dir(pipes::root());
        let (stdin, input) = match request.input.len {
            0 => (None, null()?),
            _ => {
                let (stdin, input) = Input::new()?;
                (Some(stdin), input)
            }
        };
        let (stdout, output) = Output::new()?;
        let (stderr, errors) = Output::new()?;
        let streams = [input, output, errors];
        #[cfg(windows)]
        let _alone = super::network::INHERITABLE.write();
        Ok(Running {
            process: Process::spawn(&command, Environment::Empty, streams)?,
            stdin,
            stdout: Some(stdout),
            stderr: Some(stderr),
            has_ended: false,
        })
    }

    /// If the program has exited, kills the processes that it left running: no process waits for them any more.
    fn end(&mut self) -> io::Result<()> {
        if self.process.has_ended()? {
            self.process.kill_all();
            self.has_ended = true;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended {
            self.process.kill_all();
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
    let mut drained_until = None;
    loop {
        // If any of these fails, the program is killed, and the call ends or returns the errno.
        caller.check()?;
        require(caller, Capabilities::PROCESS)?;
        feed(caller, &mut running, &mut request.input)?;
        drain(caller, &mut running.stdout, &mut request.output)?;
        drain(caller, &mut running.stderr, &mut request.errors)?;
        let is_drained = running.stdout.is_none() && running.stderr.is_none();
        if drained_until.is_some_and(|until| is_drained || caller.monotonic() >= until) {
            break;
        }
        let slice = readiness::SLICE.min(caller.remaining());
        if drained_until.is_none() {
            // Checked after reading, so that the next round reads all that the program wrote.
            running.end()?;
            if running.has_ended {
                drained_until = Some(caller.monotonic().saturating_add(pipes::DRAIN));
                continue;
            }
        }
        let outputs = [running.stdout.as_ref(), running.stderr.as_ref()];
        pipes::wait(running.stdin.as_ref(), outputs, slice)?;
    }
    let status = running.process.reap();
    request.write_results(caller, status)
}

/// Writes as much input to the program as it accepts.
fn feed(caller: &mut Caller<'_>, running: &mut Running, input: &mut Room) -> Answer {
    let Some(stdin) = &mut running.stdin else {
        return Ok(());
    };
    let memory = caller.memory_or_empty();
    let rest = memory.slice(input.ptr + input.seen, input.left())?;
    match stdin.write(rest) {
        Ok(written) => input.seen += written as u32,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
        // The program accepts no more input.
        Err(_) => input.seen = input.len,
    }
    if input.left() == 0 {
        running.stdin = None;
    }
    Ok(())
}

/// Reads all output that is available.
fn drain(caller: &mut Caller<'_>, pipe: &mut Option<Output>, room: &mut Room) -> Answer {
    let mut rest = [0; DISCARD];
    while let Some(open) = pipe {
        caller.check()?;
        require(caller, Capabilities::PROCESS)?;
        let mut memory = caller.memory_or_empty();
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
