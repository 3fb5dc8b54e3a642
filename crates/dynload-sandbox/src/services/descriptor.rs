//! What a guest's file descriptors stand for, and the one check that each use of them goes through.

use super::{
    open_files::Held,
    wasi::{Errno, Filetype, Listing, flags, rights},
};
use crate::host::Stream;
use cap_std::{
    fs::{Dir, File},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
};
use dynload_caps::{Access, Capabilities};
use std::{string::String, vec::Vec};

/// Descriptors that one instance may have open. Those of all instances are [counted](super::open_files) as well.
pub(super) const MAX_DESCRIPTORS: usize = 256;

/// Descriptors 0 to 2.
const CONSOLES: usize = 3;

/// What a call is about to do with a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Ask about it, or let go of it: needs any capability that could have to do with it.
    Look,
    /// Get something out of it.
    Read,
    /// Put something in, or change it.
    Write,
}

#[derive(Debug)]
pub(super) enum Kind {
    Input,
    Output(Stream),
    File(OpenFile),
    Dir(OpenDir),
    Stream(TcpStream),
    Listener(TcpListener),
    Datagram(Datagram),
}

/// A file, a device, a named pipe.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) filetype: Filetype,
    pub(super) access: Access,
}

#[derive(Debug)]
pub(super) struct OpenDir {
    pub(super) dir: Dir,
    pub(super) access: Access,
    /// The guest's name of a directory that the scopes give.
    pub(super) preopen: Option<String>,
    /// Where reading its entries stands.
    pub(super) listing: Option<Listing>,
}

/// A socket for datagrams.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) socket: UdpSocket,
    /// Where it sends to: one peer, or whoever sent the datagram that was received last.
    pub(super) peer: Option<SocketAddr>,
    pub(super) is_connected: bool,
}

/// An open descriptor.
#[derive(Debug)]
pub(super) struct Descriptor {
    pub(super) kind: Kind,
    /// `fs_rights_base`.
    pub(super) base: u64,
    /// `fs_rights_inheriting`.
    pub(super) inheriting: u64,
    /// `fs_flags`.
    pub(super) flags: u16,
}

impl Descriptor {
    pub(super) fn socket(kind: Kind) -> Descriptor {
        let base = if matches!(kind, Kind::Listener(_)) {
            rights::LISTENER
        } else {
            rights::SOCKET
        };
        Descriptor {
            kind,
            base,
            inheriting: rights::SOCKET,
            flags: 0,
        }
    }

    fn console(kind: Kind, base: u64) -> Descriptor {
        Descriptor {
            kind,
            base,
            inheriting: 0,
            flags: 0,
        }
    }

    pub(super) fn preopened(dir: Dir, guest: &str, access: Access) -> Descriptor {
        let base = match access {
            Access::ReadWrite => rights::DIRECTORY,
            Access::ReadOnly => rights::DIRECTORY & !rights::CHANGES,
        };
        let kind = Kind::Dir(OpenDir {
            dir,
            access,
            preopen: Some(guest.into()),
            listing: None,
        });
        // Libraries quietly leave out rights that cannot be inherited, and then open for reading what they wanted to
        // write. So all of them are on offer, and `path_open` says no.
        Descriptor {
            kind,
            base,
            inheriting: rights::ALL,
            flags: 0,
        }
    }

    /// The one place that decides whether a descriptor may be used, asked at every call.
    ///
    /// Writing to files needs FS_WRITE *and* a directory that was given read-write.
    pub(super) fn check(&self, granted: Capabilities, intent: Use, right: u64) -> Result<(), Errno> {
        let is_granted = match (&self.kind, intent) {
            (Kind::Input | Kind::Output(_), _) => granted.has(Capabilities::CONSOLE),
            (Kind::Stream(_) | Kind::Listener(_) | Kind::Datagram(_), _) => {
                granted.has(Capabilities::NETWORK)
            }
            (Kind::File(_) | Kind::Dir(_), Use::Look) => {
                granted.intersects(Capabilities::FS_READ.union(Capabilities::FS_WRITE))
            }
            (Kind::File(_) | Kind::Dir(_), Use::Read) => granted.has(Capabilities::FS_READ),
            (Kind::File(OpenFile { access, .. }) | Kind::Dir(OpenDir { access, .. }), Use::Write) => {
                granted.has(Capabilities::FS_WRITE) && *access == Access::ReadWrite
            }
        };
        if is_granted && self.base & right == right {
            Ok(())
        } else {
            Err(Errno::Notcapable)
        }
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.flags & flags::NONBLOCK != 0
    }

    pub(super) fn filetype(&self) -> Filetype {
        match &self.kind {
            // Whether it is a terminal, the function that is asked finds out.
            Kind::Input | Kind::Output(_) => Filetype::Unknown,
            Kind::File(file) => file.filetype,
            Kind::Dir(_) => Filetype::Directory,
            Kind::Stream(_) | Kind::Listener(_) => Filetype::SocketStream,
            Kind::Datagram(_) => Filetype::SocketDgram,
        }
    }
}

/// The descriptors of one instance.
#[derive(Debug)]
pub(super) struct Table(Vec<Option<Slot>>);

/// A descriptor with the host's that it takes; the console takes none.
#[derive(Debug)]
struct Slot {
    descriptor: Descriptor,
    _held: Option<Held>,
}

impl Table {
    /// A table with the console at 0 to 2.
    pub(super) fn new() -> Table {
        let consoles = [
            (Kind::Input, rights::INPUT),
            (Kind::Output(Stream::Out), rights::OUTPUT),
            (Kind::Output(Stream::Err), rights::OUTPUT),
        ];
        let slot = |(kind, base)| {
            let descriptor = Descriptor::console(kind, base);
            Some(Slot {
                descriptor,
                _held: None,
            })
        };
        Table(consoles.map(slot).into())
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        let slot = self.0.get(fd as usize).and_then(Option::as_ref);
        slot.map(|slot| &slot.descriptor).ok_or(Errno::Badf)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        let slot = self.0.get_mut(fd as usize).and_then(Option::as_mut);
        slot.map(|slot| &mut slot.descriptor).ok_or(Errno::Badf)
    }

    /// Whether there is room for another descriptor: ask before what cannot be undone.
    pub(super) fn room(&self) -> Result<(), Errno> {
        let is_full = self.0.len() >= MAX_DESCRIPTORS && self.free().is_none();
        if is_full { Err(Errno::Mfile) } else { Ok(()) }
    }

    /// The lowest free number. Those of the console are never given to anything else: a program that closed its output
    /// goes on to write to it.
    fn free(&self) -> Option<usize> {
        (CONSOLES..self.0.len()).find(|fd| self.0[*fd].is_none())
    }

    /// Adds a descriptor at the lowest free number.
    pub(super) fn add(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let held = Some(Held::take()?);
        let fd = match self.free() {
            Some(fd) => fd,
            None if self.0.len() < MAX_DESCRIPTORS => {
                self.0.push(None);
                self.0.len() - 1
            }
            None => return Err(Errno::Mfile),
        };
        self.0[fd] = Some(Slot {
            descriptor,
            _held: held,
        });
        Ok(fd as u32)
    }

    pub(super) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.take(fd).map(|slot| slot.descriptor)
    }

    fn take(&mut self, fd: u32) -> Result<Slot, Errno> {
        self.0
            .get_mut(fd as usize)
            .and_then(Option::take)
            .ok_or(Errno::Badf)
    }

    /// Puts `from` in the place of `to`, which is closed. Both must be open.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(to)?;
        let slot = self.take(from)?;
        self.0[to as usize] = Some(slot);
        Ok(())
    }
}
