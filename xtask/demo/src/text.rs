//! Texts to and from the flat API, which are addresses there.

use std::ffi::{CStr, CString};

/// A text with a NUL at its end, for as long as it is held.
pub(crate) struct Text(CString);

impl Text {
    /// What follows a NUL is left out, as C would do.
    pub(crate) fn new(text: &str) -> Text {
        let text = text.split('\0').next().unwrap_or_default();
        Text(CString::new(text).unwrap_or_default())
    }

    /// Its address.
    pub(crate) fn at(&self) -> i64 {
        self.0.as_ptr() as i64
    }
}

/// A copy of the text at an address that the library gave; empty for 0.
pub(crate) fn read(address: i64) -> String {
    if address == 0 {
        return String::new();
    }
    // SAFETY: the library documents each of its texts to end with a NUL and to live at least until its next call.
    let text = unsafe { CStr::from_ptr(address as *const std::ffi::c_char) };
    text.to_string_lossy().into_owned()
}
