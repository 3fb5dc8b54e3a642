//! What a call returned: an errno, and everything it wrote whose value the documents define.

use crate::call::{Arg, Call, Out};
use crate::engines::{Ending, Engine};

/// Where the arguments are placed in the guest's memory, and the alignment of each.
const FIRST: u32 = 4096;
const ALIGNMENT: u32 = 16;
const MEMORY: u32 = 4 << 16;

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Errno 0, with the results in the order of the arguments.
    Success(Vec<Value>),
    /// Another errno.
    Errno(u16),
    /// The guest trapped.
    Trap,
    /// The guest exited with this code.
    Exit(i32),
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The number of a new descriptor. It is not compared: each implementation has its own rule.
    Fd(u32),
    /// A number.
    Number(u64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// `fdstat`.
    Fdstat {
        /// `fs_filetype`.
        filetype: u8,
        /// `fs_flags`.
        flags: u16,
        /// `fs_rights_base`.
        base: u64,
        /// `fs_rights_inheriting`.
        inheriting: u64,
    },
    /// `filestat`, without the numbers of the device and the inode, and without `ctim`.
    Filestat {
        /// `filetype`.
        filetype: u8,
        /// `nlink`.
        nlink: u64,
        /// `size`; that of a directory depends on the file system.
        size: Option<u64>,
        /// `atim`, if it was set explicitly.
        atim: Option<u64>,
        /// `mtim`, if it was set explicitly.
        mtim: Option<u64>,
    },
    /// What one call of `fd_readdir` returned.
    Page(Page),
    /// The events of a poll, sorted.
    Events(Vec<Event>),
    /// A whole directory, read page by page: names and filetypes, sorted.
    Names(Vec<(String, u8)>),
}

/// What is compared of an `event`: `userdata`, `error` and `type`.
pub type Event = (u64, u16, u8);

fn event(bytes: &[u8]) -> Event {
    let userdata = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
    (userdata, u16::from_le_bytes([bytes[8], bytes[9]]), bytes[10])
}

/// The result of one call of `fd_readdir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The cookies after each complete entry.
    pub cookies: Vec<u64>,
    /// The complete entries, sorted; only if they are all entries of the directory, because the order is not defined.
    pub all: Option<Vec<(String, u8)>>,
    /// Whether the buffer is full, so that there may be more entries.
    pub is_full: bool,
}

impl Outcome {
    /// Returns whether the call succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Outcome::Success(_))
    }

    /// Returns the errno; 0 for success, `None` if the function did not return.
    #[must_use]
    pub fn errno(&self) -> Option<u16> {
        match self {
            Outcome::Success(_) => Some(0),
            Outcome::Errno(errno) => Some(*errno),
            Outcome::Trap | Outcome::Exit(_) => None,
        }
    }

    /// Returns the new descriptor.
    #[must_use]
    pub fn fd(&self) -> Option<u32> {
        match self {
            Outcome::Success(values) => values.iter().find_map(|value| match value {
                Value::Fd(fd) => Some(*fd),
                _ => None,
            }),
            _ => None,
        }
    }

    /// Returns whether a subscription of a poll failed.
    #[must_use]
    pub fn has_failed_event(&self) -> bool {
        let has_failed = |value: &Value| match value {
            Value::Events(events) => events.iter().any(|(_, errno, _)| *errno != 0),
            _ => false,
        };
        matches!(self, Outcome::Success(values) if values.iter().any(has_failed))
    }

    /// Returns whether two outcomes are the same, except for the numbers of new descriptors.
    #[must_use]
    pub fn agrees(&self, other: &Outcome) -> bool {
        match (self, other) {
            (Outcome::Success(a), Outcome::Success(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|values| match values {
                        (Value::Fd(_), Value::Fd(_)) => true,
                        (a, b) => a == b,
                    })
            }
            (a, b) => a == b,
        }
    }
}

/// Makes a call, with the numbers that this implementation uses for the descriptors.
pub(crate) fn perform(engine: &mut dyn Engine, call: &Call, number: &dyn Fn(u32) -> u32) -> Outcome {
    if call.function == "list" {
        return list(engine, call, number);
    }
    let mut memory = Layout::default();
    let mut args = Vec::new();
    let mut results = Vec::new();
    for arg in &call.args {
        match arg {
            Arg::Fd(fd) => args.push(number(*fd).into()),
            Arg::I32(number) => args.push(i64::from(*number as i32)),
            Arg::I64(number) => args.push(*number as i64),
            Arg::Path(path) => {
                let at = memory.put(path);
                args.extend([at.into(), path.len() as i64]);
            }
            Arg::Write(buffers) => {
                let list: Vec<_> = buffers
                    .iter()
                    .map(|bytes| (memory.put(bytes), bytes.len() as u32))
                    .collect();
                args.extend([memory.put_list(&list).into(), list.len() as i64]);
            }
            Arg::Read(lengths) => {
                let list: Vec<_> = lengths.iter().map(|len| (memory.reserve(*len), *len)).collect();
                args.extend([memory.put_list(&list).into(), list.len() as i64]);
                results.push((arg, list));
            }
            Arg::Buffer(len) => {
                let at = memory.reserve(*len);
                args.extend([at.into(), i64::from(*len)]);
                results.push((arg, vec![(at, *len)]));
            }
            Arg::Area(len) => {
                let at = memory.reserve(*len);
                args.push(at.into());
                results.push((arg, vec![(at, *len)]));
            }
            Arg::Out(Out::OutOfBounds) => args.push(MEMORY.into()),
            Arg::Out(Out::Misaligned) => args.push(i64::from(memory.reserve(128) + 1)),
            Arg::Out(_) => {
                let at = memory.reserve(64);
                args.push(at.into());
                results.push((arg, vec![(at, 64)]));
            }
            Arg::Clocks(clocks) => {
                let bytes: Vec<u8> = clocks
                    .iter()
                    .enumerate()
                    .flat_map(|(n, clock)| {
                        let mut subscription = [0; 48];
                        subscription[..8].copy_from_slice(&(n as u64).to_le_bytes());
                        subscription[16..20].copy_from_slice(&clock.id.to_le_bytes());
                        subscription[24..32].copy_from_slice(&clock.timeout.to_le_bytes());
                        subscription[40..42].copy_from_slice(&clock.flags.to_le_bytes());
                        subscription
                    })
                    .collect();
                let subscriptions = memory.put(&bytes);
                let len = 32 * clocks.len() as u32;
                let events = memory.reserve(len);
                args.extend([subscriptions.into(), events.into(), clocks.len() as i64]);
                results.push((arg, vec![(events, len)]));
            }
            Arg::Ready { fd, write } => {
                let mut subscription = [0; 48];
                subscription[8] = if *write { 2 } else { 1 };
                subscription[16..20].copy_from_slice(&number(*fd).to_le_bytes());
                let subscription = memory.put(&subscription);
                let events = memory.reserve(32);
                args.extend([subscription.into(), events.into(), 1]);
                results.push((arg, vec![(events, 32)]));
            }
        }
    }
    engine.write(FIRST, &memory.bytes);
    match engine.call(call.function, &args) {
        Ending::Returned(0) => {}
        Ending::Returned(errno) => return Outcome::Errno(errno),
        Ending::Trapped => return Outcome::Trap,
        Ending::Exited(code) => return Outcome::Exit(code),
    }
    let read_u32 = |engine: &mut dyn Engine, at: u32| {
        u32::from_le_bytes(engine.read(at, 4).try_into().expect("four bytes"))
    };
    // The number of bytes that were transferred, for functions that return it.
    let moved = results.iter().find_map(|(arg, list)| match arg {
        Arg::Out(Out::U32) => Some(read_u32(engine, list[0].0)),
        _ => None,
    });
    let value = |(arg, list): (&Arg, Vec<(u32, u32)>)| match arg {
        Arg::Out(out) => decode(*out, &engine.read(list[0].0, 64)),
        _ if call.function == "random_get" => None,
        _ => {
            let whole: Vec<u8> = list.iter().flat_map(|(at, len)| engine.read(*at, *len)).collect();
            if call.function == "poll_oneoff" {
                let mut events: Vec<_> = whole
                    .chunks_exact(32)
                    .take(moved.unwrap_or(0) as usize)
                    .map(event)
                    .collect();
                events.sort_unstable();
                return Some(Value::Events(events));
            }
            let len = moved.map_or(whole.len(), |moved| (moved as usize).min(whole.len()));
            if call.function == "fd_readdir" {
                return Some(Value::Page(page(
                    &whole[..len],
                    len == whole.len(),
                    call.number(2),
                )));
            }
            Some(Value::Bytes(whole[..len].to_vec()))
        }
    };
    let mut values: Vec<Value> = results.into_iter().filter_map(value).collect();
    if call.function == "fd_readdir" {
        // The number of bytes depends on the order of the entries, which is not defined; `Page::is_full` says enough.
        values.retain(|value| !matches!(value, Value::Number(_)));
    }
    Outcome::Success(values)
}

fn decode(out: Out, bytes: &[u8]) -> Option<Value> {
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    Some(match out {
        Out::Fd => Value::Fd(u32_at(0)),
        Out::U32 => Value::Number(u32_at(0).into()),
        Out::U64 => Value::Number(u64_at(0)),
        Out::Prestat => Value::Bytes(vec![bytes[0], bytes[4], bytes[5], bytes[6], bytes[7]]),
        Out::Fdstat => Value::Fdstat {
            filetype: bytes[0],
            flags: u16::from_le_bytes([bytes[2], bytes[3]]),
            base: u64_at(8),
            inheriting: u64_at(16),
        },
        Out::Filestat => Value::Filestat {
            filetype: bytes[16],
            nlink: u64_at(24),
            size: (bytes[16] != 3).then(|| u64_at(32)),
            atim: explicit(u64_at(40)),
            mtim: explicit(u64_at(48)),
        },
        Out::Time | Out::OutOfBounds | Out::Misaligned => return None,
    })
}

/// Returns a time that a call set: the generator chooses times that are far from now.
pub(crate) fn explicit(time: u64) -> Option<u64> {
    let near_now = 1_000_000_000_000_000_000..3_000_000_000_000_000_000;
    (!near_now.contains(&time)).then_some(time)
}

fn entries(bytes: &[u8]) -> Vec<(u64, String, u8)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_at_checked(24) {
        let len = u32::from_le_bytes(header[16..20].try_into().expect("four bytes")) as usize;
        let Some((name, after)) = after.split_at_checked(len) else {
            break;
        };
        let next = u64::from_le_bytes(header[..8].try_into().expect("eight bytes"));
        found.push((next, String::from_utf8_lossy(name).into_owned(), header[20]));
        rest = after;
    }
    found
}

fn page(bytes: &[u8], is_full: bool, cookie: u64) -> Page {
    let entries = entries(bytes);
    let cookies = entries.iter().map(|(next, ..)| *next).collect();
    let all = (!is_full && cookie == 0).then(|| sorted(entries));
    Page {
        cookies,
        all,
        is_full,
    }
}

fn sorted(entries: Vec<(u64, String, u8)>) -> Vec<(String, u8)> {
    let mut names: Vec<_> = entries.into_iter().map(|(_, name, ty)| (name, ty)).collect();
    names.sort();
    names
}

/// Reads a directory page by page, with the buffer of the call.
fn list(engine: &mut dyn Engine, call: &Call, number: &dyn Fn(u32) -> u32) -> Outcome {
    let fd = number(call.fds().next().expect("a descriptor"));
    let len = call.number(1) as u32;
    let mut found = Vec::new();
    let mut cookie = 0_u64;
    loop {
        let out = FIRST + len.next_multiple_of(ALIGNMENT);
        let args = [fd.into(), FIRST.into(), len.into(), cookie as i64, out.into()];
        match engine.call("fd_readdir", &args) {
            Ending::Returned(0) => {}
            Ending::Returned(errno) => return Outcome::Errno(errno),
            Ending::Trapped => return Outcome::Trap,
            Ending::Exited(code) => return Outcome::Exit(code),
        }
        let used = u32::from_le_bytes(engine.read(out, 4).try_into().expect("four bytes"));
        let page = entries(&engine.read(FIRST, used.min(len)));
        let is_last = used < len;
        // A page without a complete entry would repeat forever.
        let Some((next, ..)) = page.last() else {
            return Outcome::Success(vec![Value::Names(sorted(found))]);
        };
        cookie = *next;
        found.extend(page);
        if is_last {
            return Outcome::Success(vec![Value::Names(sorted(found))]);
        }
    }
}

/// The arguments in memory.
#[derive(Default)]
struct Layout {
    bytes: Vec<u8>,
}

impl Layout {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = FIRST + self.bytes.len() as u32;
        self.bytes.extend(bytes);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        at
    }

    fn reserve(&mut self, len: u32) -> u32 {
        self.put(&vec![0; len as usize])
    }

    fn put_list(&mut self, list: &[(u32, u32)]) -> u32 {
        let bytes: Vec<u8> = list
            .iter()
            .flat_map(|(ptr, len)| [ptr.to_le_bytes(), len.to_le_bytes()].concat())
            .collect();
        self.put(&bytes)
    }
}
