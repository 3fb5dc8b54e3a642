//! A module that imports its memory gets one of its own, if the host wants that: the import becomes a definition.

use super::{ModuleReader, Section};
use core::ops::Range;
use wasmparser::{BinaryReaderError, ImportSectionReader, TypeRef};

/// The name of the import, as `wasm-ld --import-memory` writes it.
const NAME: (&str, &str) = ("env", "memory");

/// Returns the bytes of the import `env.memory`, if it is the only memory that a section imports: then its index is 0, whether
/// it is imported or defined.
pub(super) fn find(section: &ImportSectionReader<'_>) -> Result<Option<Range<usize>>, BinaryReaderError> {
    let mut found = None;
    let mut memories = 0;
    let mut imports = section.clone().into_iter_with_offsets().peekable();
    while let Some(import) = imports.next() {
        let (start, import) = import?;
        if let TypeRef::Memory(_) = import.ty {
            memories += 1;
            let end = match imports.peek() {
                Some(Ok((next, _))) => *next,
                _ => section.range().end,
            };
            found = ((import.module, import.name) == NAME).then_some(start..end);
        }
    }
    Ok(found.filter(|_| memories == 1))
}

impl ModuleReader<'_> {
    /// Writes the imports without that of the memory.
    pub(super) fn write_imports(&self, section: &Section, out: &mut alloc::vec::Vec<u8>) {
        let entries = section.entries.clone();
        let defined = self.defined_import.clone().unwrap_or(entries.end..entries.end);
        out.extend_from_slice(&self.wasm[entries.start..defined.start]);
        out.extend_from_slice(&self.wasm[defined.end..entries.end]);
    }
}
