//! The facts in the headers of a native file. The file is read as data: the dynamic linker, which runs a library's
//! initializers, is never involved.

use std::fmt;

use object::read::elf::{FileHeader, ProgramHeader};
use object::read::macho::{FatArch, MachHeader, MachOFatFile32, MachOFatFile64};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile};
use object::{Architecture, Endianness, FileKind, LittleEndian as LE, Object, ReadRef, elf, macho, pe};

use super::Facts;
use crate::cache::{Code, Input, record};

/// The facts in the headers of a native file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NativeFacts {
    /// The format of the file, which identifies the operating system.
    pub format: BinaryFormat,
    /// The processors that it is for, as named by Rust; several in a universal macOS file.
    pub architectures: Vec<String>,
    /// Whether it is a shared library.
    pub shared_library: bool,
    /// The libraries that the dynamic linker will search for, as named in the file.
    pub needed: Vec<String>,
}
record!(NativeFacts {
    format,
    architectures,
    shared_library,
    needed
});

/// The format of a native file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BinaryFormat {
    /// Linux, the BSDs, Android.
    Elf,
    /// macOS and iOS.
    MachO,
    /// Windows.
    Pe,
}

impl BinaryFormat {
    /// Returns the format of the native files of an operating system.
    #[must_use]
    pub fn of_os(os: &str) -> BinaryFormat {
        match os {
            "windows" => BinaryFormat::Pe,
            "macos" | "ios" => BinaryFormat::MachO,
            _ => BinaryFormat::Elf,
        }
    }
}

impl fmt::Display for BinaryFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            BinaryFormat::Elf => "ELF",
            BinaryFormat::MachO => "Mach-O",
            BinaryFormat::Pe => "PE",
        })
    }
}

impl Code for BinaryFormat {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn take(input: &mut Input<'_>) -> Option<BinaryFormat> {
        match input.bytes(1)? {
            [0] => Some(BinaryFormat::Elf),
            [1] => Some(BinaryFormat::MachO),
            [2] => Some(BinaryFormat::Pe),
            _ => None,
        }
    }
}

pub(super) fn facts(bytes: &[u8]) -> Facts {
    let facts = FileKind::parse(bytes).map_or(Ok(None), |kind| match kind {
        FileKind::Elf32 => elf_facts::<elf::FileHeader32<Endianness>>(bytes).map(Some),
        FileKind::Elf64 => elf_facts::<elf::FileHeader64<Endianness>>(bytes).map(Some),
        FileKind::MachO32 => macho_facts::<macho::MachHeader32<Endianness>>(bytes, 0).map(Some),
        FileKind::MachO64 => macho_facts::<macho::MachHeader64<Endianness>>(bytes, 0).map(Some),
        FileKind::MachOFat32 => fat_facts(bytes, MachOFatFile32::parse(bytes)?.arches()).map(Some),
        FileKind::MachOFat64 => fat_facts(bytes, MachOFatFile64::parse(bytes)?.arches()).map(Some),
        FileKind::Pe32 => pe_facts::<pe::ImageNtHeaders32>(bytes).map(Some),
        FileKind::Pe64 => pe_facts::<pe::ImageNtHeaders64>(bytes).map(Some),
        _ => Ok(None),
    });
    match facts {
        Ok(Some(facts)) => Facts::Native(facts),
        Ok(None) => Facts::Invalid {
            reason: "it is not an ELF, Mach-O or PE file".to_owned(),
        },
        Err(error) => Facts::Invalid {
            reason: format!("its headers cannot be read: {error}"),
        },
    }
}

/// More libraries than any real file needs; a forged file can list millions.
const MOST_NEEDED: usize = 4096;

fn elf_facts<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::Result<NativeFacts> {
    let header = H::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    // As in the dynamic linker, addresses are looked up in the segments, and section headers are not needed.
    let at = |address: u64| {
        segments
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
            .find_map(|segment| {
                let offset = address.checked_sub(segment.p_vaddr(endian).into())?;
                (offset < segment.p_filesz(endian).into())
                    .then(|| segment.p_offset(endian).into().checked_add(offset))?
            })
    };
    let (mut strings, mut names, mut interpreter, mut pie, mut named) =
        (None, Vec::new(), false, false, false);
    for segment in segments {
        interpreter |= segment.p_type(endian) == elf::PT_INTERP;
        for entry in segment.dynamic(endian, bytes)?.unwrap_or_default() {
            let value: u64 = object::read::elf::Dyn::d_val(entry, endian).into();
            let tag: i64 = object::read::elf::Dyn::d_tag(entry, endian).into();
            match tag {
                elf::DT_NULL => break,
                elf::DT_NEEDED if names.len() < MOST_NEEDED => names.push(value),
                elf::DT_STRTAB => strings = at(value),
                elf::DT_SONAME => named = true,
                elf::DT_FLAGS_1 => pie |= value & u64::from(elf::DF_1_PIE) != 0,
                _ => {}
            }
        }
    }
    let name = |offset: u64| {
        let start = strings?.checked_add(offset)?;
        let name = bytes
            .read_bytes_at_until(start..start.saturating_add(4096).min(bytes.len() as u64), 0)
            .ok()?;
        Some(String::from_utf8_lossy(name).into_owned())
    };
    let architecture = elf_architecture(header.e_machine(endian), header.is_class_64(), endian);
    Ok(NativeFacts {
        format: BinaryFormat::Elf,
        architectures: vec![architecture],
        // A position-independent executable is also ET_DYN. It has DF_1_PIE set, or an interpreter. libc has an interpreter
        // too, but also a DT_SONAME.
        shared_library: header.e_type(endian) == elf::ET_DYN && !pie && (!interpreter || named),
        needed: names.into_iter().filter_map(name).collect(),
    })
}

fn elf_architecture(machine: u16, is_64: bool, endian: Endianness) -> String {
    let name = match (machine, is_64) {
        (elf::EM_X86_64, true) => "x86_64",
        (elf::EM_386, _) => "x86",
        (elf::EM_AARCH64, _) => "aarch64",
        (elf::EM_ARM, _) => "arm",
        (elf::EM_RISCV, true) => "riscv64",
        (elf::EM_RISCV, false) => "riscv32",
        (elf::EM_PPC64, _) => "powerpc64",
        (elf::EM_S390, true) => "s390x",
        (elf::EM_LOONGARCH, true) => "loongarch64",
        (elf::EM_MIPS, true) => "mips64",
        (elf::EM_SPARCV9, _) => "sparc64",
        _ => return format!("ELF machine {machine}"),
    };
    // Big-endian ARM and RISC-V are other machines. The others have only one byte order, or Rust uses one name for both.
    match (name, endian) {
        ("aarch64" | "arm" | "riscv64" | "riscv32", Endianness::Big) => format!("big-endian {name}"),
        _ => name.to_owned(),
    }
}

fn architecture(architecture: Architecture) -> String {
    match architecture {
        Architecture::X86_64 => "x86_64".to_owned(),
        Architecture::I386 => "x86".to_owned(),
        Architecture::Aarch64 => "aarch64".to_owned(),
        Architecture::Arm => "arm".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn macho_facts<H: MachHeader<Endian = Endianness>>(bytes: &[u8], offset: u64) -> object::Result<NativeFacts> {
    let header = H::parse(bytes, offset)?;
    let endian = header.endian()?;
    let mut needed = Vec::new();
    let mut commands = header.load_commands(endian, bytes, offset)?;
    while let Some(command) = commands.next()? {
        // `dylib` also reads LC_ID_DYLIB, the name of the file itself.
        if command.cmd() == macho::LC_ID_DYLIB || needed.len() >= MOST_NEEDED {
            continue;
        }
        if let Some(dylib) = command.dylib()? {
            let name = command.string(endian, dylib.dylib.name)?;
            needed.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    let name = match header.cputype(endian) {
        macho::CPU_TYPE_X86_64 => "x86_64".to_owned(),
        macho::CPU_TYPE_ARM64 => "aarch64".to_owned(),
        macho::CPU_TYPE_X86 => "x86".to_owned(),
        macho::CPU_TYPE_ARM => "arm".to_owned(),
        other => format!("Mach-O processor {other}"),
    };
    Ok(NativeFacts {
        format: BinaryFormat::MachO,
        architectures: vec![name],
        shared_library: matches!(header.filetype(endian), macho::MH_DYLIB | macho::MH_BUNDLE),
        needed,
    })
}

fn fat_facts<A: FatArch>(bytes: &[u8], arches: &[A]) -> object::Result<NativeFacts> {
    let mut all = NativeFacts {
        format: BinaryFormat::MachO,
        architectures: Vec::new(),
        shared_library: !arches.is_empty(),
        needed: Vec::new(),
    };
    // A universal file has a handful of architectures; more means a forged file (or a Java class, which starts with the same
    // bytes).
    for arch in arches.iter().take(16) {
        let part = arch.data(bytes)?;
        let facts = match FileKind::parse(part)? {
            FileKind::MachO64 => macho_facts::<macho::MachHeader64<Endianness>>(part, 0)?,
            _ => macho_facts::<macho::MachHeader32<Endianness>>(part, 0)?,
        };
        all.architectures.push(architecture(arch.architecture()));
        all.shared_library &= facts.shared_library;
        for library in facts.needed {
            if !all.needed.contains(&library) && all.needed.len() < MOST_NEEDED {
                all.needed.push(library);
            }
        }
    }
    Ok(all)
}

fn pe_facts<H: ImageNtHeaders>(bytes: &[u8]) -> object::Result<NativeFacts> {
    let file = PeFile::<H>::parse(bytes)?;
    let header = file.nt_headers();
    let mut needed = Vec::new();
    if let Some(table) = file.import_table()? {
        let mut descriptors = table.descriptors()?;
        while let Some(descriptor) = descriptors.next()? {
            if needed.len() < MOST_NEEDED {
                needed.push(String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned());
            }
        }
    }
    // EFI applications are not for the Windows loader.
    let for_windows = header.optional_header().subsystem() != pe::IMAGE_SUBSYSTEM_EFI_APPLICATION;
    Ok(NativeFacts {
        format: BinaryFormat::Pe,
        architectures: vec![architecture(file.architecture())],
        shared_library: for_windows && header.file_header().characteristics.get(LE) & pe::IMAGE_FILE_DLL != 0,
        needed,
    })
}
