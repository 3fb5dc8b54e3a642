//! ELF, as the System V gABI defines it and glibc's loader reads it.
//!
//! The check covers what glibc 2.36 reads and follows between `open` and the first constructor (elf/dl-load.c,
//! dl-deps.c, dl-version.c, dl-lookup.c, dl-reloc.c, elf/get-dynamic-info.h): each offset is in the file, each address
//! is in a suitable segment, each chain ends, and the loader writes only to writable segments.

mod dynamic;
mod hash;
mod integers;
mod relocations;
mod segments;
mod versions;

use object::elf;

use self::dynamic::Dynamic;
use self::integers::{IS_64, WORD, Words};
use self::segments::Segments;
use super::bytes::Bytes;
use super::{Format, HeaderError, LibraryInfo};
use crate::descriptor::{DESCRIPTOR_SYMBOL, PluginDescriptor};

/// The sizes of `Elf64_Ehdr` and `Elf64_Shdr`, or of their 32-bit counterparts.
const HEADER: u64 = if IS_64 { 64 } else { 52 };
const SECTION: u64 = if IS_64 { 64 } else { 40 };

/// The index of each byte in `e_ident`, and its size (gABI, "ELF Identification").
const EI_CLASS: usize = 4;
const EI_DATA: usize = 5;
const EI_VERSION: usize = 6;
const EI_OSABI: usize = 7;
const EI_ABIVERSION: usize = 8;
const EI_NIDENT: usize = 16;

pub(super) fn inspect(bytes: &Bytes<'_>) -> Result<LibraryInfo, HeaderError> {
    let header = header(bytes)?;
    let segments = Segments::read(bytes, &header)?;
    check_sections(bytes, &header)?;
    let dynamic = Dynamic::read(bytes, &segments)?;
    let symbols = hash::read(bytes, &segments, &dynamic)?;
    let versions = versions::read(bytes, &segments, &dynamic)?;
    symbols.check(&segments, &dynamic, &versions)?;
    relocations::check(bytes, &segments, &dynamic, &symbols, &versions)?;
    let run_paths = dynamic.text(elf::DT_RUNPATH)?.or(dynamic.text(elf::DT_RPATH)?);
    Ok(LibraryInfo {
        format: Format::Elf,
        architecture: std::env::consts::ARCH,
        name: dynamic.text(elf::DT_SONAME)?,
        needed: dynamic.needed()?,
        run_paths: run_paths
            .iter()
            .flat_map(|paths| paths.split(':'))
            .map(str::to_owned)
            .collect(),
        descriptor: symbols
            .find(&dynamic, DESCRIPTOR_SYMBOL.to_bytes())
            .map(|symbol| {
                // Data that is not in the file is not a constant: the result is empty, which the reader reports.
                let size = symbol.size.min(PluginDescriptor::SIZE as u64);
                segments
                    .read_address(bytes, symbol.value, size)
                    .map(|bytes| bytes.to_vec())
                    .unwrap_or_default()
            }),
    })
}

/// Returns whether a library defines a symbol that a search can find.
#[cfg(all(unix, not(target_vendor = "apple")))]
pub(super) fn defines(bytes: &Bytes<'_>, name: &[u8]) -> Result<bool, HeaderError> {
    let segments = Segments::read(bytes, &header(bytes)?)?;
    let dynamic = Dynamic::read(bytes, &segments)?;
    let symbols = hash::read(bytes, &segments, &dynamic)?;
    Ok(symbols.find(&dynamic, name).is_some())
}

/// The `e_machine` of this process, if this crate knows it.
const MACHINE: Option<u16> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
    Some(elf::EM_X86_64)
} else if cfg!(target_arch = "x86") {
    Some(elf::EM_386)
} else if cfg!(target_arch = "aarch64") {
    Some(elf::EM_AARCH64)
} else if cfg!(target_arch = "arm") {
    Some(elf::EM_ARM)
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    Some(elf::EM_RISCV)
} else if cfg!(target_arch = "powerpc64") {
    Some(elf::EM_PPC64)
} else if cfg!(target_arch = "s390x") {
    Some(elf::EM_S390)
} else if cfg!(target_arch = "loongarch64") {
    Some(elf::EM_LOONGARCH)
} else {
    None
};

/// Returns the file header if it is that of a shared library for this process.
fn header(bytes: &Bytes<'_>) -> Result<Words<'static>, HeaderError> {
    let identification = bytes.read(0, EI_NIDENT as u64)?;
    let class = match identification[EI_CLASS] {
        elf::ELFCLASS32 => 32,
        elf::ELFCLASS64 => 64,
        other => {
            return Err(HeaderError::malformed(
                "e_ident",
                format!("class {other} is neither 32-bit nor 64-bit"),
            ));
        }
    };
    let little = match identification[EI_DATA] {
        elf::ELFDATA2LSB => true,
        elf::ELFDATA2MSB => false,
        other => {
            return Err(HeaderError::malformed(
                "e_ident",
                format!("byte order {other} is not defined"),
            ));
        }
    };
    if little != cfg!(target_endian = "little") {
        return Err(HeaderError::WrongByteOrder);
    }
    // A library for another architecture is reported as such, whatever its word size; the field has the same offset.
    let machine = Words::from(bytes.read(16, 4)?.into_owned()).half(2);
    let expected = std::env::consts::ARCH;
    if MACHINE.is_some_and(|own| own != machine) {
        return Err(HeaderError::WrongArchitecture {
            found: machine_name(machine),
            expected,
        });
    }
    if class != WORD * 8 {
        return Err(HeaderError::WrongWordSize {
            found: class as u32,
            expected: WORD as u32 * 8,
        });
    }
    let header = Words::from(bytes.read(0, HEADER)?.into_owned());
    if identification[EI_VERSION] != elf::EV_CURRENT || header.int(20) != u32::from(elf::EV_CURRENT) {
        return Err(HeaderError::malformed("e_version", "the ELF version is not 1"));
    }
    // glibc accepts these two, and GNU only with ABI version 3 or less (elf/dl-load.c).
    let abi = (identification[EI_OSABI], identification[EI_ABIVERSION]);
    if cfg!(target_os = "linux") && !matches!(abi, (elf::ELFOSABI_SYSV, 0) | (elf::ELFOSABI_GNU, 0..=3)) {
        return Err(HeaderError::malformed(
            "e_ident",
            format!("OS ABI {} version {} is not a Linux ABI", abi.0, abi.1),
        ));
    }
    match header.half(16) {
        elf::ET_DYN => Ok(header),
        elf::ET_EXEC => Err(HeaderError::NotALibrary {
            found: "an executable program",
        }),
        elf::ET_REL => Err(HeaderError::NotALibrary {
            found: "an object file",
        }),
        elf::ET_CORE => Err(HeaderError::NotALibrary { found: "a core dump" }),
        other => Err(HeaderError::malformed(
            "e_type",
            format!("type {other} is not defined"),
        )),
    }
}

fn machine_name(machine: u16) -> String {
    match machine {
        elf::EM_X86_64 => "x86_64",
        elf::EM_386 => "x86",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_ARM => "arm",
        elf::EM_RISCV => "riscv",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_S390 => "s390x",
        elf::EM_MIPS => "mips",
        elf::EM_SPARCV9 => "sparc64",
        elf::EM_LOONGARCH => "loongarch",
        elf::EM_BPF => "bpf",
        other => return format!("machine number {other}"),
    }
    .to_owned()
}

/// Checks the section headers. The loader does not read them, but linkers write them last: when they are incomplete,
/// so is the file.
fn check_sections(bytes: &Bytes<'_>, header: &Words<'_>) -> Result<(), HeaderError> {
    let (offset, after) = if IS_64 {
        (header.word(40), 58)
    } else {
        (header.word(32), 46)
    };
    let (size, count) = (header.half(after), header.half(after + 2));
    if offset == 0 || count == 0 {
        return Ok(());
    }
    if u64::from(size) != SECTION {
        return Err(HeaderError::malformed(
            "e_shentsize",
            format!("{size} is not the size of a section header"),
        ));
    }
    bytes.check(offset, u64::from(size) * u64::from(count))
}
