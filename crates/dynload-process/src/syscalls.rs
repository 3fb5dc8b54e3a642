//! System calls that `rustix` does not have. The other module with `unsafe` code.

use rustix::{
    fd::{AsFd, AsRawFd},
    io::Errno,
    process::{Pid, Signal},
};
use std::io;

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
