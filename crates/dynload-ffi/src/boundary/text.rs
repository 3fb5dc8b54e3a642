//! Texts and bytes from C, checked, and texts for C.

use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::sync::unpoisoned;

/// Returns the text at an address, without its NUL.
///
/// # Safety
///
/// The address is 0 or the address of a NUL-terminated text that does not change during `'a`.
pub(crate) unsafe fn c_text<'a>(address: i64, what: &str) -> Result<&'a CStr> {
    if address == 0 {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the {what} is null: pass the address of a text"),
        ));
    }
    // SAFETY: the caller's promise; it is not null.
    Ok(unsafe { CStr::from_ptr(address as *const c_char) })
}

/// Returns the UTF-8 text at an address.
///
/// # Safety
///
/// As for [`c_text`].
pub(crate) unsafe fn text<'a>(address: i64, what: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let text = unsafe { c_text(address, what) }?;
    text.to_str().map_err(|error| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("the {what} is not UTF-8 (from byte {})", error.valid_up_to()),
        )
    })
}

/// Returns the path at an address, which on Unix may contain any bytes.
///
/// # Safety
///
/// As for [`c_text`].
pub(crate) unsafe fn path<'a>(address: i64, what: &str) -> Result<&'a Path> {
    #[cfg(unix)]
    // SAFETY: the caller's promise.
    let path = unsafe { c_text(address, what) }.map(|text| {
        Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(
            text.to_bytes(),
        ))
    })?;
    #[cfg(not(unix))]
    // SAFETY: the caller's promise.
    let path = Path::new(unsafe { text(address, what) }?);
    if path.as_os_str().is_empty() {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the {what} is empty"),
        ));
    }
    Ok(path)
}

/// Converts a length or number from C that must not be negative.
pub(crate) fn length(len: i64, what: &str) -> Result<usize> {
    usize::try_from(len)
        .ok()
        // The standard library guarantees that no object is larger.
        .filter(|len| *len <= isize::MAX as usize)
        .ok_or_else(|| {
            Error::new(
                ErrorCode::InvalidArgument,
                format!("the {what} is {len}: it cannot be negative"),
            )
        })
}

/// Checks that `len` objects can exist at an address: it is not null unless `len` is 0, it is aligned, and they fit
/// into the address space.
fn not_null(address: i64, len: usize, size: usize, what: &str) -> Result<()> {
    if address == 0 && len > 0 {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the {what} is null but its length is {len}"),
        ));
    }
    let bytes = len
        .checked_mul(size)
        .filter(|bytes| *bytes <= isize::MAX as usize);
    let end = bytes.and_then(|bytes| (address as usize).checked_add(bytes));
    if end.is_none() {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the {what} does not fit into the address space with a length of {len}"),
        ));
    }
    if !(address as usize).is_multiple_of(size) {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the {what} is not aligned to {size} bytes"),
        ));
    }
    Ok(())
}

/// Returns `count` inputs, whose addresses and lengths are in two arrays.
///
/// # Safety
///
/// As [`slice`], for both arrays and for each input.
pub(crate) unsafe fn inputs<'a>(addresses: i64, lengths: i64, count: i64) -> Result<Vec<&'a [u8]>> {
    let count = length(count, "number of inputs")?;
    // SAFETY: the caller's promise about the arrays.
    let (addresses, lengths) = unsafe {
        (
            slice::<i64>(addresses, count, "array of inputs")?,
            slice::<i64>(lengths, count, "array of lengths")?,
        )
    };
    let inputs = addresses.iter().zip(lengths).map(|(address, len)| {
        let len = length(*len, "length of an input")?;
        // SAFETY: the caller's promise about the inputs.
        unsafe { slice(*address, len, "input") }
    });
    inputs.collect()
}

/// Returns the `len` objects at an address. The size of `T` equals its alignment.
///
/// # Safety
///
/// If `len` is more than 0, the address is 0 or the address of that many objects of this type, which do not change
/// during `'a`.
pub(crate) unsafe fn slice<'a, T>(address: i64, len: usize, what: &str) -> Result<&'a [T]> {
    not_null(address, len, size_of::<T>(), what)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: the caller's promise; not null, aligned and not larger than an object may be, as checked above.
    Ok(unsafe { std::slice::from_raw_parts(address as *const T, len) })
}

/// Writes objects to an address.
///
/// # Safety
///
/// Unless `objects` is empty, the address is 0 or the address of space for that many objects of this type, which no
/// other code uses.
pub(crate) unsafe fn store<T: Copy>(address: i64, objects: &[T], what: &str) -> Result<()> {
    not_null(address, objects.len(), size_of::<T>(), what)?;
    if !objects.is_empty() {
        // SAFETY: the caller's promise; not null and aligned, as checked above. The destination may be uninitialized,
        // so no reference to it is created. It belongs to the caller, so it does not overlap `objects`.
        unsafe { std::ptr::copy_nonoverlapping(objects.as_ptr(), address as *mut T, objects.len()) };
    }
    Ok(())
}

/// Returns the address of a text of this library.
pub(crate) fn address(text: &CStr) -> i64 {
    text.as_ptr() as i64
}

/// Returns the address of a text for C that is never freed. Equal texts have the same address, so memory grows only
/// with the number of different texts: use it for paths and directories, not for messages.
pub(crate) fn intern(text: &[u8]) -> i64 {
    static TEXTS: LazyLock<Mutex<HashSet<CString>>> = LazyLock::new(Mutex::default);
    let text = c_string(text);
    let mut texts = unpoisoned(TEXTS.lock());
    match texts.get(&text) {
        Some(known) => address(known),
        None => {
            let new = address(&text);
            // The characters keep their address when the `CString` moves into the set.
            texts.insert(text);
            new
        }
    }
}

/// Converts a text for C; it ends at the first NUL.
pub(crate) fn c_string(text: &[u8]) -> CString {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_invalid_texts_are_errors() {
        // SAFETY: the addresses are null or those of literals.
        unsafe {
            assert!(text(0, "name").is_err());
            assert_eq!(text(address(c"hello"), "name").unwrap(), "hello");
            assert!(text(address(c"\xff\xfe"), "name").is_err());
            assert!(path(address(c""), "path").is_err());
            assert_eq!(path(address(c"a/b"), "path").unwrap(), Path::new("a/b"));
        }
    }

    #[test]
    fn null_misaligned_and_oversized_slices_are_errors() {
        let words = [1_i64, 2];
        let at = words.as_ptr() as i64;
        // SAFETY: the addresses are null or that of the array above with at most its length; the other values are
        // refused by their numbers.
        unsafe {
            assert_eq!(slice::<i64>(at, 2, "args").unwrap(), words);
            assert!(slice::<i64>(0, 0, "args").unwrap().is_empty());
            assert!(slice::<i64>(0, 1, "args").is_err());
            assert!(slice::<i64>(at + 1, 1, "args").is_err());
            assert!(slice::<i64>(at, isize::MAX as usize, "args").is_err());
            assert!(slice::<u8>(-4, 100, "bytes").is_err());
        }
        assert!(length(-1, "length").is_err() && length(i64::MIN, "length").is_err());
        assert_eq!(length(5, "length").unwrap(), 5);
    }

    #[test]
    fn equal_texts_have_the_same_address() {
        let a = intern(b"/a/b.so");
        assert_eq!(a, intern(b"/a/b.so"));
        assert_ne!(a, intern(b"/a/c.so"));
        // SAFETY: interned texts are never freed.
        assert_eq!(unsafe { text(a, "path") }.unwrap(), "/a/b.so");
    }
}
