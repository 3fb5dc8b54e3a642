//! `fork` and `execve`, and the steps between the two. Nearly all of the crate's `unsafe` code is here.
//!
//! `posix_spawn` would not require it, but it cannot close descriptors that it does not know of (and not every C library
//! can change the directory), and it returns the child's process id only when the child may have ended already.

use crate::{Environment, Stream};
#[cfg(target_os = "linux")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd},
    fs::{Mode, OFlags},
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

/// The directories that are searched for programs if the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The number of descriptors above the highest one in use that are closed too, if they are closed one by one.
const SLACK: RawFd = 1024;

/// The highest signal number on any of the systems.
const LAST_SIGNAL: i32 = 64;

/// The size of the kernel's signal set in bytes.
#[cfg(target_os = "linux")]
const KERNEL_SIGNAL_SET: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
    16
} else {
    8
};

/// A child that waits at its gate, as a copy of the host, and becomes the program when it is released.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    gate: OwnedFd,
    /// Kept open: writing to a pipe without a reader would raise a signal in the host.
    _theirs: OwnedFd,
    report: OwnedFd,
    /// The number of the other end of the report in the host, which the child inherits.
    #[cfg(target_os = "linux")]
    inherited_report: RawFd,
}

impl Child {
    /// Lets it become the program.
    pub(crate) fn release(self) -> io::Result<()> {
        // Whether it holds the report can be seen, unless there is no `/proc` or it hides this host's children.
        #[cfg(target_os = "linux")]
        let is_visible = self.holds_report();
        // An error is ignored: a child that failed has written the reason to the report.
        let _ = retry_on_intr(|| write(&self.gate, &[1]));
        #[cfg(target_os = "linux")]
        if is_visible && !self.reports()? {
            return Ok(());
        }
        let mut errno = [0; 4];
        match retry_on_intr(|| read(&self.report, &mut errno))? {
            // `execve` closed the report.
            0 => Ok(()),
            _ => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
        }
    }

    /// Waits for the report or its end. Returns `false` if the program was started and the report did not end, because
    /// another thread forked a process that has a copy of the descriptor.
    #[cfg(target_os = "linux")]
    fn reports(&self) -> io::Result<bool> {
        let is_ready = |pause| {
            let pause = Timespec {
                tv_sec: 0,
                tv_nsec: pause,
            };
            retry_on_intr(|| poll(&mut [PollFd::new(&self.report, PollFlags::IN)], Some(&pause)))
        };
        let mut pause = 1_000_000;
        while is_ready(pause)? == 0 {
            if !self.holds_report() {
                // A child that failed has written the reason before it ended.
                return Ok(is_ready(0)? > 0);
            }
            pause = (pause * 2).min(50_000_000);
        }
        Ok(true)
    }

    /// Returns whether the child has not become the program and has not ended: `execve` closes the report.
    #[cfg(target_os = "linux")]
    fn holds_report(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(ours) = rustix::fs::fstat(&self.report) else {
            return false;
        };
        // First it has the host's descriptor, then its own.
        [self.inherited_report, REPORT].into_iter().any(|number| {
            let theirs = std::fs::metadata(format!("/proc/{}/fd/{number}", self.pid));
            theirs.is_ok_and(|theirs| (theirs.dev(), theirs.ino()) == (ours.st_dev, ours.st_ino))
        })
    }
}

/// The child's descriptors of the report and the gate; those from `REST` on are closed.
const REPORT: RawFd = 3;
const GATE: RawFd = 4;
const REST: RawFd = 5;

/// Everything that the child needs, created before the fork: the child must not allocate.
struct Plan {
    candidates: Vec<CString>,
    dir: Option<CString>,
    streams: [OwnedFd; 3],
    gate: OwnedFd,
    report: OwnedFd,
    /// The end of the descriptors, for systems that cannot close all of them with one call.
    end: RawFd,
    #[cfg(target_os = "linux")]
    host: Pid,
}

/// Strings with the list of pointers that `execve` requires.
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
    occupy_standard_streams()?;
    let (theirs, gate) = io::pipe()?;
    let (report, ours) = io::pipe()?;
    let [input, output, errors] = &streams;
    let plan = Plan {
        candidates: candidates(command.get_program(), variables.get(OsStr::new("PATH")))?,
        dir: command
            .get_current_dir()
            .map(|dir| text(dir.as_os_str()))
            .transpose()?,
        streams: [dup_above(input)?, dup_above(output)?, dup_above(errors)?],
        gate: dup_above(theirs)?,
        report: dup_above(ours)?,
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
    // SAFETY: a signal set is plain data, which `sigfillset` fills. With all signals blocked, no handler of the host runs
    // in the child, which has the host's memory but none of its threads; this thread's mask is restored right after.
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
        #[cfg(target_os = "linux")]
        inherited_report: plan.report.as_raw_fd(),
        gate: gate.into(),
        _theirs: plan.gate,
        report: report.into(),
    })
}

/// Turns the child into the program.
///
/// Other threads of the host may have held locks when the child was forked without them, so this uses only what POSIX
/// calls async-signal-safe ("2.4.3 Signal Actions"): system calls and plain memory. Nothing allocates or panics.
///
/// # Safety
///
/// The process was just forked, and all signals are blocked. The lists are those of `execve`: pointers to live C strings,
/// with a null at the end.
unsafe fn become_program(
    plan: &Plan,
    arguments: &[*const libc::c_char],
    variables: &[*const libc::c_char],
) -> ! {
    // SAFETY: system calls that take numbers, and pointers to what `plan` and this frame own.
    unsafe {
        default_signals();
        let result = prepare(plan);
        // From here on a signal ends the child, which no longer has handlers.
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
                // As in `execvp`: a later candidate may be executable.
                Errno::ACCESS => errno = Errno::ACCESS,
                other => fail(other),
            }
        }
        fail(errno)
    }
}

/// Sets every signal to its default disposition.
///
/// # Safety
///
/// As for [`become_program`]: a process with other threads would lose its handlers.
unsafe fn default_signals() {
    for signal in 1..=LAST_SIGNAL {
        // The calls fail for signals that have no other disposition, which is harmless.
        #[cfg(target_os = "linux")]
        // SAFETY: this is the kernel's own `sigaction`, since the C library's excludes the signals that it reserves for
        // itself. An all-zero kernel structure is the default disposition, and no architecture has a larger structure.
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

/// Prepares everything but the program itself.
///
/// # Safety
///
/// As for [`become_program`]: every descriptor except those of the plan is closed, whatever code uses it.
unsafe fn prepare(plan: &Plan) -> Result<(), Errno> {
    // The host's descriptors are closed first: a copy of one keeps a lock, a pipe or a program file busy.
    let [input, output, errors] = &plan.streams;
    for (from, to) in [
        (&plan.report, REPORT),
        (&plan.gate, GATE),
        (input, 0),
        (output, 1),
        (errors, 2),
    ] {
        // SAFETY: `dup_above` ensured that these numbers are not descriptors of the plan.
        if unsafe { libc::dup2(from.as_raw_fd(), to) } < 0 {
            return Err(last_errno());
        }
    }
    // SAFETY: the caller's promise.
    unsafe { close_from(REST, plan.end) };
    // SAFETY: both were opened above, and stay open.
    let [report, gate] = [REPORT, GATE].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    fcntl_setfd(report, FdFlags::CLOEXEC)?;
    fcntl_setfd(gate, FdFlags::CLOEXEC)?;
    rustix::process::setsid()?;
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The host may have ended before. From another PID namespace, the parent cannot be seen.
        let parent = rustix::process::getppid();
        if parent.is_some_and(|parent| parent != plan.host) {
            return Err(Errno::CANCELED);
        }
    }
    if let Some(dir) = &plan.dir {
        rustix::process::chdir(dir.as_c_str())?;
    }
    // Wait until the host has opened the child's pidfd and set its mark.
    match retry_on_intr(|| read(gate, &mut [0; 1]))? {
        0 => Err(Errno::CANCELED),
        _ => Ok(()),
    }
}

/// Closes all descriptors from `first` on.
///
/// # Safety
///
/// Nothing in the process uses them any more.
unsafe fn close_from(first: RawFd, end: RawFd) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the system call takes numbers; the rest is the caller's promise.
        let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
        if done == 0 {
            return;
        }
    }
    for fd in first..end {
        // SAFETY: the caller's promise.
        unsafe { libc::close(fd) };
    }
}

/// Reports to the host why the program could not be started, and ends the child.
///
/// # Safety
///
/// As for [`become_program`].
unsafe fn fail(errno: Errno) -> ! {
    // SAFETY: `prepare` moves the report to this descriptor before anything else can fail: moving an open descriptor to a
    // number that the system has handed out before does not fail.
    unsafe {
        let errno = errno.raw_os_error().to_ne_bytes();
        libc::write(REPORT, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Opens `/dev/null` in place of each of the descriptors 0 to 2 that is closed, as Rust programs do when they start.
pub(crate) fn occupy_standard_streams() -> io::Result<()> {
    loop {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        // Programs inherit it from the host, as any standard stream.
        fcntl_setfd(&null, FdFlags::empty())?;
        // It is never closed: the host may put another file in its place.
        let _ = null.into_raw_fd();
    }
}

/// Duplicates the descriptor to a number that the child will not overwrite.
fn dup_above(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, REST)?)
}

/// Returns a number above all descriptors in use.
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

/// Returns the paths at which the program may be, in the order in which they are tried.
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
    // `Command` stores this instead of a string with a NUL.
    if string == "<string-with-nul>" {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    CString::new(string.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
