//! Numbers in the byte order and word size of this process.

use std::borrow::Cow;

/// The size of an address in bytes.
pub(super) const WORD: usize = size_of::<usize>();
/// Whether this process loads `ELFCLASS64`.
pub(super) const IS_64: bool = WORD == 8;

/// A table that has been read. A number that is not completely in it reads as 0, so that a wrong size check cannot
/// cause a panic.
pub(super) struct Words<'a>(Cow<'a, [u8]>);

impl From<Vec<u8>> for Words<'static> {
    fn from(bytes: Vec<u8>) -> Words<'static> {
        Words(Cow::Owned(bytes))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Words<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Words<'a> {
        Words(bytes)
    }
}

impl Words<'_> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.0
            .get(at..)
            .and_then(|bytes| bytes.first_chunk())
            .copied()
            .unwrap_or([0; N])
    }

    pub(super) fn byte(&self, at: usize) -> u8 {
        self.array::<1>(at)[0]
    }

    /// Reads an `Elf64_Half`.
    pub(super) fn half(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    /// Reads an `Elf64_Word`.
    pub(super) fn int(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    /// Reads an `Elf64_Addr`, `Elf64_Off` or `Elf64_Xword`, or its 32-bit counterpart.
    pub(super) fn word(&self, at: usize) -> u64 {
        usize::from_ne_bytes(self.array(at)) as u64
    }
}
