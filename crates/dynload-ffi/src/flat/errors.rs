//! The last error of the thread.

use crate::boundary::error::{guard_query, with_last};
use crate::boundary::text;

/// What went wrong in the last call of this thread that failed, as a text; 0 if the last call succeeded.
///
/// The text lives until this thread calls the library again. Functions that only look (they say so) neither set nor clear the
/// error, and this one does not clear it either.
pub extern "C" fn get_load_error() -> i64 {
    guard_query(0, || with_last(|_, message| message.map_or(0, text::address)))
}

/// What kind of failure it was: one of DYNLOAD_ERROR_*, or DYNLOAD_OK (0) if the last call succeeded.
pub extern "C" fn get_load_error_code() -> i64 {
    guard_query(0, || with_last(|code, _| code as i64))
}

/// Copies the text of the last error to `buf`, which has room for `len` bytes, and gives the number of bytes that it needs, the
/// NUL included; 0 if there is none. What does not fit is cut off between characters; a NUL is always written if there is room
/// for one. `buf` may be 0 where `len` is 0.
///
/// ```c
/// load_module_str("/no/such/plugin.so");
/// char message[256];
/// if (get_load_error_copy((int64_t)message, sizeof message) > 0) printf("%d\n", message[0] != 0);
/// ```
pub unsafe extern "C" fn get_load_error_copy(buf: i64, len: i64) -> i64 {
    guard_query(0, || {
        with_last(|_, message| {
            let Some(message) = message.map(std::ffi::CStr::to_bytes) else {
                return 0;
            };
            let needed = message.len() as i64 + 1;
            // Without room for the NUL there is room for nothing.
            let Some(room) = usize::try_from(len).ok().and_then(|len| len.checked_sub(1)) else {
                return needed;
            };
            // Back to where a character begins.
            let fits = |end: &usize| message.get(*end).is_none_or(|byte| byte & 0xc0 != 0x80);
            let end = (0..=message.len().min(room)).rev().find(fits).unwrap_or(0);
            let cut = crate::boundary::text::c_string(&message[..end]);
            // SAFETY: the caller's promise about the buffer. Null and nonsense leave it alone.
            let _ = unsafe { text::store(buf, cut.as_bytes_with_nul(), "buffer") };
            needed
        })
    })
}
