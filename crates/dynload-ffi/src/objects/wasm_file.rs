//! The bytes of the files that `load_wasm_file` read, by their address.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use dynload_diagnostics::printable;
use dynload_native::read_regular;

use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::sync::unpoisoned;
use crate::boundary::text;

/// The maximum size of a file: the limit of the engine and a little more, so that the engine reports the error
/// itself.
const MAX_BYTES: u64 = 128 << 20;

type Files = HashMap<i64, Arc<[u8]>>;

fn files() -> MutexGuard<'static, Files> {
    static FILES: LazyLock<Mutex<Files>> = LazyLock::new(Mutex::default);
    unpoisoned(FILES.lock())
}

/// Reads a module; a file in the text format (`.wat`) is translated.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorCode::Io,
            format!("cannot read `{}`: {error}", printable(path.display()).path()),
        )
    };
    let bytes = read_regular(path, MAX_BYTES).map_err(failed)?;
    if path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("wat"))
    {
        return from_text(&bytes, path);
    }
    Ok(bytes)
}

/// Translates a module in the text format.
pub(crate) fn from_text(bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    let binary = wat::Parser::new()
        .parse_bytes(Some(path), bytes)
        .map_err(|error| {
            // The problem, the location and the excerpt, each on separate lines.
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim);
            let (problem, place) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            let place = place.trim_start_matches("--> ");
            Error::new(
                ErrorCode::InvalidModule,
                format!(
                    "`{}` is not WebAssembly text: {problem} ({place})",
                    printable(path.display()).path()
                ),
            )
        })?;
    Ok(binary.into_owned())
}

/// Reads a module, keeps its bytes and returns their address.
pub(crate) fn load(path: &Path) -> Result<i64> {
    let mut bytes = read(path)?;
    if bytes.is_empty() {
        return Err(Error::new(
            ErrorCode::InvalidModule,
            format!("`{}` is empty", printable(path.display()).path()),
        ));
    }
    bytes.shrink_to_fit();
    let bytes: Arc<[u8]> = bytes.into();
    let address = bytes.as_ptr() as i64;
    files().insert(address, bytes);
    Ok(address)
}

fn unknown(address: i64) -> Error {
    Error::new(
        ErrorCode::InvalidHandle,
        format!(
            "{address:#x} is not the address of a file that `load_wasm_file` read: it was freed or never returned"
        ),
    )
}

/// Returns the number of bytes at an address that [`load`] returned.
pub(crate) fn size(address: i64) -> Result<i64> {
    files()
        .get(&address)
        .map(|bytes| bytes.len() as i64)
        .ok_or_else(|| unknown(address))
}

/// Frees the bytes at an address that [`load`] returned.
pub(crate) fn free(address: i64) -> Result<()> {
    let bytes = files().remove(&address);
    // They are freed when the last reader is done.
    bytes.map(drop).ok_or_else(|| unknown(address))
}

/// The bytes of a caller, or of a loaded file.
pub(crate) enum Bytes<'a> {
    File(Arc<[u8]>, usize),
    Caller(&'a [u8]),
}

impl Bytes<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::File(bytes, len) => &bytes[..*len],
            Bytes::Caller(bytes) => bytes,
        }
    }
}

/// Returns the `len` bytes at an address. The bytes of a loaded file stay alive while they are used, even if they are
/// freed meanwhile, and a length that is too large for them is detected.
///
/// # Safety
///
/// As for [`text::slice`].
pub(crate) unsafe fn bytes<'a>(address: i64, len: i64) -> Result<Bytes<'a>> {
    let len = text::length(len, "length of the module")?;
    if address == 0 {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            "the address of the module is null",
        ));
    }
    let file = files().get(&address).cloned();
    if let Some(file) = file {
        if len > file.len() {
            let message = format!("the module has {} bytes, but the length is {len}", file.len());
            return Err(Error::new(ErrorCode::InvalidArgument, message));
        }
        return Ok(Bytes::File(file, len));
    }
    // SAFETY: the caller's promise.
    unsafe { text::slice(address, len, "address of the module") }.map(Bytes::Caller)
}
