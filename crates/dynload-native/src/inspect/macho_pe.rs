//! Mach-O and PE, read with the `object` crate: the parts that the headers name must be in the file.

use object::ReadRef;
use object::read::{Architecture, File, Object, ObjectKind, ObjectSegment, ObjectSymbol};

use super::bytes::Bytes;
use super::{Format, HeaderError, LibraryInfo};
use crate::descriptor::DESCRIPTOR_SYMBOL;

pub(super) fn inspect(bytes: &Bytes<'_>, format: Format) -> Result<LibraryInfo, HeaderError> {
    let data = bytes.read(0, bytes.len())?;
    let data = own_architecture(&data)?;
    let file = File::parse(data).map_err(|error| damaged(format, error))?;
    check_architecture(&file)?;
    match file.kind() {
        ObjectKind::Dynamic => {}
        ObjectKind::Executable => {
            return Err(HeaderError::NotALibrary {
                found: "an executable program",
            });
        }
        ObjectKind::Relocatable => {
            return Err(HeaderError::NotALibrary {
                found: "an object file",
            });
        }
        ObjectKind::Core => return Err(HeaderError::NotALibrary { found: "a core dump" }),
        _ => {
            return Err(HeaderError::NotALibrary {
                found: "an executable file that is not a library",
            });
        }
    }
    for segment in file.segments() {
        let (offset, size) = segment.file_range();
        match offset.checked_add(size) {
            Some(end) if end <= data.len() as u64 => {}
            end => {
                let needs = end.unwrap_or(u64::MAX);
                return Err(HeaderError::Truncated {
                    needs,
                    has: bytes.len(),
                });
            }
        }
    }
    let mut needed: Vec<String> = Vec::new();
    for import in file.imports().map_err(|error| damaged(format, error))? {
        let library = String::from_utf8_lossy(import.library()).into_owned();
        if !library.is_empty() && !needed.contains(&library) {
            needed.push(library);
        }
    }
    Ok(LibraryInfo {
        format,
        architecture: std::env::consts::ARCH,
        name: None,
        needed,
        run_paths: Vec::new(),
        descriptor: descriptor(&file),
    })
}

/// Returns the part of a file with several architectures that is for this process's architecture.
fn own_architecture(data: &[u8]) -> Result<&[u8], HeaderError> {
    use object::read::macho::{FatArch, MachOFatFile32, MachOFatFile64};

    fn find<'a, A: FatArch>(data: &'a [u8], arches: &'a [A]) -> Result<&'a [u8], HeaderError> {
        let own = arches.iter().find(|arch| is_own(arch.architecture()));
        match own.map(|arch| arch.data(data)) {
            Some(Ok(own)) => Ok(own),
            Some(Err(_)) => Err(HeaderError::Truncated {
                needs: data.len() as u64 + 1,
                has: data.len() as u64,
            }),
            None => {
                let found: Vec<String> = arches
                    .iter()
                    .map(|arch| format!("{:?}", arch.architecture()))
                    .collect();
                let expected = std::env::consts::ARCH;
                Err(HeaderError::WrongArchitecture {
                    found: found.join(", "),
                    expected,
                })
            }
        }
    }
    let fat = |error| damaged(Format::MachO, error);
    match object::FileKind::parse(data) {
        Ok(object::FileKind::MachOFat32) => find(data, MachOFatFile32::parse(data).map_err(fat)?.arches()),
        Ok(object::FileKind::MachOFat64) => find(data, MachOFatFile64::parse(data).map_err(fat)?.arches()),
        _ => Ok(data),
    }
}

fn is_own(architecture: Architecture) -> bool {
    let own = match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "x86" => Architecture::I386,
        "aarch64" => Architecture::Aarch64,
        "arm" => Architecture::Arm,
        _ => return true,
    };
    own == architecture
}

fn check_architecture<'a, R: ReadRef<'a>>(file: &File<'a, R>) -> Result<(), HeaderError> {
    if file.is_little_endian() != cfg!(target_endian = "little") {
        return Err(HeaderError::WrongByteOrder);
    }
    if is_own(file.architecture()) {
        return Ok(());
    }
    let found = format!("{:?}", file.architecture());
    Err(HeaderError::WrongArchitecture {
        found,
        expected: std::env::consts::ARCH,
    })
}

/// Returns the bytes of the descriptor, if its segment contains them.
fn descriptor<'a, R: ReadRef<'a>>(file: &File<'a, R>) -> Option<Vec<u8>> {
    let size = crate::descriptor::PluginDescriptor::SIZE as u64;
    let address = match file.exports() {
        Ok(exports) => exports
            .iter()
            // Mach-O puts an underscore before C names.
            .find(|export| {
                export.name().strip_prefix(b"_").unwrap_or(export.name()) == DESCRIPTOR_SYMBOL.to_bytes()
            })
            .map(|export| export.address()),
        Err(_) => file
            .symbol_by_name_bytes(DESCRIPTOR_SYMBOL.to_bytes())
            .map(|symbol| symbol.address()),
    }?;
    file.segments()
        .find_map(|segment| segment.data_range(address, size).ok().flatten())
        .map(<[u8]>::to_vec)
}

#[cold]
fn damaged(format: Format, error: object::Error) -> HeaderError {
    let part = if format == Format::Pe {
        "PE headers"
    } else {
        "Mach-O headers"
    };
    HeaderError::malformed(part, error.to_string())
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    const DLL: &[u8] = include_bytes!("../../tests/fixtures/answer.dll");
    const DYLIB: &[u8] = include_bytes!("../../tests/fixtures/answer-x86_64.dylib");

    fn read(bytes: &[u8], format: Format) -> Result<LibraryInfo, HeaderError> {
        inspect(&Bytes::of_slice(bytes), format)
    }

    #[test]
    fn libraries_of_other_systems_are_read_with_their_descriptors() {
        for (library, format) in [(DLL, Format::Pe), (DYLIB, Format::MachO)] {
            let info = read(library, format).unwrap();
            assert_eq!((info.format, info.architecture), (format, "x86_64"));
            let descriptor = crate::descriptor::read(&info.descriptor.unwrap()).unwrap();
            assert_eq!((&*descriptor.name, &*descriptor.version), ("foreign", "1.0"));
        }
    }

    #[test]
    fn no_length_causes_a_panic() {
        for (library, format) in [(DLL, Format::Pe), (DYLIB, Format::MachO)] {
            // The last section may be padded, so the content may end before the file does.
            assert!((0..library.len() / 2).all(|length| read(&library[..length], format).is_err()));
            for length in library.len() / 2..library.len() {
                let _ = read(&library[..length], format);
            }
        }
    }

    #[test]
    fn no_changed_byte_causes_a_panic() {
        for (library, format) in [(DLL, Format::Pe), (DYLIB, Format::MachO)] {
            let mut library = library.to_vec();
            for at in 0..library.len() {
                for flip in [1, 0x80, 0xff] {
                    library[at] ^= flip;
                    let _ = read(&library, format);
                    library[at] ^= flip;
                }
            }
        }
    }

    #[test]
    fn the_part_of_a_universal_file_for_this_architecture_is_read() {
        // `fat_header` and one `fat_arch` (mach-o/fat.h), in the other byte order.
        let universal = |cpu: u32, offset: u32, size: u32| {
            let words = [0xcafe_babe, 1, cpu, 3, offset, size, 12];
            let mut bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
            bytes.resize(4096, 0);
            bytes.extend(DYLIB);
            bytes
        };
        const X86_64: u32 = 0x0100_0007;
        const ARM64: u32 = 0x0100_000c;
        let size = DYLIB.len() as u32;
        assert!(
            read(&universal(X86_64, 4096, size), Format::MachO)
                .unwrap()
                .descriptor
                .is_some()
        );
        let wrong = read(&universal(ARM64, 4096, size), Format::MachO);
        assert!(matches!(wrong, Err(HeaderError::WrongArchitecture { found, .. }) if found == "Aarch64"));
        let short = read(&universal(X86_64, 4096, size + 1), Format::MachO);
        assert!(matches!(short, Err(HeaderError::Truncated { .. })), "{short:?}");
    }
}
