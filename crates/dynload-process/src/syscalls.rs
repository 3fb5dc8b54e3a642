//! System calls that `rustix` does not have. The other module with `unsafe` code.

use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd},
    io::Errno,
    process::{Pid, Signal},
};
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// Returns the hard limit of `RLIMIT_RTTIME` of a process, or `None` if the process has ended or this process may not
/// read its limits (prlimit(2): it belongs to another user). The call of `rustix` sets the limit at the same time.
pub(crate) fn rttime(pid: Pid) -> Option<u64> {
    let mut limit = [0_u64; 2];
    // SAFETY: without a new limit the call only writes the old one, a `struct rlimit64`: two 64-bit numbers.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid.as_raw_nonzero().get(),
            libc::RLIMIT_RTTIME,
            std::ptr::null::<u64>(),
            limit.as_mut_ptr(),
        )
    };
    (failed == 0).then_some(limit[1])
}

/// Sends a signal to the process group whose leader is, or was, the process of a pidfd. Unlike a number, the pidfd never refers
/// to the group of another process.
///
/// Before Linux 6.9, the error is [`Errno::INVAL`].
pub(crate) fn signal_group(leader: impl AsFd, signal: Signal) -> Result<(), Errno> {
    /// `PIDFD_SIGNAL_PROCESS_GROUP` of pidfd_send_signal(2).
    const PROCESS_GROUP: libc::c_uint = 1 << 2;
    // SAFETY: a descriptor that is open, a signal, no information about its origin, and flags.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            leader.as_fd().as_raw_fd(),
            signal.as_raw(),
            std::ptr::null::<libc::siginfo_t>(),
            PROCESS_GROUP,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Returns the exit status, in the form of waitpid(2), of a process that has ended and that someone else reaps.
///
/// Before Linux 6.15, the system does not keep it.
pub(crate) fn status_after_reaping(process: impl AsFd) -> Option<i32> {
    // The end is reported before the process is reaped, and the status is kept from then on.
    let deadline = Instant::now() + REAPING;
    loop {
        let (mask, status) = info(process.as_fd())?;
        if mask & EXIT != 0 {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// The longest time from the end of a process until it has been reaped.
const REAPING: Duration = Duration::from_millis(200);

/// `PIDFD_INFO_EXIT` of `linux/pidfd.h`.
const EXIT: u64 = 1 << 3;

/// Returns what the system tells about a process (`PIDFD_GET_INFO`, Linux 6.13): which of it is valid, and the exit status.
fn info(process: BorrowedFd<'_>) -> Option<(u64, i32)> {
    /// `struct pidfd_info` of Linux 6.15. The system accepts the size of any version.
    #[repr(C)]
    struct Info {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    let mut info = Info {
        mask: EXIT,
        cgroup: 0,
        ids: [0; 11],
        exit_code: 0,
    };
    // SAFETY: a descriptor that is open, and a structure whose size is part of the request.
    let result = unsafe {
        libc::ioctl(
            process.as_raw_fd(),
            libc::_IOWR::<Info>(0xff, 11),
            std::ptr::from_mut(&mut info),
        )
    };
    (result == 0).then_some((info.mask, info.exit_code))
}
