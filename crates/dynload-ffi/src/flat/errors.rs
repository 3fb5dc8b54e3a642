//! The last error of the thread.

use crate::boundary::error::{guard_query, with_last};
use crate::boundary::text;

/// Returns the error of this thread's last call as a text, or 0 if the call succeeded.
///
/// The text is valid until this thread calls a function that is not a query, or ends. Queries, which are the functions
/// that "leave the error as it is", neither set nor clear the error. This function is one of them.
pub extern "C" fn get_load_error() -> i64 {
    guard_query(0, || with_last(|_, message| message.map_or(0, text::address)))
}

/// Returns the kind of the error of this thread's last call: one of DYNLOAD_ERROR_*, or DYNLOAD_OK (0) if the call
/// succeeded. Leaves the error as it is.
pub extern "C" fn get_load_error_code() -> i64 {
    guard_query(0, || with_last(|code, _| code as i64))
}

/// Copies the text of the last error to `buf`, which has room for `len` bytes, and returns the number of bytes that
/// the text needs, including the NUL; 0 if there is no error, and `buf` is then the empty text. A text that does not fit is
/// truncated between characters; a NUL is always written if there is room for it. `buf` may be 0 if `len` is 0. Leaves the
/// error as it is.
///
/// ```c
/// load_module_str("/no/such/plugin.so");
/// char message[256];
/// if (get_load_error_copy((int64_t)message, sizeof message) > 0) printf("%d\n", message[0] != 0);
/// ```
pub unsafe extern "C" fn get_load_error_copy(buf: i64, len: i64) -> i64 {
    guard_query(0, || {
        with_last(|_, message| {
            let needed = message.map_or(0, |message| message.to_bytes().len() as i64 + 1);
            let message = message.map_or(&[][..], std::ffi::CStr::to_bytes);
            // Without room for the NUL, nothing is written.
            let Some(room) = usize::try_from(len).ok().and_then(|len| len.checked_sub(1)) else {
                return needed;
            };
            // Truncate at the start of a character.
            let fits = |end: &usize| message.get(*end).is_none_or(|byte| byte & 0xc0 != 0x80);
            let end = (0..=message.len().min(room)).rev().find(fits).unwrap_or(0);
            let cut = crate::boundary::text::c_string(&message[..end]);
            // SAFETY: the caller's promise about the buffer. A null or otherwise invalid address is an error, and
            // nothing is written.
            let _ = unsafe { text::store(buf, cut.as_bytes_with_nul(), "buffer") };
            needed
        })
    })
}
