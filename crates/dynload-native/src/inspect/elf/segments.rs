//! Program headers: which parts of the file are mapped at which addresses.

use std::borrow::Cow;

use object::elf;

use super::integers::{IS_64, Words};
use crate::inspect::bytes::Bytes;
use crate::inspect::error::HeaderError;

/// The size of `Elf64_Phdr`, or of `Elf32_Phdr`.
const ENTRY: u64 = if IS_64 { 56 } else { 32 };

/// glibc refuses segments that are not aligned to pages, and no system that it runs on has smaller ones.
const SMALLEST_PAGE: u64 = 4096;

/// One program header.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    pub(super) address: u64,
    file_size: u64,
    pub(super) memory_size: u64,
    align: u64,
}

impl Segment {
    fn read(table: &Words<'_>, at: usize) -> Segment {
        let word = |position: usize| table.word(at + position);
        if IS_64 {
            Segment {
                kind: table.int(at),
                flags: table.int(at + 4),
                offset: word(8),
                address: word(16),
                file_size: word(32),
                memory_size: word(40),
                align: word(48),
            }
        } else {
            Segment {
                kind: table.int(at),
                flags: table.int(at + 24),
                offset: word(4),
                address: word(8),
                file_size: word(16),
                memory_size: word(20),
                align: word(28),
            }
        }
    }

    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Returns whether `size` bytes at `address` are in the first `limit` bytes of this segment.
    fn holds(&self, address: u64, size: u64, limit: u64) -> bool {
        address >= self.address
            && (address - self.address)
                .checked_add(size)
                .is_some_and(|end| end <= limit)
    }
}

/// The program headers that a loader reads.
pub(super) struct Segments {
    loads: Vec<Segment>,
    pub(super) dynamic: Segment,
    pub(super) has_tls: bool,
}

impl Segments {
    pub(super) fn read(bytes: &Bytes<'_>, header: &Words<'_>) -> Result<Segments, HeaderError> {
        let (offset, after) = if IS_64 {
            (header.word(32), 54)
        } else {
            (header.word(28), 42)
        };
        let (size, count) = (u64::from(header.half(after)), u64::from(header.half(after + 2)));
        if count == 0 {
            return Err(HeaderError::malformed("program headers", "there are none"));
        }
        if size != ENTRY {
            return Err(HeaderError::malformed(
                "e_phentsize",
                format!("{size} is not the size of a program header"),
            ));
        }
        let table = Words::from(bytes.read(offset, size * count)?);
        let all: Vec<Segment> = (0..count)
            .map(|n| Segment::read(&table, (n * ENTRY) as usize))
            .collect();
        let loads: Vec<Segment> = all
            .iter()
            .filter(|segment| segment.kind == elf::PT_LOAD)
            .copied()
            .collect();
        check_loads(bytes, &loads)?;
        // The last one counts, as in glibc.
        let dynamic = all.iter().rfind(|segment| segment.kind == elf::PT_DYNAMIC);
        let Some(dynamic) = dynamic.copied() else {
            return Err(HeaderError::NotALibrary {
                found: "an ELF file without a dynamic section",
            });
        };
        let has_tls = all
            .iter()
            .any(|segment| segment.kind == elf::PT_TLS && segment.memory_size > 0);
        let segments = Segments {
            loads,
            dynamic,
            has_tls,
        };
        for segment in &all {
            segments.check_other(bytes, segment)?;
        }
        Ok(segments)
    }

    /// Returns whether the header of the dynamic section says that it is writable.
    pub(super) fn dynamic_is_writable(&self) -> bool {
        self.dynamic.is(elf::PF_W)
    }

    fn check_other(&self, bytes: &Bytes<'_>, segment: &Segment) -> Result<(), HeaderError> {
        let part = match segment.kind {
            elf::PT_TLS => "PT_TLS",
            elf::PT_NOTE => "PT_NOTE",
            elf::PT_GNU_PROPERTY => "PT_GNU_PROPERTY",
            elf::PT_DYNAMIC => "PT_DYNAMIC",
            elf::PT_GNU_RELRO => "PT_GNU_RELRO",
            _ => return Ok(()),
        };
        if segment.kind == elf::PT_GNU_RELRO {
            // The loader makes these pages read-only, so they must be the library's own. Some linkers round the end up
            // to the page.
            let whole_pages = |load: &Segment| {
                let end = load.address.saturating_add(load.memory_size);
                let end = end.checked_next_multiple_of(SMALLEST_PAGE).unwrap_or(end);
                load.holds(segment.address, segment.memory_size, end - load.address)
            };
            return match self.loads.iter().any(whole_pages) {
                true => Ok(()),
                false => Err(outside(part, segment.address, segment.memory_size)),
            };
        }
        bytes.check(segment.offset, segment.file_size)?;
        if segment.kind == elf::PT_TLS {
            if segment.align > 1 && !segment.align.is_power_of_two() {
                return Err(HeaderError::malformed(
                    part,
                    "its alignment is not a power of two",
                ));
            }
            if segment.memory_size < segment.file_size {
                return Err(HeaderError::malformed(
                    part,
                    "it is larger in the file than in memory",
                ));
            }
            return self.check_file(part, segment.address, segment.file_size);
        }
        // The loader reads these at their mapped addresses, with their size in memory.
        self.check_file(part, segment.address, segment.memory_size)
    }

    /// Refuses addresses that are not mapped when the library is loaded.
    pub(super) fn check_memory(
        &self,
        part: &'static str,
        address: u64,
        size: u64,
    ) -> Result<(), HeaderError> {
        match self
            .loads
            .iter()
            .any(|load| load.holds(address, size, load.memory_size))
        {
            true => Ok(()),
            false => Err(outside(part, address, size)),
        }
    }

    /// Refuses addresses whose content does not come from the file when the library is loaded.
    pub(super) fn check_file(&self, part: &'static str, address: u64, size: u64) -> Result<(), HeaderError> {
        self.offset(part, address, size).map(drop)
    }

    /// Refuses addresses that are not writable.
    pub(super) fn check_writable(
        &self,
        part: &'static str,
        address: u64,
        size: u64,
    ) -> Result<(), HeaderError> {
        let writable = |load: &&Segment| load.is(elf::PF_W) && load.holds(address, size, load.memory_size);
        match self.loads.iter().find(writable) {
            Some(_) => Ok(()),
            None => {
                self.check_memory(part, address, size)?;
                let problem =
                    format!("the loader must write {size} bytes at {address:#x}, which is read-only");
                Err(HeaderError::malformed(part, problem))
            }
        }
    }

    /// Refuses an address that is not in an executable segment.
    pub(super) fn check_code(&self, part: &'static str, address: u64) -> Result<(), HeaderError> {
        match self
            .loads
            .iter()
            .any(|load| load.is(elf::PF_X) && load.holds(address, 1, load.memory_size))
        {
            true => Ok(()),
            false => Err(HeaderError::malformed(
                part,
                format!("there is no code at {address:#x}"),
            )),
        }
    }

    /// Returns the number of bytes from `address` on whose content comes from the file.
    pub(super) fn file_bytes_from(&self, address: u64) -> u64 {
        let load = self
            .loads
            .iter()
            .find(|load| load.holds(address, 1, load.file_size));
        load.map_or(0, |load| load.file_size - (address - load.address))
    }

    fn offset(&self, part: &'static str, address: u64, size: u64) -> Result<u64, HeaderError> {
        let readable = |load: &&Segment| load.is(elf::PF_R) && load.holds(address, size, load.file_size);
        let load = self.loads.iter().find(readable);
        load.map(|load| load.offset + (address - load.address))
            .ok_or_else(|| outside(part, address, size))
    }

    /// Reads the bytes that are at `address` when the library is loaded.
    pub(super) fn read_table<'a>(
        &self,
        bytes: &Bytes<'a>,
        part: &'static str,
        address: u64,
        size: u64,
    ) -> Result<Cow<'a, [u8]>, HeaderError> {
        bytes.read(self.offset(part, address, size)?, size)
    }

    /// Does the same for a symbol's address, which may be outside the file.
    pub(super) fn read_address<'a>(
        &self,
        bytes: &Bytes<'a>,
        address: u64,
        size: u64,
    ) -> Result<Cow<'a, [u8]>, HeaderError> {
        self.read_table(bytes, "symbol", address, size)
    }
}

#[cold]
fn outside(part: &'static str, address: u64, size: u64) -> HeaderError {
    HeaderError::malformed(
        part,
        format!("no readable segment has {size} bytes at {address:#x}"),
    )
}

fn check_loads(bytes: &Bytes<'_>, loads: &[Segment]) -> Result<(), HeaderError> {
    let wrong = |problem: &str| Err(HeaderError::malformed("PT_LOAD", problem));
    if loads.is_empty() {
        return wrong("there is no loadable segment");
    }
    let mut free = 0;
    for load in loads {
        bytes.check(load.offset, load.file_size)?;
        if load.memory_size < load.file_size {
            return wrong("a segment is larger in the file than in memory");
        }
        let Some(end) = load.address.checked_add(load.memory_size) else {
            return wrong("a segment extends beyond the last address");
        };
        // The loader rounds ends up to pages; half of the address space is the kernel's anyway.
        if end > (usize::MAX / 2) as u64 {
            return wrong("a segment extends beyond the last address");
        }
        if load.align < SMALLEST_PAGE || !load.align.is_power_of_two() {
            return wrong("a segment is not aligned to pages");
        }
        if load.address % load.align != load.offset % load.align {
            return wrong("a segment's offset in the file does not match its address");
        }
        // The loader maps the segments in order, at ascending addresses.
        if load.address < free {
            return wrong("the segments overlap or are not in ascending order");
        }
        free = end;
    }
    Ok(())
}
