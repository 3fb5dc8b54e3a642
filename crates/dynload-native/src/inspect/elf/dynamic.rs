//! The dynamic section, through which the loader finds everything else.

use std::collections::HashMap;

use object::elf;

use super::integers::{WORD, Words};
use super::segments::Segments;
use crate::inspect::bytes::Bytes;
use crate::inspect::error::HeaderError;

/// The sizes of `Elf64_Rela`, `Elf64_Rel` and `Elf64_Sym`, or of their 32-bit counterparts.
pub(super) const RELA: u64 = 3 * WORD as u64;
pub(super) const REL: u64 = 2 * WORD as u64;
pub(super) const SYMBOL: u64 = if WORD == 8 { 24 } else { 16 };

/// The entries of the dynamic section, and the string table.
pub(super) struct Dynamic {
    /// For a tag that occurs more than once, the last value, as in glibc.
    values: HashMap<i64, u64>,
    needed: Vec<u64>,
    /// Libraries that are searched instead of this one (`DT_FILTER`, `DT_AUXILIARY`).
    filters: Vec<u64>,
    strings: Vec<u8>,
}

impl Dynamic {
    pub(super) fn read(bytes: &Bytes<'_>, segments: &Segments) -> Result<Dynamic, HeaderError> {
        let section = segments.dynamic;
        let table = segments.read_table(bytes, "PT_DYNAMIC", section.address, section.memory_size)?;
        let table = Words::from(table);
        let mut dynamic = Dynamic {
            values: HashMap::new(),
            needed: Vec::new(),
            filters: Vec::new(),
            strings: Vec::new(),
        };
        let mut entries = (0..table.len() / (2 * WORD)).map(|entry| {
            let at = entry * 2 * WORD;
            (table.word(at) as i64, table.word(at + WORD))
        });
        loop {
            match entries.next() {
                None => {
                    return Err(HeaderError::malformed(
                        "PT_DYNAMIC",
                        "it has no terminator (DT_NULL)",
                    ));
                }
                Some((tag, _)) if tag == elf::DT_NULL => break,
                Some((tag, value)) => {
                    match tag {
                        elf::DT_NEEDED => dynamic.needed.push(value),
                        elf::DT_FILTER | elf::DT_AUXILIARY => dynamic.filters.push(value),
                        _ => {}
                    }
                    dynamic.values.insert(tag, value);
                }
            }
        }
        if dynamic
            .get(elf::DT_FLAGS_1)
            .is_some_and(|flags| flags & u64::from(elf::DF_1_PIE) != 0)
        {
            return Err(HeaderError::NotALibrary {
                found: "an executable program",
            });
        }
        // If the section's header says that it is writable, glibc relocates its addresses in place.
        if segments.dynamic_is_writable() {
            segments.check_writable("PT_DYNAMIC", section.address, section.memory_size)?;
        }
        dynamic.read_strings(bytes, segments)?;
        dynamic.check_sizes()?;
        dynamic.check_code(segments)?;
        Ok(dynamic)
    }

    pub(super) fn get(&self, tag: i64) -> Option<u64> {
        self.values.get(&tag).copied()
    }

    /// Returns the value of a required tag.
    pub(super) fn require(&self, tag: i64, name: &'static str) -> Result<u64, HeaderError> {
        self.get(tag)
            .ok_or_else(|| HeaderError::malformed(name, "it is missing from the dynamic section"))
    }

    fn read_strings(&mut self, bytes: &Bytes<'_>, segments: &Segments) -> Result<(), HeaderError> {
        let address = self.require(elf::DT_STRTAB, "DT_STRTAB")?;
        let size = self.require(elf::DT_STRSZ, "DT_STRSZ")?;
        self.require(elf::DT_SYMTAB, "DT_SYMTAB")?;
        self.strings = segments
            .read_table(bytes, "DT_STRTAB", address, size)?
            .into_owned();
        // This check ensures that every string that begins in the table ends in it.
        if self.strings.last() != Some(&0) {
            return Err(HeaderError::malformed(
                "DT_STRTAB",
                "its last string is not terminated",
            ));
        }
        for tag in [
            elf::DT_SONAME,
            elf::DT_RPATH,
            elf::DT_RUNPATH,
            elf::DT_AUDIT,
            elf::DT_DEPAUDIT,
            elf::DT_CONFIG,
        ] {
            self.get(tag)
                .map_or(Ok(()), |offset| self.string(offset).map(drop))?;
        }
        for &offset in self.needed.iter().chain(&self.filters) {
            // glibc resolves an empty name to the program, and counts that among the objects to close with the library.
            if self.string(offset)?.is_empty() {
                return Err(HeaderError::malformed(
                    "DT_NEEDED",
                    "the name of a needed library is empty",
                ));
            }
        }
        Ok(())
    }

    /// Returns the string at an offset in the string table.
    pub(super) fn string(&self, offset: u64) -> Result<&[u8], HeaderError> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.strings.get(offset..));
        match rest.and_then(|rest| rest.split(|&byte| byte == 0).next()) {
            Some(string) if offset < self.strings.len() as u64 => Ok(string),
            _ => {
                let problem = format!(
                    "the string offset {offset} is out of bounds: the table has {} bytes",
                    self.strings.len()
                );
                Err(HeaderError::malformed("DT_STRTAB", problem))
            }
        }
    }

    /// Returns whether an offset is in the string table.
    pub(super) fn has_string(&self, offset: u32) -> bool {
        (offset as usize) < self.strings.len()
    }

    pub(super) fn text(&self, tag: i64) -> Result<Option<String>, HeaderError> {
        let string = self.get(tag).map(|offset| self.string(offset)).transpose()?;
        Ok(string.map(|string| String::from_utf8_lossy(string).into_owned()))
    }

    /// Returns the names of the needed libraries, in their order.
    pub(super) fn needed(&self) -> Result<Vec<String>, HeaderError> {
        let text = |&offset: &u64| Ok(String::from_utf8_lossy(self.string(offset)?).into_owned());
        self.needed.iter().map(text).collect()
    }

    /// Returns whether `name` is among the needed libraries.
    pub(super) fn needs(&self, name: &[u8]) -> bool {
        self.needed
            .iter()
            .any(|&offset| self.string(offset).is_ok_and(|needed| needed == name))
    }

    /// Checks the entry sizes that glibc asserts (elf/get-dynamic-info.h): it aborts on any other size.
    fn check_sizes(&self) -> Result<(), HeaderError> {
        let sizes = [
            (elf::DT_SYMTAB, elf::DT_SYMENT, "DT_SYMENT", SYMBOL),
            (elf::DT_RELA, elf::DT_RELAENT, "DT_RELAENT", RELA),
            (elf::DT_REL, elf::DT_RELENT, "DT_RELENT", REL),
            (elf::DT_RELR, elf::DT_RELRENT, "DT_RELRENT", WORD as u64),
        ];
        for (table, tag, name, expected) in sizes {
            if self.get(table).is_some() && self.require(tag, name)? != expected {
                return Err(HeaderError::malformed(
                    name,
                    format!("the entry size must be {expected}"),
                ));
            }
            // Without the table nothing would be relocated, but the constructors would still be called.
            if self.get(table).is_none() && self.get(tag).is_some() {
                return Err(HeaderError::malformed(
                    name,
                    "the table of these entries is missing",
                ));
            }
        }
        Ok(())
    }

    /// Checks that constructors and destructors are code. Those that relocations write into the arrays are checked
    /// with the relocations.
    fn check_code(&self, segments: &Segments) -> Result<(), HeaderError> {
        for (tag, name) in [(elf::DT_INIT, "DT_INIT"), (elf::DT_FINI, "DT_FINI")] {
            // 0 is an address like any other here: linkers omit the tag when there is no function.
            if let Some(address) = self.get(tag) {
                segments.check_code(name, address)?;
            }
        }
        let arrays = [
            (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ, "DT_INIT_ARRAY"),
            (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ, "DT_FINI_ARRAY"),
        ];
        for (tag, size, name) in arrays {
            if let Some(address) = self.get(tag) {
                let size = self.require(size, name)?;
                segments.check_file(name, address, size)?;
                if size % WORD as u64 != 0 || address % WORD as u64 != 0 {
                    return Err(HeaderError::malformed(name, "it is not an array of addresses"));
                }
            }
        }
        Ok(())
    }

    /// Returns whether an address is in the arrays of constructors and destructors.
    pub(super) fn is_in_code_array(&self, address: u64) -> bool {
        [
            (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
        ]
        .iter()
        .any(|&(start, size)| match (self.get(start), self.get(size)) {
            (Some(start), Some(size)) => address >= start && address - start < size,
            _ => false,
        })
    }
}
