//! Relocations: the values that the loader writes, and their addresses.

use object::elf;

use super::dynamic::{Dynamic, REL, RELA};
use super::hash::Symbols;
use super::integers::{IS_64, WORD, Words};
use super::segments::Segments;
use super::versions::Versions;
use crate::inspect::bytes::Bytes;
use crate::inspect::error::HeaderError;

struct Context<'a> {
    segments: &'a Segments,
    dynamic: &'a Dynamic,
    symbols: &'a Symbols,
    versions: &'a Versions,
    /// With DT_TEXTREL the loader makes everything writable while it relocates.
    text: bool,
}

/// The location of a relocation table.
struct Table {
    name: &'static str,
    address: u64,
    /// In bytes.
    size: u64,
    /// The size of one entry.
    entry: u64,
}

pub(super) fn check(
    bytes: &Bytes<'_>,
    segments: &Segments,
    dynamic: &Dynamic,
    symbols: &Symbols,
    versions: &Versions,
) -> Result<(), HeaderError> {
    let flags = dynamic.get(elf::DT_FLAGS).unwrap_or(0);
    let text = dynamic.get(elf::DT_TEXTREL).is_some() || flags & u64::from(elf::DF_TEXTREL) != 0;
    let context = Context {
        segments,
        dynamic,
        symbols,
        versions,
        text,
    };
    context.tables(bytes)?;
    context.relative(bytes)?;
    context.lazy()
}

impl Context<'_> {
    fn tables(&self, bytes: &Bytes<'_>) -> Result<(), HeaderError> {
        let dynamic = self.dynamic;
        let tables = [
            (elf::DT_RELA, elf::DT_RELASZ, elf::DT_RELACOUNT, "DT_RELA", RELA),
            (elf::DT_REL, elf::DT_RELSZ, elf::DT_RELCOUNT, "DT_REL", REL),
        ];
        for (tag, size, count, name, entry) in tables {
            if let Some(address) = dynamic.get(tag) {
                let table = Table {
                    name,
                    address,
                    size: dynamic.require(size, name)?,
                    entry,
                };
                self.table(bytes, &table, dynamic.get(count).unwrap_or(0))?;
            }
        }
        // When one of the three is present, glibc assumes that the others are.
        if dynamic
            .get(elf::DT_JMPREL)
            .or(dynamic.get(elf::DT_PLTREL))
            .is_some()
        {
            let name = "DT_JMPREL";
            let address = dynamic.require(elf::DT_JMPREL, name)?;
            let size = dynamic.require(elf::DT_PLTRELSZ, "DT_PLTRELSZ")?;
            let entry = match dynamic.require(elf::DT_PLTREL, "DT_PLTREL")? {
                kind if kind == elf::DT_RELA as u64 && uses_rela() != Some(false) => RELA,
                kind if kind == elf::DT_REL as u64 && uses_rela() != Some(true) => REL,
                // glibc asserts that it is the kind that the machine uses.
                kind => {
                    return Err(HeaderError::malformed(
                        "DT_PLTREL",
                        format!("this machine does not use relocations of kind {kind}"),
                    ));
                }
            };
            self.table(
                bytes,
                &Table {
                    name,
                    address,
                    size,
                    entry,
                },
                0,
            )?;
        }
        Ok(())
    }

    /// Checks a table. Its first `relative` entries must be relative relocations, which glibc asserts.
    fn table(&self, bytes: &Bytes<'_>, table: &Table, relative: u64) -> Result<(), HeaderError> {
        let &Table {
            name,
            address,
            size,
            entry,
        } = table;
        if size % entry != 0 {
            return Err(HeaderError::malformed(
                name,
                "its size is not a multiple of the entry size",
            ));
        }
        if relative > size / entry {
            return Err(HeaderError::malformed(
                name,
                "it has fewer entries than its count of relative ones",
            ));
        }
        let table = Words::from(self.segments.read_table(bytes, name, address, size)?);
        let mut checked = 0;
        for (index, at) in (0..table.len()).step_by(entry as usize).enumerate() {
            let (target, info) = (table.word(at), table.word(at + WORD));
            let (symbol, kind) = if IS_64 {
                ((info >> 32) as u32, info as u32)
            } else {
                (info as u32 >> 8, info as u32 & 0xff)
            };
            if (index as u64) < relative && kinds::RELATIVE.is_some_and(|relative| relative != kind) {
                return Err(HeaderError::malformed(
                    name,
                    format!("entry {index} is not relative, but is counted as relative"),
                ));
            }
            // Many consecutive entries refer to the same symbol, so it is checked once. The loader looks up the name
            // and version whatever the kind is.
            if symbol != 0 && symbol != checked {
                self.symbols
                    .check_one(symbol, self.segments, self.dynamic, self.versions)?;
                checked = symbol;
            }
            if kind == kinds::NONE {
                continue;
            }
            self.target(name, target)?;
            if Some(kind) == kinds::COPY {
                // Copy relocations are for programs, and copy as many bytes as another library's symbol says.
                return Err(HeaderError::malformed(
                    name,
                    "a shared library must not have copy relocations",
                ));
            }
            let called = Some(kind) == kinds::IRELATIVE
                || Some(kind) == kinds::RELATIVE && self.dynamic.is_in_code_array(target);
            if entry == RELA && called {
                self.segments.check_code(name, table.word(at + 2 * WORD))?;
            }
        }
        Ok(())
    }

    fn target(&self, name: &'static str, address: u64) -> Result<(), HeaderError> {
        // The smallest size that is written; further bytes are in the same page or the next of the same segment.
        let size = if IS_64 { 4 } else { 1 };
        if self.text {
            self.segments.check_memory(name, address, size)
        } else {
            self.segments.check_writable(name, address, size)
        }
    }

    /// Checks `DT_RELR`: addresses, and after each a bitmap for the 63 words that follow it.
    fn relative(&self, bytes: &Bytes<'_>) -> Result<(), HeaderError> {
        const PART: &str = "DT_RELR";
        let Some(address) = self.dynamic.get(elf::DT_RELR) else {
            return Ok(());
        };
        let size = self.dynamic.require(elf::DT_RELRSZ, "DT_RELRSZ")?;
        let table = Words::from(self.segments.read_table(bytes, PART, address, size)?);
        if table.len() % WORD != 0 {
            return Err(HeaderError::malformed(
                PART,
                "its size is not a multiple of the entry size",
            ));
        }
        let word = WORD as u64;
        let bits = word * 8 - 1;
        let mut base: Option<u64> = None;
        for at in (0..table.len()).step_by(WORD) {
            let entry = table.word(at);
            if entry & 1 == 0 {
                self.target(PART, entry)?;
                base = entry.checked_add(word);
                continue;
            }
            let Some(start) = base else {
                return Err(HeaderError::malformed(PART, "it begins with a bitmap"));
            };
            for bit in (0..bits).filter(|bit| entry >> (bit + 1) & 1 != 0) {
                self.target(PART, start.saturating_add(bit * word))?;
            }
            base = start.checked_add(bits * word);
        }
        Ok(())
    }

    /// Checks `DT_PLTGOT`: with lazy binding the loader writes its own addresses to the second and third word of it.
    fn lazy(&self) -> Result<(), HeaderError> {
        match (self.dynamic.get(elf::DT_PLTGOT), self.dynamic.get(elf::DT_JMPREL)) {
            (Some(got), Some(_)) => self.segments.check_writable("DT_PLTGOT", got, 3 * WORD as u64),
            // Without DT_PLTGOT glibc writes to address 0.
            (None, Some(_)) if writes_to_plt_got() => Err(HeaderError::malformed(
                "DT_PLTGOT",
                "it is missing from the dynamic section",
            )),
            _ => Ok(()),
        }
    }
}

/// Returns whether glibc writes to `DT_PLTGOT` on this machine whenever there is a `DT_JMPREL` (`elf_machine_runtime_setup`).
const fn writes_to_plt_got() -> bool {
    cfg!(any(
        target_arch = "x86_64",
        target_arch = "x86",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "s390x"
    ))
}

/// Returns whether this machine's relocations have addends, if it uses only one of the two kinds.
const fn uses_rela() -> Option<bool> {
    if cfg!(any(target_arch = "x86", target_arch = "arm")) {
        Some(false)
    } else if cfg!(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "powerpc64",
        target_arch = "s390x",
        target_arch = "loongarch64"
    )) {
        Some(true)
    } else {
        None
    }
}

/// The kinds of relocations that are checked, on the machines that this crate knows.
mod kinds {
    use object::elf;

    pub(super) const NONE: u32 = 0;
    pub(super) const COPY: Option<u32> = kind(0);
    pub(super) const RELATIVE: Option<u32> = kind(1);
    pub(super) const IRELATIVE: Option<u32> = kind(2);

    const fn kind(nth: usize) -> Option<u32> {
        match MACHINE {
            Some(kinds) => Some(kinds[nth]),
            None => None,
        }
    }

    /// This machine's numbers for the three kinds.
    const MACHINE: Option<[u32; 3]> = if cfg!(target_arch = "x86_64") {
        Some([
            elf::R_X86_64_COPY,
            elf::R_X86_64_RELATIVE,
            elf::R_X86_64_IRELATIVE,
        ])
    } else if cfg!(target_arch = "x86") {
        Some([elf::R_386_COPY, elf::R_386_RELATIVE, elf::R_386_IRELATIVE])
    } else if cfg!(target_arch = "aarch64") {
        Some([
            elf::R_AARCH64_COPY,
            elf::R_AARCH64_RELATIVE,
            elf::R_AARCH64_IRELATIVE,
        ])
    } else if cfg!(target_arch = "arm") {
        Some([elf::R_ARM_COPY, elf::R_ARM_RELATIVE, elf::R_ARM_IRELATIVE])
    } else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
        Some([elf::R_RISCV_COPY, elf::R_RISCV_RELATIVE, elf::R_RISCV_IRELATIVE])
    } else if cfg!(target_arch = "powerpc64") {
        Some([elf::R_PPC64_COPY, elf::R_PPC64_RELATIVE, elf::R_PPC64_IRELATIVE])
    } else if cfg!(target_arch = "s390x") {
        Some([elf::R_390_COPY, elf::R_390_RELATIVE, elf::R_390_IRELATIVE])
    } else if cfg!(target_arch = "loongarch64") {
        Some([elf::R_LARCH_COPY, elf::R_LARCH_RELATIVE, elf::R_LARCH_IRELATIVE])
    } else {
        None
    };
}
