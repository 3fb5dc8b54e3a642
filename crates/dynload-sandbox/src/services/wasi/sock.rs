//! `sock_*`: the WASI preview 1 operations on existing sockets. The `dynload` imports create them.

use super::{Errno, flags, io::or_wait, rights};
use crate::{
    host::Caller,
    services::{
        answer::{Answer, Fail},
        descriptor::{Descriptor, Kind, Use},
        guest::{Buffers, write_u32},
        network, readiness, require,
    },
};
use cap_std::net::{Shutdown, SocketAddr};
use dynload_caps::Capabilities;
use rustix::event::PollFlags;
use std::{
    io::{self, Read, Write},
    time::Duration,
    vec,
    vec::Vec,
};

/// Bytes that are moved between two checks of the deadline.
const CHUNK: u32 = 1 << 18;

/// The maximum size of a datagram.
const MAX_DATAGRAM: usize = 1 << 16;

/// `riflags`: leave the bytes in the receive queue.
const PEEK: u32 = 1;
/// `riflags`: return only when all buffers are full.
const WAITALL: u32 = 2;
/// `roflags`: a datagram was longer than the buffers.
const TRUNCATED: u16 = 1;

/// Checks that the descriptor is a socket and allows this use, and returns its kind and whether its operations block.
fn socket(caller: &mut Caller<'_>, fd: u32, intent: Use, right: u64) -> Answer<(Socket, bool)> {
    require(caller, Capabilities::NETWORK)?;
    let granted = caller.capabilities();
    let descriptor = caller.state().services.table().get(fd)?;
    let socket = match descriptor.kind {
        Kind::Stream(_) => Socket::Stream,
        Kind::Listener(_) => Socket::Listener,
        Kind::Datagram(_) => Socket::Datagram,
        _ => return Err(Errno::Notsock.into()),
    };
    descriptor.check(granted, intent, right)?;
    Ok((socket, !descriptor.is_nonblocking()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Socket {
    Stream,
    Listener,
    Datagram,
}

/// Waits a slice until a socket is ready.
fn pause(fd: u32, events: PollFlags) -> impl FnMut(&mut Caller<'_>, Duration) -> Answer {
    move |caller, slice| {
        match &caller.state().services.table().get(fd)?.kind {
            Kind::Stream(socket) => readiness::is_ready(socket, events, slice)?,
            Kind::Listener(socket) => readiness::is_ready(socket, events, slice)?,
            Kind::Datagram(datagram) => readiness::is_ready(&datagram.socket, events, slice)?,
            _ => return Err(Errno::Notsock.into()),
        };
        Ok(())
    }
}

pub(super) fn accept(caller: &mut Caller<'_>, fd: u32, flags: u32, out: u32) -> Answer {
    let flags = flags::fdflags(flags)? & flags::NONBLOCK;
    // Only a listener can have SOCK_ACCEPT, so the kind is checked before the right.
    let (kind, waits) = socket(caller, fd, Use::Read, 0)?;
    if kind != Socket::Listener {
        return Err(Errno::Inval.into());
    }
    socket(caller, fd, Use::Read, rights::SOCK_ACCEPT)?;
    caller.state().services.table().room()?;
    caller.memory_or_empty().slice(out, 4)?;
    let step = |caller: &mut Caller<'_>| {
        let Kind::Listener(listener) = &caller.state().services.table().get(fd)?.kind else {
            return Err(Errno::Inval.into());
        };
        match network::accept(listener) {
            Ok(stream) => Ok(Some(stream)),
            Err(error) => or_wait(Err(error), waits).map(|_| None),
        }
    };
    let stream = readiness::retry(caller, Capabilities::NETWORK, step, pause(fd, PollFlags::IN))?;
    let mut descriptor = Descriptor::socket(Kind::Stream(stream));
    descriptor.flags = flags;
    let accepted = caller.state().services.table().add(descriptor)?;
    write_u32(caller, out, accepted)
}

pub(super) fn recv(
    caller: &mut Caller<'_>,
    fd: u32,
    buffers: u32,
    count: u32,
    flags: u32,
    size_out: u32,
    flags_out: u32,
) -> Answer {
    let flags = flags::known(flags, PEEK | WAITALL)?;
    socket(caller, fd, Use::Read, rights::FD_READ)?;
    let buffers = Buffers::new(caller, buffers, count)?;
    let (done, truncated) = receive(caller, fd, &buffers, flags)?;
    write_u32(caller, size_out, done)?;
    Ok(caller
        .memory_or_empty()
        .write(flags_out, &truncated.to_le_bytes())?)
}

pub(super) fn send(
    caller: &mut Caller<'_>,
    fd: u32,
    buffers: u32,
    count: u32,
    flags: u32,
    out: u32,
) -> Answer {
    flags::known(flags, 0)?;
    socket(caller, fd, Use::Write, rights::FD_WRITE)?;
    let buffers = Buffers::new(caller, buffers, count)?;
    let done = transmit(caller, fd, &buffers)?;
    write_u32(caller, out, done)
}

pub(super) fn shutdown(caller: &mut Caller<'_>, fd: u32, how: u32) -> Answer {
    let how = match how {
        1 => Shutdown::Read,
        2 => Shutdown::Write,
        3 => Shutdown::Both,
        _ => return Err(Errno::Inval.into()),
    };
    let (kind, _) = socket(caller, fd, Use::Look, 0)?;
    if kind != Socket::Stream {
        return Err(Errno::Notconn.into());
    }
    socket(caller, fd, Use::Look, rights::SOCK_SHUTDOWN)?;
    match &caller.state().services.table().get(fd)?.kind {
        Kind::Stream(stream) => Ok(stream.shutdown(how)?),
        _ => Err(Errno::Notconn.into()),
    }
}

/// Receives into the buffers, and returns the number of bytes and the `roflags`.
pub(super) fn receive(caller: &mut Caller<'_>, fd: u32, buffers: &Buffers, flags: u32) -> Answer<(u32, u16)> {
    match socket(caller, fd, Use::Read, 0)? {
        (Socket::Listener, _) => Err(Errno::Notconn.into()),
        (Socket::Stream, waits) => Ok((receive_stream(caller, fd, buffers, flags, waits)?, 0)),
        (Socket::Datagram, waits) => receive_datagram(caller, fd, buffers, flags, waits),
    }
}

fn receive_stream(
    caller: &mut Caller<'_>,
    fd: u32,
    buffers: &Buffers,
    flags: u32,
    waits: bool,
) -> Answer<u32> {
    let peeks = flags & PEEK != 0;
    let mut done: u32 = 0;
    for (ptr, len) in buffers.pieces(CHUNK) {
        let mut filled = 0;
        while filled < len {
            if done.checked_add(len).is_none() {
                return Ok(done);
            }
            // Once bytes have been received, only WAITALL waits for more.
            let waits = waits && (done == 0 || flags & WAITALL != 0);
            let step = |caller: &mut Caller<'_>| {
                let (mut memory, state) = caller.memory_and_state();
                let Kind::Stream(stream) = &mut state.services.table().get_mut(fd)?.kind else {
                    return Err(Errno::Notsock.into());
                };
                let buffer = memory.slice_mut(ptr + filled, len - filled)?;
                or_wait(
                    if peeks {
                        stream.peek(buffer)
                    } else {
                        stream.read(buffer)
                    },
                    waits,
                )
            };
            let moved = match readiness::retry(caller, Capabilities::NETWORK, step, pause(fd, PollFlags::IN))
            {
                Ok(moved) => moved,
                Err(Fail::Errno(_)) if done > 0 => return Ok(done),
                Err(fail) => return Err(fail),
            };
            caller.charge_bytes(moved.into())?;
            done += moved;
            filled += moved;
            if moved == 0 || peeks || (filled < len && flags & WAITALL == 0) {
                return Ok(done);
            }
        }
    }
    Ok(done)
}

/// Returns whether a datagram from `sender` comes from `peer`. Other parts of an address, such as the interface, are
/// ignored, because the guest did not specify them.
fn is_same(peer: SocketAddr, sender: SocketAddr) -> bool {
    peer.ip().to_canonical() == sender.ip().to_canonical() && peer.port() == sender.port()
}

/// Returns whether it is the error of an earlier datagram that no one received.
fn is_refusal(error: &io::Error) -> bool {
    // WSAENETRESET, WSAECONNRESET
    cfg!(windows) && matches!(error.raw_os_error(), Some(10052 | 10054))
}

fn receive_datagram(
    caller: &mut Caller<'_>,
    fd: u32,
    buffers: &Buffers,
    flags: u32,
    waits: bool,
) -> Answer<(u32, u16)> {
    caller.charge_bytes(MAX_DATAGRAM as u64)?;
    let mut bytes = vec![0; MAX_DATAGRAM];
    let step = |caller: &mut Caller<'_>| {
        let Kind::Datagram(datagram) = &mut caller.state().services.table().get_mut(fd)?.kind else {
            return Err(Errno::Notsock.into());
        };
        loop {
            let received = match flags & PEEK {
                0 => datagram.socket.recv_from(&mut bytes),
                _ => datagram.socket.peek_from(&mut bytes),
            };
            let (len, sender) = match received {
                Ok(received) => received,
                // Windows reports here that no one received an earlier datagram, which says nothing about this one.
                Err(error) if is_refusal(&error) && !datagram.is_connected => continue,
                Err(error) => return or_wait(Err(error), waits),
            };
            if !datagram.is_connected {
                datagram.peer = Some(sender);
            } else if datagram.peer.is_none_or(|peer| !is_same(peer, sender)) {
                // It arrived before the socket was connected, from another sender. The system admits no more of
                // these.
                if flags & PEEK != 0 {
                    let _ = datagram.socket.recv_from(&mut bytes);
                }
                continue;
            }
            return or_wait(Ok(len), waits);
        }
    };
    let received = readiness::retry(caller, Capabilities::NETWORK, step, pause(fd, PollFlags::IN))?;
    let mut memory = caller.memory_or_empty();
    let mut rest = &bytes[..received as usize];
    let mut done = 0;
    for (ptr, len) in buffers.pieces(CHUNK) {
        let (now, later) = rest.split_at(rest.len().min(len as usize));
        memory.write(ptr, now)?;
        done += now.len() as u32;
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    Ok((done, if rest.is_empty() { 0 } else { TRUNCATED }))
}

/// Sends the buffers; all of them if the descriptor is blocking.
pub(super) fn transmit(caller: &mut Caller<'_>, fd: u32, buffers: &Buffers) -> Answer<u32> {
    match socket(caller, fd, Use::Write, 0)? {
        (Socket::Listener, _) => Err(Errno::Notconn.into()),
        (Socket::Stream, waits) => transmit_stream(caller, fd, buffers, waits),
        (Socket::Datagram, waits) => transmit_datagram(caller, fd, buffers, waits),
    }
}

fn transmit_stream(caller: &mut Caller<'_>, fd: u32, buffers: &Buffers, waits: bool) -> Answer<u32> {
    let mut done: u32 = 0;
    for (ptr, len) in buffers.pieces(CHUNK) {
        if done.checked_add(len).is_none() {
            break;
        }
        caller.charge_bytes(len.into())?;
        let mut sent = 0;
        while sent < len {
            let step = |caller: &mut Caller<'_>| {
                let (memory, state) = caller.memory_and_state();
                let Kind::Stream(stream) = &mut state.services.table().get_mut(fd)?.kind else {
                    return Err(Errno::Notsock.into());
                };
                or_wait(stream.write(memory.slice(ptr + sent, len - sent)?), waits)
            };
            match readiness::retry(caller, Capabilities::NETWORK, step, pause(fd, PollFlags::OUT)) {
                Ok(moved) => {
                    sent += moved;
                    done += moved;
                }
                Err(Fail::Errno(_)) if done > 0 => return Ok(done),
                Err(fail) => return Err(fail),
            }
        }
    }
    Ok(done)
}

fn transmit_datagram(caller: &mut Caller<'_>, fd: u32, buffers: &Buffers, waits: bool) -> Answer<u32> {
    if buffers.total > MAX_DATAGRAM as u64 {
        return Err(Errno::Msgsize.into());
    }
    caller.charge_bytes(buffers.total)?;
    let mut bytes = Vec::with_capacity(buffers.total as usize);
    let memory = caller.memory_or_empty();
    for (ptr, len) in buffers.pieces(CHUNK) {
        bytes.extend_from_slice(memory.slice(ptr, len)?);
    }
    let step = |caller: &mut Caller<'_>| {
        let state = caller.state();
        let Kind::Datagram(datagram) = &state.services.open().table.get(fd)?.kind else {
            return Err(Errno::Notsock.into());
        };
        if datagram.is_connected {
            return or_wait(datagram.socket.send(&bytes), waits);
        }
        let peer = datagram.peer.ok_or(Errno::Destaddrreq)?;
        let pool = network::peer(&state.config.scopes, None, peer)?;
        or_wait(
            pool.send_to_udp_socket_addr(&datagram.socket, &bytes, peer),
            waits,
        )
    };
    readiness::retry(caller, Capabilities::NETWORK, step, pause(fd, PollFlags::OUT))
}
