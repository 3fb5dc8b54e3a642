//! An anonymous file, mapped by both processes.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::{fs::File, io, os::fd::OwnedFd};
use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};

/// Without these, the other process could make the file shorter, and reading the rest would raise a signal.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

#[derive(Debug)]
pub(super) struct Memory(MmapRegion);

impl Memory {
    pub(super) fn create(size: usize) -> io::Result<(Memory, OwnedFd)> {
        let descriptor = memfd_create("dynload-gpu", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&descriptor, size as u64)?;
        fcntl_add_seals(&descriptor, SEALS)?;
        Ok((Memory::open(descriptor.try_clone()?, size)?, descriptor))
    }

    pub(super) fn open(descriptor: OwnedFd, size: usize) -> io::Result<Memory> {
        let file = FileOffset::new(File::from(descriptor), 0);
        let region = MmapRegion::from_file(file, size).map_err(io::Error::other)?;
        Ok(Memory(region))
    }

    pub(super) fn write(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let slice = self.0.as_volatile_slice();
        slice.write_slice(bytes, at).map_err(io::Error::other)
    }

    pub(super) fn read(&self, at: usize, bytes: &mut [u8]) -> io::Result<()> {
        let slice = self.0.as_volatile_slice();
        slice.read_slice(bytes, at).map_err(io::Error::other)
    }
}
