//! The file descriptors of a guest, and the one check that every use of them passes through.

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

/// Descriptors that one instance may have open. Those of all instances together are [limited](super::open_files) too.
pub(super) const MAX_DESCRIPTORS: usize = 256;

/// Descriptors 0 to 2.
const CONSOLES: usize = 3;

/// The intended use of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Query it or close it: requires any capability that applies to its kind.
    Look,
    /// Read from it.
    Read,
    /// Write to it, or change it.
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

/// A file, a device or a named pipe.
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
    /// The guest's name of the directory, if it is a preopen.
    pub(super) preopen: Option<String>,
    /// The state of a running `fd_readdir`.
    pub(super) listing: Option<Listing>,
}

/// A datagram socket.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) socket: UdpSocket,
    /// The address that it sends to: its one peer, or the sender of the last received datagram.
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
        // Libraries silently omit rights that cannot be inherited, and then open a file for reading although the
        // program requested writing. So all rights can be inherited, and `path_open` refuses.
        Descriptor {
            kind,
            base,
            inheriting: rights::ALL,
            flags: 0,
        }
    }

    /// Checks whether a descriptor may be used. The only such check, made on every call.
    ///
    /// Writing to files requires FS_WRITE *and* a directory that was granted read-write.
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
            // `fd_fdstat_get` determines whether it is a terminal.
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

/// A descriptor with the host descriptor that it occupies; the console occupies none.
#[derive(Debug)]
struct Slot {
    descriptor: Descriptor,
    _held: Option<Held>,
}

impl Table {
    /// Returns a table with the console at 0 to 2.
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

    /// Checks that there is room for another descriptor. Call this before an operation that cannot be undone.
    pub(super) fn room(&self) -> Result<(), Errno> {
        let is_full = self.0.len() >= MAX_DESCRIPTORS && self.free().is_none();
        if is_full { Err(Errno::Mfile) } else { Ok(()) }
    }

    /// Returns the lowest free number. The numbers of the console are never reused: a program that closed its output
    /// may still write to it.
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

    /// Moves `from` to the number `to`, closing the descriptor there. Both must be open.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(to)?;
        let slot = self.take(from)?;
        self.0[to as usize] = Some(slot);
        Ok(())
    }
}
