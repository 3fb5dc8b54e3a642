//! What marks the descendants of a program, and finding them.

use crate::limit;
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

/// How long those that were killed are waited for. A process that the system itself holds up is left to it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks in a row that find nothing before no more are taken.
const LOOKS: u32 = 20;

/// The hard limit of `RLIMIT_RTTIME` that a program has, and that nothing else on the system does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Marks a process that waits for its start; `None` where that is not possible, or would hide a mark that it has.
    pub(crate) fn set(pid: Pid) -> Option<Mark> {
        if getrlimit(Resource::Rttime).maximum.is_some() {
            return None;
        }
        // The keys of each state are other ones. The top bit but one keeps the limit from ever being reached.
        let number = RandomState::new().hash_one(pid.as_raw_nonzero()) >> 2 | 1 << 62;
        let limit = Rlimit {
            current: Some(number),
            maximum: Some(number),
        };
        prlimit(Some(pid), Resource::Rttime, limit).ok()?;
        let mark = Mark(number);
        // Whether it can be read as well.
        mark.is_on(pid).then_some(mark)
    }

    /// Sends the signal to each process that has the mark, and is in the group if one is given: how many live.
    ///
    /// None is meant by its number: it is held first, and then looked at again. If it is gone by then, the signal goes nowhere.
    pub(crate) fn signal(self, group: Option<Pid>, signal: Signal) -> Vec<OwnedFd> {
        // A program could put its mark on the host itself.
        let host = rustix::process::getpid();
        let wanted =
            |pid| pid != host && self.is_on(pid) && group.is_none_or(|group| group_of(pid) == Some(group));
        let processes = fs::read_dir("/proc").into_iter().flatten();
        processes
            .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
            .filter(|pid| wanted(*pid))
            .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
            .filter(|(pid, held)| wanted(*pid) && !ends_within(held, Duration::ZERO))
            .filter_map(|(_, held)| pidfd_send_signal(&held, signal).ok().map(|()| held))
            .collect()
    }

    /// Kills them until none is left: one that forks meanwhile hands on its mark.
    ///
    /// Where nothing on the system forked during a look that found none, there is none. Where something did, one may have been
    /// passed from a process that had been looked at already, and a few more looks are taken.
    pub(crate) fn kill(self, group: Option<Pid>) {
        let deadline = Instant::now() + PATIENCE;
        let mut looks = LOOKS;
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
            looks = LOOKS;
            if left().is_zero() {
                return;
            }
            for held in killed {
                ends_within(&held, left());
            }
        }
    }

    fn is_on(self, pid: Pid) -> bool {
        limit::rttime(pid) == Some(self.0)
    }
}

/// Processes and threads that were made on the system since it started (proc(5), `/proc/stat`).
fn forks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("processes "))?;
    line.trim().parse().ok()
}

/// The process group, from `/proc/PID/stat` (proc(5)): the third word after the name, which is in brackets and may have any
/// character.
fn group_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, words) = stat.rsplit_once(')')?;
    let group = words.split_whitespace().nth(2)?.parse().ok()?;
    // Of a process that just ended, it is -1.
    (group > 0).then(|| Pid::from_raw(group)).flatten()
}

/// Whether a process that is held has ended, after waiting so long at most.
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
