//! How far the process lets files grow (`RLIMIT_FSIZE`, `ulimit -f`).
//!
//! What would go beyond is cut short or refused here, as the system does it, but without its signal. Should somebody else let
//! the file grow between the look and the write, the signal is held back.

use crate::services::{descriptor::OpenFile, signals, wasi::Filetype};
use rustix::process::{Resource, getrlimit};
use std::io;

/// The most bytes that a file may have, if that is limited.
fn limit(open: &OpenFile) -> Option<u64> {
    if open.filetype == Filetype::RegularFile {
        getrlimit(Resource::Fsize).current
    } else {
        None
    }
}

/// Writes to a file at the place that `at` finds, as much as there is room for.
pub(super) fn write(
    open: &OpenFile,
    bytes: &[u8],
    at: impl FnOnce() -> io::Result<u64>,
    write: impl FnOnce(&[u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let Some(limit) = limit(open) else {
        return write(bytes);
    };
    let room = limit.saturating_sub(at()?);
    if room == 0 && !bytes.is_empty() {
        return Err(too_large());
    }
    let len = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
    signals::held_back(|| write(&bytes[..len]))
}

/// Makes a file `size` bytes long, or does something else that lets it grow to that size.
pub(super) fn grow(open: &OpenFile, size: u64, grow: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let Some(limit) = limit(open) else {
        return grow();
    };
    if size > limit && size > open.file.metadata()?.len() {
        return Err(too_large());
    }
    signals::held_back(grow)
}

fn too_large() -> io::Error {
    rustix::io::Errno::FBIG.into()
}
