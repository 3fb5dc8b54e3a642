//! Reading a limit of another process: what `rustix` offers sets one at the same time. The other place with `unsafe`.

use rustix::process::Pid;

/// The hard limit of `RLIMIT_RTTIME` of a process; `None` for one that is gone, or that is none of ours to ask
/// (prlimit(2): of another user).
pub(crate) fn rttime(pid: Pid) -> Option<u64> {
    let mut limit = [0_u64; 2];
    // SAFETY: with no new limit the call only writes the old one, a `struct rlimit64`: two numbers of 64 bits.
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
