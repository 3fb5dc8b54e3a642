//! CoreMark, from the binary that wasm3's sources contain as a C array.
//!
//! The binary requests the time from its host and decides how long to measure. Here it gets its own clock, which advances by
//! 20 s on each reading: one iteration is then long enough, and every engine does the same work.

use std::path::Path;

use wasm_encoder::{Encode, Module, RawSection};
use wasmparser::{BinaryReader, Parser, Payload};

use crate::build::BuildError;

/// The index of the binary's type `() -> i32`, the type of the clock.
const CLOCK_TYPE: u8 = 5;
/// The index of the added type, the type of the new `run`.
const RUN_TYPE: u8 = 10;
/// The indices of the binary's own `run` and of the new one, which is the last function.
const OLD_RUN: u8 = 4;
const NEW_RUN: u8 = 16;

/// Returns the program from the header file.
pub(crate) fn wasm(header: &Path) -> Result<Vec<u8>, BuildError> {
    let text = std::fs::read_to_string(header).map_err(|cause| BuildError::File(header.to_owned(), cause))?;
    let bytes: Vec<u8> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| u8::from_str_radix(word.strip_prefix("0x")?, 16).ok())
        .collect();
    with_clock(&bytes).map_err(|error| BuildError::Refused(format!("CoreMark: {error}")))
}

/// Replaces the import by the clock, and adds a `run` that accepts the number of rounds to the existing one.
fn with_clock(wasm: &[u8]) -> wasmparser::Result<Vec<u8>> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let (before, after): (&[u8], &[u8]) = match &payload {
            // (i32) -> i32
            Payload::TypeSection(_) => (&[], &[0x60, 1, 0x7f, 1, 0x7f]),
            Payload::FunctionSection(_) => (&[CLOCK_TYPE], &[RUN_TYPE]),
            // The time: a mutable i32, 0.
            Payload::GlobalSection(_) => (&[], &[0x7f, 1, 0x41, 0, 0x0b]),
            Payload::CodeSectionStart { .. } => (CLOCK, RUN),
            _ => (&[], &[]),
        };
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let section = &wasm[range.start as usize..range.end as usize];
        let mut data = Vec::new();
        match payload {
            Payload::ImportSection(_) => continue,
            Payload::ExportSection(_) => {
                data.push(1);
                "run".encode(&mut data);
                data.extend([0, NEW_RUN]);
            }
            _ if before.is_empty() && after.is_empty() => data.extend_from_slice(section),
            _ => {
                let mut entries = BinaryReader::new(section, 0);
                let added = u32::from(!before.is_empty()) + u32::from(!after.is_empty());
                (entries.read_var_u32()? + added).encode(&mut data);
                data.extend_from_slice(before);
                data.extend_from_slice(entries.read_bytes(entries.bytes_remaining())?);
                data.extend_from_slice(after);
            }
        }
        module.section(&RawSection { id, data: &data });
    }
    Ok(module.finish())
}

/// Adds 20 000 ms to the time, which is global 1, and returns it.
const CLOCK: &[u8] = &[13, 0, 0x23, 1, 0x41, 0xa0, 0x9c, 1, 0x6a, 0x24, 1, 0x23, 1, 0x0b];

/// Runs the number of rounds in its parameter, and returns the bits of the last score.
const RUN: &[u8] = &[
    23, 1, 1, 0x7d, // a local f32
    0x03, 0x40, 0x10, OLD_RUN, 0x21, 1, // loop: call it, keep the score
    0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, // decrement the count, repeat if it is not 0
    0x20, 1, 0xbc, 0x0b, // i32.reinterpret_f32
];
