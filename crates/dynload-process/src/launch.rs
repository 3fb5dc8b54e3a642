//! `fork` and `execve`, and what has to happen between the two. Nearly all of the crate's `unsafe` is here.
//!
//! `posix_spawn` would do without it, but cannot close descriptors that it does not know of (nor does every C library
//! change the directory), and says who the child is only after it may be gone.

use crate::{Environment, Stream};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd, read, retry_on_intr, write},
    process::Pid,
};
use std::{
    collections::BTreeMap,
    env,
    ffi::{CString, OsStr, OsString},
    io, mem,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    process::Command,
    ptr,
};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Numbers beyond the highest descriptor in use that are closed as well, where they are closed one by one.
const SLACK: RawFd = 1024;

/// The number of the last signal on any of the systems.
const LAST_SIGNAL: i32 = 64;

/// Bytes of the kernel's set of signals.
#[cfg(target_os = "linux")]
const KERNEL_SIGNAL_SET: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
    16
} else {
    8
};

/// A child that waits at its gate, as a copy of the host, and becomes the program when it is let through.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    gate: OwnedFd,
    /// Kept open: writing to a pipe that nobody reads any more would raise a signal in the host.
    _theirs: OwnedFd,
    report: OwnedFd,
}

impl Child {
    /// Lets it become the program.
    pub(crate) fn release(self) -> io::Result<()> {
        // A child that is gone tells so by the report.
        let _ = retry_on_intr(|| write(&self.gate, &[1]));
        let mut errno = [0; 4];
        match retry_on_intr(|| read(&self.report, &mut errno))? {
            // Closed by `execve`.
            0 => Ok(()),
            _ => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
        }
    }
}

/// Where the child has its end of the report, and of the gate; everything from there on is closed.
const REPORT: RawFd = 3;
const GATE: RawFd = 4;
const REST: RawFd = 5;

/// Everything that the child needs, made before there is one: it must not allocate.
struct Plan {
    candidates: Vec<CString>,
    dir: Option<CString>,
    streams: [OwnedFd; 3],
    gate: OwnedFd,
    report: OwnedFd,
    /// Where descriptors end, for systems that cannot close all of them at once.
    end: RawFd,
    #[cfg(target_os = "linux")]
    host: Pid,
}

/// Strings with the list of pointers that `execve` wants.
struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    fn new(owned: Vec<CString>) -> Strings {
        let pointers = owned.iter().map(|string| string.as_ptr());
        Strings {
            pointers: pointers.chain([ptr::null()]).collect(),
            _owned: owned,
        }
    }
}

/// Starts a child for the command.
pub(crate) fn launch(command: &Command, environment: Environment, streams: [Stream; 3]) -> io::Result<Child> {
    let variables = variables(command, environment);
    let arguments = std::iter::once(command.get_program()).chain(command.get_args());
    let arguments = Strings::new(arguments.map(text).collect::<io::Result<_>>()?);
    let (theirs, gate) = io::pipe()?;
    let (report, ours) = io::pipe()?;
    let [input, output, errors] = &streams;
    let plan = Plan {
        candidates: candidates(command.get_program(), variables.get(OsStr::new("PATH")))?,
        dir: command
            .get_current_dir()
            .map(|dir| text(dir.as_os_str()))
            .transpose()?,
        streams: [above(input)?, above(output)?, above(errors)?],
        gate: above(theirs)?,
        report: above(ours)?,
        end: end_of_descriptors(),
        #[cfg(target_os = "linux")]
        host: rustix::process::getpid(),
    };
    let entry = |(name, value): (OsString, OsString)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        text(OsStr::from_bytes(&entry))
    };
    let variables = Strings::new(variables.into_iter().map(entry).collect::<io::Result<_>>()?);
    // SAFETY: a set of signals is plain data that `sigfillset` fills. With all signals blocked, no handler of the host
    // runs in the child, which has its memory but none of its threads; the mask of this thread is put back right after.
    let pid = unsafe {
        let mut all = mem::zeroed();
        let mut before = mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let pid = libc::fork();
        if pid == 0 {
            become_program(&plan, &arguments.pointers, &variables.pointers);
        }
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        if pid < 0 {
            return Err(error);
        }
        Pid::from_raw(pid).ok_or(error)?
    };
    Ok(Child {
        pid,
        gate: gate.into(),
        _theirs: plan.gate,
        report: report.into(),
    })
}

/// What the child does.
///
/// # Safety
/// To be called in a process that was just forked, with all signals blocked. The lists are those of `execve`: pointers to
/// C strings that live, with a null at the end.
///
/// Other threads of the host may have held locks when they were copied away, so only what POSIX calls
/// async-signal-safe is used here ("2.4.3 Signal Actions"): system calls and plain memory. Nothing allocates or panics.
unsafe fn become_program(
    plan: &Plan,
    arguments: &[*const libc::c_char],
    variables: &[*const libc::c_char],
) -> ! {
    // SAFETY: system calls that take numbers, and pointers to what `plan` and this frame own.
    unsafe {
        default_signals();
        let result = prepare(plan);
        // From here on a signal ends the child, which has no handlers any more.
        let mut none = mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, ptr::null_mut());
        let mut errno = match result {
            Ok(()) => Errno::NOENT,
            Err(errno) => fail(errno),
        };
        for program in &plan.candidates {
            libc::execve(program.as_ptr(), arguments.as_ptr(), variables.as_ptr());
            match last_errno() {
                Errno::NOENT | Errno::NOTDIR => {}
                // As `execvp`: there may be one further on that can be run.
                Errno::ACCESS => errno = Errno::ACCESS,
                other => fail(other),
            }
        }
        fail(errno)
    }
}

/// Gives every signal its default disposition.
///
/// # Safety
/// As [`become_program`]: handlers of a process that has others running would be gone.
unsafe fn default_signals() {
    for signal in 1..=LAST_SIGNAL {
        // Signals that have no other disposition say so, and that is all right.
        #[cfg(target_os = "linux")]
        // SAFETY: the kernel's own `sigaction`, since that of the C library leaves out the signals it keeps for itself. All of
        // the kernel's structure being zero is the default disposition, and no architecture has a larger one.
        unsafe {
            let default = [0_u64; 8];
            let old = ptr::null_mut::<u64>();
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                old,
                KERNEL_SIGNAL_SET,
            );
        }
        #[cfg(not(target_os = "linux"))]
        // SAFETY: a plain structure, of which zero is the default disposition.
        unsafe {
            let default: libc::sigaction = mem::zeroed();
            libc::sigaction(signal, &default, ptr::null_mut());
        }
    }
}

/// Everything but the program itself.
///
/// # Safety
/// As [`become_program`]: every descriptor but those of the plan is closed, whoever it belongs to.
unsafe fn prepare(plan: &Plan) -> Result<(), Errno> {
    // The host's descriptors go first: a copy of one keeps a lock, a pipe or a program file busy.
    let [input, output, errors] = &plan.streams;
    for (from, to) in [
        (&plan.report, REPORT),
        (&plan.gate, GATE),
        (input, 0),
        (output, 1),
        (errors, 2),
    ] {
        // SAFETY: numbers that `above` made sure are no descriptor of the plan's own.
        if unsafe { libc::dup2(from.as_raw_fd(), to) } < 0 {
            return Err(last_errno());
        }
    }
    // SAFETY: the promise of the caller.
    unsafe { close_from(REST, plan.end) };
    // SAFETY: it was opened above, and stays.
    let [report, gate] = [REPORT, GATE].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    fcntl_setfd(report, FdFlags::CLOEXEC)?;
    fcntl_setfd(gate, FdFlags::CLOEXEC)?;
    rustix::process::setsid()?;
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // It may have ended before. Out of another namespace of processes, it cannot be seen.
        let parent = rustix::process::getppid();
        if parent.is_some_and(|parent| parent != plan.host) {
            return Err(Errno::CANCELED);
        }
    }
    if let Some(dir) = &plan.dir {
        rustix::process::chdir(dir.as_c_str())?;
    }
    // The host opens what it holds the child by, and sets its mark.
    match retry_on_intr(|| read(gate, &mut [0; 1]))? {
        0 => Err(Errno::CANCELED),
        _ => Ok(()),
    }
}

/// Closes all descriptors from `first` on.
///
/// # Safety
/// Nothing in the process uses them any more.
unsafe fn close_from(first: RawFd, end: RawFd) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: a system call that takes numbers; the rest is the promise of the caller.
        let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
        if done == 0 {
            return;
        }
    }
    for fd in first..end {
        // SAFETY: the promise of the caller.
        unsafe { libc::close(fd) };
    }
}

/// Tells the host why there is no program.
///
/// # Safety
/// As [`become_program`].
unsafe fn fail(errno: Errno) -> ! {
    // SAFETY: where `prepare` puts the report before anything else can fail: moving a descriptor that is open to a number
    // that the system has given out does not.
    unsafe {
        let errno = errno.raw_os_error().to_ne_bytes();
        libc::write(REPORT, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// A copy of the descriptor that is none of those which the child will overwrite.
fn above(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, REST)?)
}

/// A number above all descriptors in use.
fn end_of_descriptors() -> RawFd {
    let listed = std::fs::read_dir("/dev/fd").ok().and_then(|list| {
        list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok())
            .max()
    });
    let limit = || {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit
            .and_then(|limit| RawFd::try_from(limit).ok())
            .unwrap_or(1 << 20)
    };
    listed.map_or_else(limit, |highest| highest.saturating_add(SLACK))
}

fn variables(command: &Command, environment: Environment) -> BTreeMap<OsString, OsString> {
    let mut variables: BTreeMap<OsString, OsString> = match environment {
        Environment::Empty => BTreeMap::new(),
        Environment::Host => env::vars_os().collect(),
    };
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => variables.insert(name.to_owned(), value.to_owned()),
            None => variables.remove(name),
        };
    }
    variables
}

/// Where the program may be, in order.
fn candidates(program: &OsStr, path: Option<&OsString>) -> io::Result<Vec<CString>> {
    if program.as_bytes().contains(&b'/') || program.is_empty() {
        return Ok(vec![text(program)?]);
    }
    let path = path.map_or(OsStr::new(DEFAULT_PATH), OsString::as_os_str);
    env::split_paths(path)
        .map(|dir| {
            if dir.as_os_str().is_empty() {
                Path::new(".").join(program)
            } else {
                dir.join(program)
            }
        })
        .map(|path| text(path.as_os_str()))
        .collect()
}

fn text(string: &OsStr) -> io::Result<CString> {
    // What `Command` keeps in place of a string with a NUL.
    if string == "<string-with-nul>" {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    CString::new(string.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
