//! Reading a file's headers before the platform's loader sees the file.
//!
//! Loaders trust their input. glibc maps the parts that the program headers name, so a truncated library kills the
//! process with `SIGBUS` when the loader touches a page beyond the end of the file; a wrong offset is a `SIGSEGV`, and
//! some inconsistencies are an `assert` in the loader, which aborts. None of that can be caught. For ELF,
//! [`inspect()`] reads every table that glibc's loader reads between `open` and the first constructor, follows every
//! pointer that it follows, and reports what is wrong. Other loaders may read more. For Mach-O and PE, it checks that
//! the parts that the headers name are in the file.
//!
//! # Examples
//!
//! ```
//! use dynload_native::inspect::{HeaderError, inspect_bytes};
//!
//! assert!(matches!(inspect_bytes(b""), Err(HeaderError::Empty)));
//! assert!(matches!(inspect_bytes(b"#!/bin/sh\n"), Err(HeaderError::NotALibrary { found: "a script" })));
//! ```
//!
//! The structure is checked, not the code: the check does not cover what the library's constructors do.

mod bytes;
mod elf;
mod error;
mod macho_pe;

use std::path::Path;

use self::bytes::Bytes;
pub use self::error::HeaderError;
use crate::open_regular::{file_kind, open_to_read};

/// The size of the largest library that is inspected: 4 GiB.
const MAX_LIBRARY_BYTES: u64 = crate::staging::MAX_STAGED_BYTES;

/// The information in a library's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryInfo {
    /// The format of the file: always this platform's ([`Format::NATIVE`]).
    pub format: Format,
    /// The architecture, as Rust's `target_arch` names it: always this process's.
    pub architecture: &'static str,
    /// The name that the library gives itself (`DT_SONAME`). Read from ELF only.
    pub name: Option<String>,
    /// The libraries that it needs, as it names them, in the order in which they are searched.
    pub needed: Vec<String>,
    /// The directories in which they are searched for, as written (`DT_RUNPATH` or else `DT_RPATH`). Read from ELF only.
    pub run_paths: Vec<String>,
    /// The bytes of its [descriptor](crate::descriptor), if it exports one.
    pub(crate) descriptor: Option<Vec<u8>>,
}

/// A format of executable files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// ELF: Linux, the BSDs, Android.
    Elf,
    /// Mach-O: macOS, iOS.
    MachO,
    /// Portable Executable: Windows.
    Pe,
}

impl Format {
    /// The format that this platform's loader accepts.
    pub const NATIVE: Format = if cfg!(windows) {
        Format::Pe
    } else if cfg!(target_vendor = "apple") {
        Format::MachO
    } else {
        Format::Elf
    };
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Elf => "ELF",
            Format::MachO => "Mach-O",
            Format::Pe => "PE",
        })
    }
}

/// Reads the headers of the file at `path`.
///
/// Only the needed parts are read, not the whole file. The file must not change between this and the load: inspect a
/// [staged](crate::staging) copy.
///
/// # Errors
///
/// Returns a [`HeaderError`] that says why this file cannot be loaded here.
pub fn inspect(path: impl AsRef<Path>) -> Result<LibraryInfo, HeaderError> {
    let file = open_to_read(path.as_ref()).map_err(HeaderError::Read)?;
    let metadata = file.metadata().map_err(HeaderError::Read)?;
    if !metadata.is_file() {
        return Err(HeaderError::NotAFile {
            kind: file_kind(&metadata),
        });
    }
    inspect_source(&Bytes::of_file(&file, metadata.len()))
}

/// Reads the headers of a library that is in memory.
///
/// # Errors
///
/// As for [`inspect()`].
pub fn inspect_bytes(bytes: &[u8]) -> Result<LibraryInfo, HeaderError> {
    inspect_source(&Bytes::of_slice(bytes))
}

fn inspect_source(bytes: &Bytes<'_>) -> Result<LibraryInfo, HeaderError> {
    if bytes.is_empty() {
        return Err(HeaderError::Empty);
    }
    if bytes.len() > MAX_LIBRARY_BYTES {
        return Err(HeaderError::TooLarge {
            size: bytes.len(),
            limit: MAX_LIBRARY_BYTES,
        });
    }
    let start = bytes.read(0, bytes.len().min(64))?;
    let found = match format_of(&start) {
        Ok(format) => format,
        Err(found) => return Err(HeaderError::NotALibrary { found }),
    };
    if found != Format::NATIVE {
        return Err(HeaderError::WrongFormat {
            found,
            expected: Format::NATIVE,
        });
    }
    match found {
        Format::Elf => elf::inspect(bytes),
        Format::MachO | Format::Pe => macho_pe::inspect(bytes, found),
    }
}

/// Returns whether the ELF library at `path` itself defines a symbol, which the loader has found in it or in a library that
/// it needs.
#[cfg(all(unix, not(target_vendor = "apple")))]
pub(crate) fn defines(path: &Path, name: &[u8]) -> Result<bool, HeaderError> {
    let (file, size) = crate::open_regular::open_regular(path).map_err(HeaderError::Read)?;
    elf::defines(&Bytes::of_file(&file, size), name)
}

/// Returns the format by its magic number, or a description of what else the file is.
fn format_of(start: &[u8]) -> Result<Format, &'static str> {
    match start {
        [0x7f, b'E', b'L', b'F', ..] => Ok(Format::Elf),
        // 32 and 64 bits in both byte orders, and files with several architectures.
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => Ok(Format::MachO),
        // Java's class files have the same magic number. A class file has a version above 40 next, a Mach-O file the
        // number of architectures.
        [0xca, 0xfe, 0xba, 0xbe, a, b, c, d, ..] if u32::from_be_bytes([*a, *b, *c, *d]) < 40 => {
            Ok(Format::MachO)
        }
        [0xca, 0xfe, 0xba, 0xbf, ..] => Ok(Format::MachO),
        [0xca, 0xfe, 0xba, 0xbe, ..] => Err("a Java class"),
        [b'M', b'Z', ..] => Ok(Format::Pe),
        [b'#', b'!', ..] => Err("a script"),
        [0, b'a', b's', b'm', ..] => Err("a WebAssembly module"),
        start if start.starts_with(b"!<arch>\n") || start.starts_with(b"!<thin>\n") => {
            Err("a static library")
        }
        start if start.iter().all(|&byte| byte == 0) => Err("a file of zeros, perhaps not written yet"),
        start if is_text(start) => Err("a text file"),
        _ => Err("data of an unknown format"),
    }
}

fn is_text(start: &[u8]) -> bool {
    let start = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The first bytes may end in the middle of a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !start.is_empty()
        && !start
            .chars()
            .any(|char| char.is_control() && !char.is_whitespace())
}
