//! `poll_oneoff`: waits for clocks, the console, files and sockets.

use super::{Errno, Filetype, clock::ClockId, rights};
use crate::{
    call::state::State,
    host::{Caller, GuestMemory},
    services::{
        answer::Answer,
        descriptor::{Kind, OpenFile, Use},
        guest::{offset, write_u32},
        readiness::{self, Ready},
        system::{console::Streams, files},
    },
};
use dynload_caps::Capabilities;
use rustix::{
    event::{PollFd, PollFlags},
    fd::AsFd,
};
use std::{io::Seek, time::Duration, vec::Vec};

/// The maximum number of subscriptions of one call.
const MAX_SUBSCRIPTIONS: u32 = 1024;

/// Bytes of a subscription and of an event in the guest's memory.
const SUBSCRIPTION: u64 = 48;
const EVENT: u64 = 32;

/// `subscription_clock_flags`: the timeout is an absolute time of the clock, not relative to now.
const ABSTIME: u16 = 1;

#[derive(Debug, Clone, Copy)]
struct Subscription {
    userdata: u64,
    on: On,
}

#[derive(Debug, Clone, Copy)]
enum On {
    /// Until the host's monotonic clock reaches this time.
    Clock(Result<Duration, Errno>),
    Descriptor {
        fd: u32,
        intent: Use,
    },
}

impl On {
    /// `eventtype`.
    fn tag(self) -> u8 {
        match self {
            On::Clock(_) => 0,
            On::Descriptor {
                intent: Use::Write, ..
            } => 2,
            On::Descriptor { .. } => 1,
        }
    }
}

/// The outcome of a subscription.
#[derive(Debug, Clone, Copy)]
struct Event {
    subscription: Subscription,
    error: Errno,
    bytes: u64,
    hung_up: bool,
}

impl Event {
    fn encode(&self) -> [u8; EVENT as usize] {
        let mut event = [0; EVENT as usize];
        event[..8].copy_from_slice(&self.subscription.userdata.to_le_bytes());
        event[8..10].copy_from_slice(&(self.error as u16).to_le_bytes());
        event[10] = self.subscription.on.tag();
        event[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        event[24] = self.hung_up.into();
        event
    }
}

pub(super) fn oneoff(
    caller: &mut Caller<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    out: u32,
) -> Answer {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::Inval.into());
    }
    caller.charge(count.into())?;
    let memory = caller.memory_or_empty();
    memory.slice(events, count * EVENT as u32)?;
    memory.slice(out, 4)?;
    let wall = ClockId::Realtime.now(caller);
    let monotonic = caller.monotonic();
    let memory = caller.memory_or_empty();
    let mut all = Vec::with_capacity(count as usize);
    for n in 0..count {
        let at = offset(subscriptions, u64::from(n) * SUBSCRIPTION)?;
        all.push(decode(&memory, at, wall, monotonic)?);
    }
    let happened = wait(caller, &all)?;
    for (n, event) in happened.iter().enumerate() {
        let at = offset(events, n as u64 * EVENT)?;
        caller.memory_or_empty().write(at, &event.encode())?;
    }
    write_u32(caller, out, happened.len() as u32)
}

fn decode(
    memory: &GuestMemory<'_>,
    at: u32,
    wall: Result<Duration, Errno>,
    monotonic: Duration,
) -> Answer<Subscription> {
    let bytes: [u8; SUBSCRIPTION as usize] = memory.read(at)?;
    let u64_at = |at: usize| u64::from_le_bytes(core::array::from_fn(|n| bytes[at + n]));
    let u32_at = |at: usize| u32::from_le_bytes(core::array::from_fn(|n| bytes[at + n]));
    let on = match bytes[8] {
        0 => {
            let flags = u16::from_le_bytes([bytes[40], bytes[41]]);
            let timeout = Duration::from_nanos(u64_at(24));
            let left = match (ClockId::new(u32_at(16)), flags) {
                (_, flags) if flags & !ABSTIME != 0 => return Err(Errno::Inval.into()),
                (Err(errno), _) => Err(errno),
                (Ok(_), 0) => Ok(timeout),
                (Ok(ClockId::Monotonic), _) => Ok(timeout.saturating_sub(monotonic)),
                (Ok(ClockId::Realtime), _) => wall.map(|now| timeout.saturating_sub(now)),
            };
            On::Clock(left.map(|left| monotonic.saturating_add(left)))
        }
        1 => On::Descriptor {
            fd: u32_at(16),
            intent: Use::Read,
        },
        2 => On::Descriptor {
            fd: u32_at(16),
            intent: Use::Write,
        },
        _ => return Err(Errno::Inval.into()),
    };
    Ok(Subscription {
        userdata: u64_at(0),
        on,
    })
}

/// Waits until there is an event.
fn wait(caller: &mut Caller<'_>, all: &[Subscription]) -> Answer<Vec<Event>> {
    loop {
        caller.check()?;
        readiness::lend(caller);
        let granted = caller.capabilities();
        let now = caller.monotonic();
        let remaining = caller.remaining();
        let (happened, slept) = look(caller.state(), granted, all, now, remaining)?;
        if !happened.is_empty() {
            // If every subscription is denied, the call itself is denied.
            let denied = happened
                .iter()
                .filter(|event| event.error == Errno::Notcapable)
                .count();
            return if denied == all.len() {
                Err(Errno::Notcapable.into())
            } else {
                Ok(happened)
            };
        }
        if let Some(pause) = slept {
            caller.state().config.clock.clone().sleep(pause);
        }
    }
}

/// Checks all subscriptions once. If host descriptors are among them, this itself waits up to a slice; otherwise it
/// returns how long to sleep.
fn look(
    state: &State,
    granted: Capabilities,
    all: &[Subscription],
    now: Duration,
    remaining: Duration,
) -> Answer<(Vec<Event>, Option<Duration>)> {
    let mut happened = Vec::new();
    let mut pause = readiness::SLICE.min(remaining);
    let streams = Streams::new();
    let mut polled = Vec::new();
    let mut fds = Vec::new();
    for subscription in all {
        let mut event = |error, bytes| {
            happened.push(Event {
                subscription: *subscription,
                error,
                bytes,
                hung_up: false,
            });
        };
        match subscription.on {
            On::Clock(_) if !granted.has(Capabilities::TIME) => event(Errno::Notcapable, 0),
            On::Clock(Err(errno)) => event(errno, 0),
            On::Clock(Ok(due)) if due <= now => event(Errno::Success, 0),
            On::Clock(Ok(due)) => pause = pause.min(due - now),
            On::Descriptor { fd, intent } => match ready(state, granted, fd, intent, &streams) {
                Ok(Ready::Now(bytes)) => event(Errno::Success, bytes),
                Ok(Ready::Later) => {}
                Ok(Ready::Ask(fd)) => {
                    let flags = if intent == Use::Write {
                        PollFlags::OUT
                    } else {
                        PollFlags::IN
                    };
                    fds.push(PollFd::from_borrowed_fd(fd, flags));
                    polled.push((*subscription, fd));
                }
                Err(errno) => event(errno, 0),
            },
        }
    }
    if fds.is_empty() {
        return Ok((happened, Some(pause)));
    }
    if !happened.is_empty() {
        pause = Duration::ZERO;
    }
    readiness::wait(&mut fds, pause)?;
    for (fd, (subscription, borrowed)) in fds.iter().zip(polled) {
        let seen = fd.revents();
        if seen.is_empty() {
            continue;
        }
        let bytes = match subscription.on.tag() {
            1 => rustix::io::ioctl_fionread(borrowed).unwrap_or(0),
            _ => 1,
        };
        let hung_up = seen.intersects(PollFlags::HUP | PollFlags::ERR);
        happened.push(Event {
            subscription,
            error: Errno::Success,
            bytes,
            hung_up,
        });
    }
    Ok((happened, None))
}

fn ready<'a>(
    state: &'a State,
    granted: Capabilities,
    fd: u32,
    intent: Use,
    streams: &'a Streams,
) -> Result<Ready<'a>, Errno> {
    let descriptor = state.services.open().table.get(fd)?;
    descriptor.check(granted, intent, rights::POLL_FD_READWRITE)?;
    let data = if intent == Use::Write {
        rights::FD_WRITE
    } else {
        rights::FD_READ
    };
    Ok(match (&descriptor.kind, intent) {
        (Kind::Input, Use::Write) | (Kind::Output(_), Use::Read) | (Kind::Dir(_), _) => {
            return Err(Errno::Badf);
        }
        // Of a listener, a connection is awaited, not data.
        (kind, _) if descriptor.base & data == 0 && !matches!(kind, Kind::Listener(_)) => {
            return Err(Errno::Notcapable);
        }
        (Kind::Input, _) if state.config.console.inherits_input() => streams.input(),
        (Kind::Input, _) => Ready::Now(state.console.unread(&state.config.console) as u64),
        (Kind::Output(stream), _) if state.config.console.inherits_output() => streams.output(*stream),
        (Kind::Output(_), _) => Ready::Now(1),
        (
            Kind::File(OpenFile {
                file,
                filetype: Filetype::RegularFile,
                ..
            }),
            Use::Read,
        ) => {
            let size = file.metadata().map_or(0, |metadata| metadata.len());
            let mut file = file;
            Ready::Now(size.saturating_sub(file.stream_position().unwrap_or(0)))
        }
        (
            Kind::File(OpenFile {
                filetype: Filetype::RegularFile,
                ..
            }),
            _,
        ) => Ready::Now(1),
        (Kind::File(OpenFile { file, .. }), _) => files::ready(file),
        (Kind::Stream(socket), _) => Ready::Ask(socket.as_fd()),
        (Kind::Listener(socket), _) => Ready::Ask(socket.as_fd()),
        (Kind::Datagram(datagram), _) => Ready::Ask(datagram.socket.as_fd()),
    })
}
