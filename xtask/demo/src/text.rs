//! Strings to and from the flat API, which passes their addresses.

use std::ffi::{CStr, CString};

/// A NUL-terminated string, which stays valid until it is dropped.
pub(crate) struct Text(CString);

impl Text {
    /// Copies the text up to its first NUL, as C would.
    pub(crate) fn new(text: &str) -> Text {
        let text = text.split('\0').next().unwrap_or_default();
        Text(CString::new(text).unwrap_or_default())
    }

    /// Returns the address of the string.
    pub(crate) fn at(&self) -> i64 {
        self.0.as_ptr() as i64
    }
}

/// Returns a copy of the string at an address that the library returned; empty for 0.
pub(crate) fn read(address: i64) -> String {
    if address == 0 {
        return String::new();
    }
    // SAFETY: the library documents that each of its strings ends with a NUL and lives at least until its next call.
    let text = unsafe { CStr::from_ptr(address as *const std::ffi::c_char) };
    text.to_string_lossy().into_owned()
}
