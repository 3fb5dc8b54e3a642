//! Runs a sequence of calls in both implementations and compares them after each call.

use crate::call::{Arg, Call, Out};
use crate::differences::{self, Difference};
use crate::engines::{Engine, dynload::Dynload, wasmtime::Wasmtime};
use crate::outcome::{Outcome, Value, perform};
use crate::rights;
use crate::tree::{self, ROOT};
use std::collections::BTreeSet;
use tempfile::TempDir;

/// What happened at one call.
#[derive(Debug)]
pub enum Step {
    /// Both implementations agree.
    Same,
    /// They differ in a way that the table explains; the state is still the same in both.
    Known(&'static Difference),
    /// They differ in a way that the table explains, and so may everything after it.
    Parted(&'static Difference),
    /// Both ended the guest in the same way.
    Ended,
    /// They differ in a way that the table does not explain.
    Unknown(Box<Seen>),
}

/// A call with what both implementations did.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The call.
    pub call: Call,
    /// What the sandbox answered.
    pub sandbox: Outcome,
    /// What Wasmtime answered.
    pub wasmtime: Outcome,
    /// What differs afterwards: entries of the two directories, and the position of the descriptor.
    pub state: Vec<String>,
    /// A rule that one of the two broke, whatever the other did.
    pub broken: Option<String>,
    /// The open descriptors before the call, by their number in the sequence.
    pub open: Vec<Option<Open>>,
}

impl Seen {
    /// Returns an open descriptor that the call receives.
    #[must_use]
    pub fn open(&self, fd: u32) -> Option<&Open> {
        self.open.get(fd as usize).and_then(Option::as_ref)
    }

    /// Returns the first descriptor that the call receives, if it is open.
    #[must_use]
    pub fn first(&self) -> Option<&Open> {
        self.open(self.call.fds().next()?)
    }

    /// Returns the two errnos, that of the sandbox first.
    #[must_use]
    pub fn errnos(&self) -> (Option<u16>, Option<u16>) {
        (self.sandbox.errno(), self.wasmtime.errno())
    }

    /// Returns a text that is the same for similar differences.
    #[must_use]
    pub fn class(&self) -> String {
        let short = |outcome: &Outcome| match outcome {
            Outcome::Success(_) => "success".to_owned(),
            other => format!("{other:?}"),
        };
        let state = if self.state.is_empty() {
            ""
        } else {
            ", states differ"
        };
        let broken = if self.broken.is_some() {
            ", broken rule"
        } else {
            ""
        };
        format!(
            "{}: {} / {}{state}{broken}",
            self.call.function,
            short(&self.sandbox),
            short(&self.wasmtime)
        )
    }
}

/// An open descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Its number in the sandbox.
    pub sandbox: u32,
    /// Its number in Wasmtime.
    pub wasmtime: u32,
    /// What it refers to.
    pub kind: Kind,
    /// Its rights in the sandbox.
    pub base: u64,
    /// Its inheriting rights in the sandbox.
    pub inheriting: u64,
    /// `fdflags`.
    pub flags: u16,
}

/// What a descriptor refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Standard input.
    Input,
    /// Standard output or standard error.
    Output,
    /// A preopened directory.
    Preopen,
    /// Another directory.
    Directory,
    /// A file.
    File,
}

/// Both implementations, each with its own directory.
pub struct World {
    sandbox: Side,
    wasmtime: Side,
    open: Vec<Option<Open>>,
}

struct Side {
    engine: Box<dyn Engine>,
    directory: TempDir,
}

impl Side {
    fn new(engine: impl FnOnce(&std::path::Path) -> Box<dyn Engine>) -> Side {
        let directory = tempfile::tempdir().expect("creates a temporary directory");
        tree::create(directory.path());
        Side {
            engine: engine(&directory.path().join(ROOT)),
            directory,
        }
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl World {
    /// Creates two identical directories, and an instance in each.
    ///
    /// # Panics
    ///
    /// If the directories cannot be created.
    #[must_use]
    pub fn new() -> World {
        let sandbox = Side::new(|path| Box::new(Dynload::new(path)));
        let wasmtime = Side::new(|path| Box::new(Wasmtime::new(path)));
        let mut world = World {
            sandbox,
            wasmtime,
            open: Vec::new(),
        };
        for (n, kind) in [Kind::Input, Kind::Output, Kind::Output, Kind::Preopen]
            .into_iter()
            .enumerate()
        {
            let open = world.described(n as u32, n as u32, kind);
            world.open.push(Some(open));
        }
        world
    }

    /// Returns the open descriptors, by their number in the sequence.
    #[must_use]
    pub fn open(&self) -> &[Option<Open>] {
        &self.open
    }

    /// Makes a call in both.
    pub fn step(&mut self, call: &Call) -> Step {
        let used = |of: fn(&Open) -> u32| -> BTreeSet<u32> { self.open.iter().flatten().map(of).collect() };
        let (used_sandbox, used_wasmtime) = (used(|open| open.sandbox), used(|open| open.wasmtime));
        let number = |fd: u32, of: fn(&Open) -> u32, used: &BTreeSet<u32>| {
            match self.open.get(fd as usize).and_then(Option::as_ref) {
                Some(open) => of(open),
                // A closed descriptor: the same number, unless it belongs to another one in this implementation.
                None if used.contains(&fd) => fd + 1000,
                None => fd,
            }
        };
        let sandbox = perform(&mut *self.sandbox.engine, call, &|fd| {
            number(fd, |open| open.sandbox, &used_sandbox)
        });
        let wasmtime = perform(&mut *self.wasmtime.engine, call, &|fd| {
            number(fd, |open| open.wasmtime, &used_wasmtime)
        });
        let [after_sandbox, after_wasmtime] =
            [&self.sandbox, &self.wasmtime].map(|side| tree::snapshot(side.directory.path()));
        let mut state = tree::differences(&after_sandbox, &after_wasmtime);
        if sandbox.errno().is_some() {
            state.extend(self.positions(call));
        }
        let mut seen = Seen {
            call: call.clone(),
            broken: broken(&sandbox, &wasmtime, &used_sandbox, &used_wasmtime),
            sandbox,
            wasmtime,
            state,
            open: self.open.clone(),
        };
        if seen.sandbox.is_success() && !seen.sandbox.has_failed_event() && rights::are_missing(&seen) {
            seen.broken = Some("the call succeeded in the sandbox without the required right".to_owned());
        }
        if seen.broken.is_none() && seen.sandbox.agrees(&seen.wasmtime) && seen.state.is_empty() {
            return if seen.sandbox.errno().is_none() {
                Step::Ended
            } else {
                self.follow(&seen);
                Step::Same
            };
        }
        let Some(known) = differences::find(&seen) else {
            return Step::Unknown(Box::new(seen));
        };
        if seen.state.is_empty() && self.reunite(&seen) {
            Step::Known(known)
        } else {
            Step::Parted(known)
        }
    }

    /// Compares the positions in the file that the call receives.
    fn positions(&mut self, call: &Call) -> Option<String> {
        let fd = call.fds().next()?;
        let open = self.open.get(fd as usize)?.as_ref()?;
        if open.kind != Kind::File
            || !matches!(
                call.function,
                "fd_read" | "fd_write" | "fd_pread" | "fd_pwrite" | "fd_seek"
            )
        {
            return None;
        }
        let tell = Call::new("fd_tell", [Arg::Fd(fd), Arg::Out(Out::U64)]);
        let sandbox = perform(&mut *self.sandbox.engine, &tell, &|_| open.sandbox);
        let wasmtime = perform(&mut *self.wasmtime.engine, &tell, &|_| open.wasmtime);
        // Without the right to tell, the position remains unknown.
        (sandbox.is_success() && sandbox != wasmtime)
            .then(|| format!("position: {sandbox:?} in the sandbox, {wasmtime:?} in Wasmtime"))
    }

    /// Keeps track of descriptors after a call that succeeded in both.
    fn follow(&mut self, seen: &Seen) {
        if !seen.sandbox.is_success() || !seen.wasmtime.is_success() {
            return;
        }
        let mut fds = seen.call.fds();
        match seen.call.function {
            "path_open" => {
                let (Some(sandbox), Some(wasmtime)) = (seen.sandbox.fd(), seen.wasmtime.fd()) else {
                    return;
                };
                let open = self.described(sandbox, wasmtime, Kind::File);
                let free = (3..).find(|n| self.open.get(*n).is_none_or(Option::is_none));
                let free = free.expect("the numbers do not end");
                if free == self.open.len() {
                    self.open.push(None);
                }
                self.open[free] = Some(open);
            }
            "fd_close" => {
                let fd = fds.next().expect("a descriptor") as usize;
                self.open[fd] = None;
            }
            "fd_renumber" => {
                let (from, to) = (fds.next(), fds.next());
                let (from, to) = (
                    from.expect("a descriptor") as usize,
                    to.expect("a descriptor") as usize,
                );
                if from != to {
                    let moved = self.open[from].take().expect("an open descriptor");
                    let replaced = self.open[to].take().expect("an open descriptor");
                    self.open[to] = Some(Open {
                        sandbox: replaced.sandbox,
                        wasmtime: replaced.wasmtime,
                        ..moved
                    });
                }
            }
            "fd_fdstat_set_flags" => {
                let fd = fds.next().expect("a descriptor") as usize;
                if let Some(open) = &mut self.open[fd] {
                    open.flags = seen.call.number(1) as u16;
                }
            }
            _ => {}
        }
    }

    /// Makes the state of both the same again after a known difference, if that is possible.
    fn reunite(&mut self, seen: &Seen) -> bool {
        match (seen.sandbox.errno(), seen.wasmtime.errno()) {
            (None, _) => return false,
            // A host function that traps leaves Wasmtime's instance usable.
            (Some(errno), None) => return errno != 0,
            _ => {}
        }
        let (sandbox, wasmtime) = (seen.sandbox.is_success(), seen.wasmtime.is_success());
        match seen.call.function {
            "path_open" if sandbox != wasmtime => {
                let close = |engine: &mut dyn Engine, outcome: &Outcome| {
                    if let Some(fd) = outcome.fd() {
                        perform(engine, &Call::new("fd_close", [Arg::Fd(fd)]), &|fd| fd);
                    }
                };
                close(&mut *self.sandbox.engine, &seen.sandbox);
                close(&mut *self.wasmtime.engine, &seen.wasmtime);
                true
            }
            "fd_fdstat_get"
            | "fd_filestat_get"
            | "fd_prestat_get"
            | "fd_prestat_dir_name"
            | "fd_pread"
            | "fd_readdir"
            | "list"
            | "path_filestat_get"
            | "path_readlink"
            | "fd_advise"
            | "fd_sync"
            | "fd_datasync"
            | "clock_res_get"
            | "random_get"
            | "poll_oneoff"
            | "fd_tell" => true,
            _ if sandbox && wasmtime => false,
            _ => !sandbox && !wasmtime,
        }
    }

    fn described(&mut self, sandbox: u32, wasmtime: u32, kind: Kind) -> Open {
        let call = Call::new("fd_fdstat_get", [Arg::Fd(sandbox), Arg::Out(Out::Fdstat)]);
        let Outcome::Success(values) = perform(&mut *self.sandbox.engine, &call, &|fd| fd) else {
            panic!("descriptor {sandbox} is open in the sandbox");
        };
        let [
            Value::Fdstat {
                filetype,
                flags,
                base,
                inheriting,
            },
        ] = values[..]
        else {
            panic!("fd_fdstat_get returns an fdstat");
        };
        Open {
            sandbox,
            wasmtime,
            kind: if kind == Kind::File && filetype == 3 {
                Kind::Directory
            } else {
                kind
            },
            base,
            inheriting,
            flags,
        }
    }

    /// Compares what was written to the console.
    #[must_use]
    pub fn outputs_agree(&mut self) -> bool {
        self.sandbox.engine.output() == self.wasmtime.engine.output()
    }
}

/// Checks the rules that one outcome alone can break.
fn broken(
    sandbox: &Outcome,
    wasmtime: &Outcome,
    used_sandbox: &BTreeSet<u32>,
    used_wasmtime: &BTreeSet<u32>,
) -> Option<String> {
    if let Some(fd) = sandbox.fd() {
        let lowest = (3..).find(|fd| !used_sandbox.contains(fd));
        if lowest != Some(fd) {
            return Some(format!(
                "the sandbox returned descriptor {fd} instead of the lowest free one, {lowest:?}"
            ));
        }
    }
    if let Some(fd) = wasmtime.fd()
        && used_wasmtime.contains(&fd)
    {
        return Some(format!("Wasmtime returned descriptor {fd}, which is open"));
    }
    None
}

/// How a sequence ended.
#[derive(Debug)]
pub enum Verdict {
    /// All calls ran; the number of known differences among them.
    Whole(Vec<&'static Difference>),
    /// A known difference changed the state, so the comparison ended before the last call.
    Short(Vec<&'static Difference>),
    /// An unknown difference, and the position of its call.
    Unknown(usize, Box<Seen>),
    /// What was written to the console differs.
    Outputs,
}

/// Runs a sequence whose calls `next` chooses, one after the other, until it returns `None`.
pub fn run(mut next: impl FnMut(&World) -> Option<Call>) -> Verdict {
    let mut world = World::new();
    let mut known = Vec::new();
    let mut count = 0;
    while let Some(call) = next(&world) {
        match world.step(&call) {
            Step::Same => {}
            Step::Known(difference) => known.push(difference),
            Step::Parted(difference) => {
                known.push(difference);
                return Verdict::Short(known);
            }
            Step::Ended => break,
            Step::Unknown(seen) => return Verdict::Unknown(count, seen),
        }
        count += 1;
    }
    if world.outputs_agree() {
        Verdict::Whole(known)
    } else {
        Verdict::Outputs
    }
}

/// Runs a fixed sequence.
#[must_use]
pub fn replay(calls: &[Call]) -> Verdict {
    let mut calls = calls.iter();
    run(|_| calls.next().cloned())
}

/// Removes calls as long as a difference of the same class remains. Returns the shortest sequence, and what it shows.
#[must_use]
pub fn shrink(mut calls: Vec<Call>, mut seen: Box<Seen>) -> (Vec<Call>, Box<Seen>) {
    let class = seen.class();
    let mut n = 0;
    while n + 1 < calls.len() {
        let mut fewer = calls.clone();
        fewer.remove(n);
        match replay(&fewer) {
            Verdict::Unknown(at, found) if found.class() == class => {
                fewer.truncate(at + 1);
                calls = fewer;
                seen = found;
                n = 0;
            }
            _ => n += 1,
        }
    }
    (calls, seen)
}
