//! Reading a limit of another process: the call of `rustix` sets the limit at the same time. The other module with
//! `unsafe` code.

use rustix::process::Pid;

/// Returns the hard limit of `RLIMIT_RTTIME` of a process, or `None` if the process has ended or this process may not
/// read its limits (prlimit(2): it belongs to another user).
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
