//! The limit of the process on the size of files (`RLIMIT_FSIZE`, `ulimit -f`).
//!
//! A write beyond it is truncated or refused here, as the system does, but without the system's signal. If another
//! writer makes the file grow between the check and the write, the signal is blocked.

use crate::services::{descriptor::OpenFile, signals, system::files, wasi::Filetype};
use std::io;

/// Returns the maximum size of a file in bytes, if it is limited.
fn limit(open: &OpenFile) -> Option<u64> {
    if open.filetype == Filetype::RegularFile {
        files::size_limit()
    } else {
        None
    }
}

/// Writes as many bytes as there is room for, at the position that `at` returns.
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
        return Err(files::too_large());
    }
    let len = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
    signals::with_signals_blocked(|| write(&bytes[..len]))
}

/// Resizes a file to `size` bytes, or runs another operation that lets it grow to that size.
pub(super) fn grow(open: &OpenFile, size: u64, grow: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let Some(limit) = limit(open) else {
        return grow();
    };
    if size > limit && size > open.file.metadata()?.len() {
        return Err(files::too_large());
    }
    signals::with_signals_blocked(grow)
}
