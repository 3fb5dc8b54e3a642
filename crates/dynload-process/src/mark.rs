//! Marking the descendants of a program, and finding them.

use crate::syscalls;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, pidfd_open, pidfd_send_signal, prlimit},
};
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// The longest wait for killed processes to end. A process that the system itself delays is left to the system.
const KILL_TIMEOUT: Duration = Duration::from_millis(500);

/// The number of consecutive scans that find nothing after which scanning stops.
const MAX_EMPTY_SCANS: u32 = 20;

/// The hard limit of `RLIMIT_RTTIME` of a program and its descendants, which no other process on the system has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Marks a process that waits for its start. Returns `None` if that is not possible, or would hide a mark that it has
    /// already.
    pub(crate) fn set(pid: Pid) -> Option<Mark> {
        if getrlimit(Resource::Rttime).maximum.is_some() {
            return None;
        }
        // The keys of each state are different. The second-highest bit makes the limit too high to be ever reached.
        let number = RandomState::new().hash_one(pid.as_raw_nonzero()) >> 2 | 1 << 62;
        let limit = Rlimit {
            current: Some(number),
            maximum: Some(number),
        };
        prlimit(Some(pid), Resource::Rttime, limit).ok()?;
        let mark = Mark(number);
        // The mark must be readable too.
        mark.is_set_on(pid).then_some(mark)
    }

    /// Sends the signal to each process that has the mark and, if `group` is set, is in that group. Returns pidfds of
    /// the processes that were alive.
    ///
    /// No process is signaled by its process id: its pidfd is opened first, and then the process is checked again. If it
    /// ends after that, no process receives the signal.
    pub(crate) fn signal(self, group: Option<Pid>, signal: Signal) -> Vec<OwnedFd> {
        // A program could set its mark on the host itself.
        let host = rustix::process::getpid();
        let wanted = |pid| {
            pid != host && self.is_set_on(pid) && group.is_none_or(|group| group_of(pid) == Some(group))
        };
        let processes = fs::read_dir("/proc").into_iter().flatten();
        processes
            .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
            .filter(|pid| wanted(*pid))
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            .filter(|(pid, held)| wanted(*pid) && !ends_within(held, Duration::ZERO))
            .filter_map(|(_, held)| pidfd_send_signal(&held, signal).ok().map(|()| held))
            .collect()
    }

    /// Kills the marked processes until none is left: a process that forks in the meantime passes on its mark.
    ///
    /// If no process on the system forked during a scan that found none, none is left. Otherwise the mark may have been
    /// passed on to a process that the scan missed, and a few more scans follow.
    pub(crate) fn kill(self, group: Option<Pid>) {
        let deadline = Instant::now() + KILL_TIMEOUT;
        let mut looks = MAX_EMPTY_SCANS;
        loop {
            let before = forks();
            let killed = self.signal(group, Signal::KILL);
            let left = || deadline.saturating_duration_since(Instant::now());
            if killed.is_empty() {
                let nothing_forked = before.is_some() && before == forks();
                looks -= 1;
                if nothing_forked || looks == 0 || left().is_zero() {
                    return;
                }
                continue;
            }
            looks = MAX_EMPTY_SCANS;
            if left().is_zero() {
                return;
            }
            for held in killed {
                ends_within(&held, left());
            }
        }
    }

    fn is_set_on(self, pid: Pid) -> bool {
        syscalls::rttime(pid) == Some(self.0)
    }
}

/// Returns the number of processes and threads created since the system started (proc(5), `/proc/stat`).
fn forks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("processes "))?;
    line.trim().parse().ok()
}

/// Returns the process group, from `/proc/PID/stat` (proc(5)): the third word after the name, which is in parentheses and
/// may contain any character.
fn group_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, words) = stat.rsplit_once(')')?;
    let group = words.split_whitespace().nth(2)?.parse().ok()?;
    // For a process that has just ended, it is -1.
    (group > 0).then(|| Pid::from_raw(group)).flatten()
}

/// Waits at most `time` for the process of a pidfd to end, and returns whether it has ended.
pub(crate) fn ends_within(held: &OwnedFd, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(held, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.is_ok_and(|ready| ready > 0),
        }
    }
}
