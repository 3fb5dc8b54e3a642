//! The symbol table, and the hash tables with which the loader searches it.

use object::elf;

use super::dynamic::{Dynamic, SYMBOL};
use super::integers::{IS_64, WORD, Words};
use super::segments::Segments;
use super::versions::Versions;
use crate::inspect::bytes::Bytes;
use crate::inspect::error::HeaderError;

/// The symbol table: the symbols that the library imports, followed by those that a search can find.
pub(super) struct Symbols {
    table: Words<'static>,
    /// The indices of all symbols in a hash table are below this.
    hashed: u32,
    /// The number of symbols for which there is room: relocations may refer to symbols that no search finds.
    count: u32,
}

/// One symbol.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    name: u32,
    info: u8,
    section: u16,
    pub(super) value: u64,
    pub(super) size: u64,
}

pub(super) fn read(
    bytes: &Bytes<'_>,
    segments: &Segments,
    dynamic: &Dynamic,
) -> Result<Symbols, HeaderError> {
    let address = dynamic.require(elf::DT_SYMTAB, "DT_SYMTAB")?;
    let room = segments.file_bytes_from(address) / SYMBOL;
    let count = u32::try_from(room).unwrap_or(u32::MAX);
    let mut hashed = 0;
    let mut found = false;
    if let Some(table) = dynamic.get(elf::DT_GNU_HASH) {
        hashed = gnu(bytes, segments, table, count)?;
        found = true;
    }
    if let Some(table) = dynamic.get(elf::DT_HASH) {
        hashed = hashed.max(system_v(bytes, segments, table, count)?);
        found = true;
    }
    if !found {
        return Err(HeaderError::malformed(
            "DT_GNU_HASH",
            "there is no symbol hash table",
        ));
    }
    let table = segments.read_table(bytes, "DT_SYMTAB", address, u64::from(count) * SYMBOL)?;
    Ok(Symbols {
        table: Words::from(table.into_owned()),
        hashed,
        count,
    })
}

/// Checks `DT_GNU_HASH`, and returns the number of symbols up to its last one.
fn gnu(bytes: &Bytes<'_>, segments: &Segments, address: u64, count: u32) -> Result<u32, HeaderError> {
    const PART: &str = "DT_GNU_HASH";
    let wrong = |problem: &str| Err(HeaderError::malformed(PART, problem));
    let header = Words::from(segments.read_table(bytes, PART, address, 16)?);
    let (buckets, first, filter_words) = (header.int(0), header.int(4), header.int(8));
    // glibc asserts this, and uses the number of words minus one as a mask.
    if !filter_words.is_power_of_two() {
        return wrong("the size of its Bloom filter is not a power of two");
    }
    let filter = u64::from(filter_words) * WORD as u64;
    segments.check_file(PART, address + 16, filter)?;
    let buckets_at = address + 16 + filter;
    let table = Words::from(segments.read_table(bytes, PART, buckets_at, u64::from(buckets) * 4)?);
    let starts: Vec<u32> = (0..buckets as usize)
        .map(|n| table.int(n * 4))
        .filter(|&start| start != 0)
        .collect();
    let Some(&last) = starts.iter().max() else {
        return Ok(first.min(count));
    };
    if starts.iter().any(|&start| start < first || start >= count) {
        return wrong("a bucket refers to a symbol that is not in the table");
    }
    // The chains are adjacent, and the lowest bit of a hash marks the end of a chain.
    let chains_at = buckets_at + u64::from(buckets) * 4;
    let room = u64::from(count - first).min(segments.file_bytes_from(chains_at) / 4);
    let chains = Words::from(segments.read_table(bytes, PART, chains_at, room * 4)?);
    for symbol in last..count {
        if u64::from(symbol - first) >= room {
            break;
        }
        if chains.int((symbol - first) as usize * 4) & 1 != 0 {
            return Ok(symbol + 1);
        }
    }
    wrong("its last chain is not terminated")
}

/// The size of an entry of `DT_HASH`: 4, but 8 in the ABI of 64-bit S/390.
const ENTRY: u64 = if cfg!(target_arch = "s390x") { 8 } else { 4 };

/// Checks `DT_HASH`, and returns the number of symbols.
fn system_v(bytes: &Bytes<'_>, segments: &Segments, address: u64, count: u32) -> Result<u32, HeaderError> {
    const PART: &str = "DT_HASH";
    let wrong = |problem: &str| Err(HeaderError::malformed(PART, problem));
    let index = |table: &Words<'_>, nth: usize| match ENTRY {
        8 => u32::try_from(table.word(nth * 8)).unwrap_or(u32::MAX),
        _ => table.int(nth * 4),
    };
    let header = Words::from(segments.read_table(bytes, PART, address, 2 * ENTRY)?);
    let (buckets, symbols) = (index(&header, 0), index(&header, 1));
    if symbols > count {
        return wrong("it has more symbols than the symbol table");
    }
    let buckets_at = address + 2 * ENTRY;
    let chains_at = buckets_at + u64::from(buckets) * ENTRY;
    let buckets_table =
        Words::from(segments.read_table(bytes, PART, buckets_at, u64::from(buckets) * ENTRY)?);
    let chains = Words::from(segments.read_table(bytes, PART, chains_at, u64::from(symbols) * ENTRY)?);
    // Each symbol is in one chain. A symbol that occurs twice is in a chain without an end, or in two chains that merge.
    let mut met = vec![false; symbols as usize];
    for bucket in 0..buckets as usize {
        let mut symbol = index(&buckets_table, bucket);
        while symbol != 0 {
            match met.get_mut(symbol as usize) {
                Some(met @ false) => *met = true,
                Some(true) => return wrong("a symbol occurs twice in its chains"),
                None => return wrong("a chain refers to a symbol that is not in the table"),
            }
            symbol = index(&chains, symbol as usize);
        }
    }
    Ok(symbols)
}

impl Symbols {
    pub(super) fn get(&self, index: u32) -> Option<Symbol> {
        if index >= self.count {
            return None;
        }
        let at = index as usize * SYMBOL as usize;
        let table = &self.table;
        Some(if IS_64 {
            Symbol {
                name: table.int(at),
                info: table.byte(at + 4),
                section: table.half(at + 6),
                value: table.word(at + 8),
                size: table.word(at + 16),
            }
        } else {
            Symbol {
                name: table.int(at),
                value: table.word(at + 4),
                size: table.word(at + 8),
                info: table.byte(at + 12),
                section: table.half(at + 14),
            }
        })
    }

    /// Checks that every symbol that a search may find has a name and a version, and that its address is code if the
    /// loader calls it.
    pub(super) fn check(
        &self,
        segments: &Segments,
        dynamic: &Dynamic,
        versions: &Versions,
    ) -> Result<(), HeaderError> {
        (0..self.hashed).try_for_each(|index| self.check_one(index, segments, dynamic, versions))
    }

    pub(super) fn check_one(
        &self,
        index: u32,
        segments: &Segments,
        dynamic: &Dynamic,
        versions: &Versions,
    ) -> Result<(), HeaderError> {
        const PART: &str = "DT_SYMTAB";
        let Some(symbol) = self.get(index) else {
            let problem = format!(
                "the symbol index {index} is out of bounds: there is room for {} symbols",
                self.count
            );
            return Err(HeaderError::malformed(PART, problem));
        };
        if !dynamic.has_string(symbol.name) {
            return Err(HeaderError::malformed(
                PART,
                format!("the name of symbol {index} is not in DT_STRTAB"),
            ));
        }
        if symbol.section == elf::SHN_UNDEF {
            return versions.check_symbol(index);
        }
        match symbol.info & 0xf {
            // The loader calls these to determine the address.
            elf::STT_GNU_IFUNC => segments.check_code(PART, symbol.value)?,
            // glibc looks up the library's thread-local block, which does not exist without PT_TLS.
            elf::STT_TLS if !segments.has_tls => {
                return Err(HeaderError::malformed(
                    PART,
                    "there is a thread-local symbol but no PT_TLS",
                ));
            }
            _ => {}
        }
        versions.check_symbol(index)
    }

    /// Finds a symbol that this library defines.
    pub(super) fn find(&self, dynamic: &Dynamic, name: &[u8]) -> Option<Symbol> {
        (1..self.hashed)
            .filter_map(|index| self.get(index))
            .find(|symbol| {
                symbol.section != elf::SHN_UNDEF
                    && dynamic
                        .string(symbol.name.into())
                        .is_ok_and(|found| found == name)
            })
    }
}
