//! `fd_readdir`: the entries of a directory, as many as fit into the guest's buffer.

use super::{Errno, Filetype, rights};
use crate::{
    host::Caller,
    services::{
        answer::Answer,
        descriptor::{Kind, OpenDir, Use},
        guest::write_u32,
        open_files::Held,
        system::files,
    },
};
use cap_fs_ext::MetadataExt;
use cap_std::fs::ReadDir;
use std::string::String;

/// The read state of a directory. At most one entry is kept, however large the directory is.
#[derive(Debug)]
pub(in crate::services) struct Listing {
    entries: ReadDir,
    /// The cookie of the next entry.
    next: u64,
    /// That entry, if it was already read and did not fit.
    held: Option<Entry>,
    /// The host descriptors that it occupies besides the directory's own: the stream, and the directory for lookups
    /// by name.
    _own: [Held; 2],
}

#[derive(Debug)]
struct Entry {
    inode: u64,
    filetype: Filetype,
    name: String,
}

impl Entry {
    /// Encodes the `dirent` that precedes the name, with `next` as the cookie of the following entry.
    fn header(&self, next: u64) -> [u8; 24] {
        let mut header = [0; 24];
        header[..8].copy_from_slice(&next.to_le_bytes());
        header[8..16].copy_from_slice(&self.inode.to_le_bytes());
        header[16..20].copy_from_slice(&(self.name.len() as u32).to_le_bytes());
        header[20] = self.filetype as u8;
        header
    }
}

impl OpenDir {
    /// Returns the entry with this cookie, `None` at the end. Cookies count entries; `.` and `..` are the first two.
    fn entry(&mut self, cookie: u64) -> Result<Option<Entry>, Errno> {
        let broken = |error: std::io::Error| Errno::from(&error);
        if cookie < 2 {
            let inode = self.dir.dir_metadata().map_err(broken)?.ino();
            let name = if cookie == 0 { "." } else { ".." };
            return Ok(Some(Entry {
                inode,
                filetype: Filetype::Directory,
                name: name.into(),
            }));
        }
        let Some(listing) = &mut self.listing else {
            return Ok(None);
        };
        if let Some(entry) = listing.held.take() {
            return Ok(Some(entry));
        }
        let Some(entry) = listing.entries.next() else {
            return Ok(None);
        };
        let entry = entry.map_err(broken)?;
        Ok(Some(Entry {
            inode: files::inode(&entry),
            filetype: entry.file_type().map_or(Filetype::Unknown, Filetype::from),
            // Names are UTF-8 in WASI; as in Wasmtime, one that is not ends the listing.
            name: entry.file_name().into_string().map_err(|_| Errno::Ilseq)?,
        }))
    }

    /// Returns whether the listing is positioned at a cookie. Starts again from the beginning if the listing is past it.
    fn advance_to(&mut self, cookie: u64) -> Result<bool, Errno> {
        let first = cookie.max(2);
        if cookie > 1 && self.listing.as_ref().is_some_and(|listing| listing.next == first) {
            return Ok(true);
        }
        if !self
            .listing
            .as_ref()
            .is_some_and(|listing| listing.next < first && cookie > 1)
        {
            // Releases the descriptors of the old listing first.
            self.listing = None;
            let own = [Held::take()?, Held::take()?];
            let entries = self.dir.entries().map_err(|error| Errno::from(&error))?;
            self.listing = Some(Listing {
                entries,
                next: 2,
                held: None,
                _own: own,
            });
        }
        Ok(self.listing.as_ref().is_some_and(|listing| listing.next == first))
    }
}

pub(super) fn readdir(
    caller: &mut Caller<'_>,
    fd: u32,
    ptr: u32,
    len: u32,
    mut cookie: u64,
    out: u32,
) -> Answer {
    let granted = caller.capabilities();
    caller
        .state()
        .services
        .directory(granted, fd, Use::Read, rights::FD_READDIR)?;
    caller.memory_or_empty().slice(ptr, len)?;
    // The cookie is not the next one: skip the entries before it, at a cost in fuel.
    while !directory(caller, fd)?.advance_to(cookie)? {
        caller.charge(1)?;
        caller.check()?;
        let open = directory(caller, fd)?;
        let skipped = open.entry(2)?;
        match &mut open.listing {
            Some(listing) if skipped.is_some() => listing.next += 1,
            // The directory has become shorter: there are no more entries.
            _ => return write_u32(caller, out, 0),
        }
    }
    let mut used = 0;
    while used < len {
        caller.charge(1)?;
        caller.check()?;
        let open = directory(caller, fd)?;
        let Some(entry) = open.entry(cookie)? else { break };
        let whole = put(caller, ptr, len, &mut used, &entry.header(cookie + 1))?
            && put(caller, ptr, len, &mut used, entry.name.as_bytes())?;
        if let (Some(listing), true) = (&mut directory(caller, fd)?.listing, cookie >= 2) {
            if whole {
                listing.next += 1;
            } else {
                listing.held = Some(entry);
            }
        }
        if !whole {
            break;
        }
        cookie += 1;
    }
    caller.charge_bytes(used.into())?;
    write_u32(caller, out, used)
}

/// Returns the directory, if it may be read at this moment.
fn directory<'a>(caller: &'a mut Caller<'_>, fd: u32) -> Result<&'a mut OpenDir, Errno> {
    let granted = caller.capabilities();
    let services = &mut caller.state().services;
    let descriptor = services.descriptor(granted, fd, Use::Read, rights::FD_READDIR)?;
    match &mut descriptor.kind {
        Kind::Dir(open) => Ok(open),
        _ => Err(Errno::Notdir),
    }
}

/// Writes as many of the bytes as fit, and returns whether all of them did.
fn put(caller: &mut Caller<'_>, ptr: u32, len: u32, used: &mut u32, bytes: &[u8]) -> Answer<bool> {
    let fits = bytes.len().min((len - *used) as usize);
    if fits > 0 {
        // Within the buffer, which is inside the memory.
        caller.memory_or_empty().write(ptr + *used, &bytes[..fits])?;
        *used += fits as u32;
    }
    Ok(fits == bytes.len())
}
