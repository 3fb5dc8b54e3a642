//! The results of calls with bytes, by their address, until the caller frees them.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard};

use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::sync::unpoisoned;

/// The bytes, each followed by a NUL.
type Results = HashMap<i64, Box<[u8]>>;

fn results() -> MutexGuard<'static, Results> {
    static RESULTS: LazyLock<Mutex<Results>> = LazyLock::new(Mutex::default);
    unpoisoned(RESULTS.lock())
}

/// Keeps bytes and returns their address.
pub(crate) fn keep(mut bytes: Vec<u8>) -> i64 {
    bytes.push(0);
    let bytes = bytes.into_boxed_slice();
    let address = bytes.as_ptr() as i64;
    results().insert(address, bytes);
    address
}

fn unknown(address: i64) -> Error {
    Error::new(
        ErrorCode::InvalidHandle,
        format!("{address:#x} is not the address of a result: it was freed or never returned"),
    )
}

/// Returns the number of bytes at an address that [`keep`] returned, without the NUL.
pub(crate) fn size(address: i64) -> Result<i64> {
    let results = results();
    let bytes = results.get(&address).ok_or_else(|| unknown(address))?;
    Ok(bytes.len() as i64 - 1)
}

/// Frees the bytes at an address that [`keep`] returned.
pub(crate) fn free(address: i64) -> Result<()> {
    let bytes = results().remove(&address);
    bytes.map(drop).ok_or_else(|| unknown(address))
}
