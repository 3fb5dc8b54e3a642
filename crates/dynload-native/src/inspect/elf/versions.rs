//! Symbol versions (the GNU extension): `.gnu.version`, `.gnu.version_r`, `.gnu.version_d`.

use dynload_diagnostics::{TextBytes, printable};
use object::elf;

use super::dynamic::Dynamic;
use super::integers::Words;
use super::segments::Segments;
use crate::inspect::bytes::Bytes;
use crate::inspect::error::HeaderError;

/// A limit for the entries of a list. Version numbers have 15 bits, so longer lists only cost time.
const MOST: u32 = 1 << 16;

/// The version of each symbol.
pub(super) struct Versions {
    /// `DT_VERSYM`, if present: as much of it as the file has.
    of_symbols: Option<Words<'static>>,
    /// The highest version that is defined or needed.
    highest: u16,
}

pub(super) fn read(
    bytes: &Bytes<'_>,
    segments: &Segments,
    dynamic: &Dynamic,
) -> Result<Versions, HeaderError> {
    let mut highest = 0;
    if let Some(address) = dynamic.get(elf::DT_VERNEED) {
        highest = needed(bytes, segments, dynamic, address)?;
    }
    if let Some(address) = dynamic.get(elf::DT_VERDEF) {
        highest = highest.max(defined(bytes, segments, dynamic, address)?);
    }
    let of_symbols = match dynamic.get(elf::DT_VERSYM) {
        // glibc assumes that it is present when there are versions.
        None if highest > 0 => dynamic.require(elf::DT_VERSYM, "DT_VERSYM").map(|_| None)?,
        None => None,
        Some(address) => {
            // The file does not say how many there are: symbols are checked one by one.
            let size = segments.file_bytes_from(address);
            Some(Words::from(
                segments
                    .read_table(bytes, "DT_VERSYM", address, size)?
                    .into_owned(),
            ))
        }
    };
    Ok(Versions { of_symbols, highest })
}

/// Reads `DT_VERNEED`: a list of libraries, each with a list of versions. glibc follows the lists until a link is 0,
/// whatever the number of entries in the dynamic section is.
fn needed(
    bytes: &Bytes<'_>,
    segments: &Segments,
    dynamic: &Dynamic,
    address: u64,
) -> Result<u16, HeaderError> {
    const PART: &str = "DT_VERNEED";
    let mut highest = 0;
    let mut entries = 0;
    let mut library = address;
    loop {
        let entry = Words::from(segments.read_table(bytes, PART, library, 16)?);
        let (file, first, next) = (entry.int(4), entry.int(8), entry.int(12));
        let name = dynamic.string(file.into())?;
        // glibc asserts that the library is loaded, which is the case when it is needed.
        if !dynamic.needs(name) {
            let name = printable(TextBytes(name));
            let problem = format!("it lists versions of `{name}`, which is not among the needed libraries");
            return Err(HeaderError::malformed(PART, problem));
        }
        let mut version = library + u64::from(first);
        loop {
            entries += 1;
            if entries > MOST {
                return Err(HeaderError::malformed(
                    PART,
                    "it has more entries than there can be versions",
                ));
            }
            let entry = Words::from(segments.read_table(bytes, PART, version, 16)?);
            let (index, name, next) = (entry.half(6), entry.int(8), entry.int(12));
            dynamic.string(name.into())?;
            highest = highest.max(index & 0x7fff);
            if next == 0 {
                break;
            }
            version += u64::from(next);
        }
        if next == 0 {
            return Ok(highest);
        }
        library += u64::from(next);
    }
}

/// Reads `DT_VERDEF`: a list of versions, each with a list of names, of which the first is its own.
fn defined(
    bytes: &Bytes<'_>,
    segments: &Segments,
    dynamic: &Dynamic,
    address: u64,
) -> Result<u16, HeaderError> {
    const PART: &str = "DT_VERDEF";
    let mut highest = 0;
    let mut version = address;
    for _ in 0..MOST {
        let entry = Words::from(segments.read_table(bytes, PART, version, 20)?);
        let (index, names, next) = (entry.half(4), entry.int(12), entry.int(16));
        let name = Words::from(segments.read_table(bytes, PART, version + u64::from(names), 8)?);
        dynamic.string(name.int(0).into())?;
        highest = highest.max(index & 0x7fff);
        if next == 0 {
            return Ok(highest);
        }
        version += u64::from(next);
    }
    Err(HeaderError::malformed(
        PART,
        "it has more entries than there can be versions",
    ))
}

impl Versions {
    /// Refuses a symbol whose version is beyond the highest one: glibc uses it as an index, unchecked.
    pub(super) fn check_symbol(&self, index: u32) -> Result<(), HeaderError> {
        let Some(table) = &self.of_symbols else {
            return Ok(());
        };
        let at = index as usize * 2;
        if at + 2 > table.len() {
            return Err(HeaderError::malformed(
                "DT_VERSYM",
                format!("symbol {index} has no version"),
            ));
        }
        let version = table.half(at) & 0x7fff;
        // 0 and 1 are "local" and "global", which always exist.
        if version > 1 && version > self.highest {
            return Err(HeaderError::malformed(
                "DT_VERSYM",
                format!("symbol {index} has version {version}, which is not defined"),
            ));
        }
        Ok(())
    }
}
