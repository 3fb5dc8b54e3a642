//! Symbols that keep their library alive.

use std::ffi::CStr;
use std::fmt;
use std::ops::Deref;

use crate::library::Library;

/// A typed symbol of a library.
///
/// It is an owner of the library, so the code or value that it names stays in memory for as long as the symbol exists.
/// For a function, `T` is a function pointer such as `extern "C" fn(i64) -> i64`, which is called through the symbol.
/// For a variable, `T` is a pointer such as `*mut i32`.
///
/// `T` may be copied out (`let add = *symbol;`). The copy does not keep the library loaded: it is valid for as long as
/// the library is in memory, which is forever unless the library is unloaded with `unsafe`.
///
/// A symbol keeps the image in memory, but not the plugin started. In a [`Module`](crate::Module), the plugin's
/// [`shutdown`](crate::descriptor::Shutdown) runs when the version is replaced, retired or unloaded and its last
/// [`CallGuard`](crate::CallGuard) is dropped, whether symbols of it exist or not; they can still be called after that.
/// To call a plugin only while it is started, keep the guard until the call returns.
///
/// # Examples
///
/// A function:
///
/// ```
/// use dynload_native::Library;
///
/// let process = Library::this_process()?;
/// // SAFETY: `abs` of the C standard library has this type.
/// let abs = unsafe { process.symbol::<extern "C" fn(i32) -> i32>("abs") }?;
/// assert_eq!(abs(-3), 3);
/// # Ok::<(), dynload_native::Error>(())
/// ```
///
/// A variable, which is a pointer to its type:
///
/// ```
/// use dynload_native::Library;
///
/// let process = Library::this_process()?;
/// // SAFETY: POSIX declares `extern int optind`.
/// let optind = unsafe { process.symbol::<*const i32>("optind") }?;
/// // SAFETY: the symbol keeps the library in memory, and no thread of this program calls `getopt`, which writes it.
/// let value = unsafe { **optind };
/// assert_eq!(value, 1);
/// # Ok::<(), dynload_native::Error>(())
/// ```
#[derive(Clone)]
pub struct Symbol<T> {
    value: T,
    library: Library,
}

impl<T> Symbol<T> {
    pub(crate) fn new(value: T, library: Library) -> Symbol<T> {
        Symbol { value, library }
    }

    /// Returns the library that the symbol is from.
    pub fn library(&self) -> &Library {
        &self.library
    }
}

impl<T> Deref for Symbol<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> fmt::Debug for Symbol<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Symbol")
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

/// The name of a symbol: a string, bytes, or a C string.
///
/// The name is used as it is; nothing is mangled. A C string costs nothing, a name of fewer than 128 bytes is
/// copied to the stack, and a longer one is allocated. A NUL at the end of a string or of bytes is allowed.
pub trait SymbolName: sealed::Sealed {}

pub(crate) mod sealed {
    use std::ffi::CStr;

    pub trait Sealed {
        /// The name without a NUL, for messages.
        fn bytes(&self) -> &[u8];

        /// Calls `f` with the name as a C string, or with `None` when it contains a NUL before its end.
        fn with_c_str<R>(&self, f: impl FnOnce(Option<&CStr>) -> R) -> R;
    }
}

/// Names shorter than this are looked up without an allocation.
const STACK_NAME: usize = 128;
const SHORT_NAME: usize = 32;

/// Copies the name into a zeroed buffer, which must be longer than the name.
fn terminated<'a, const N: usize>(name: &[u8], buffer: &'a mut [u8; N]) -> Option<&'a CStr> {
    buffer[..name.len()].copy_from_slice(name);
    CStr::from_bytes_with_nul(&buffer[..=name.len()]).ok()
}

impl SymbolName for [u8] {}
impl sealed::Sealed for [u8] {
    fn bytes(&self) -> &[u8] {
        self.strip_suffix(b"\0").unwrap_or(self)
    }

    fn with_c_str<R>(&self, f: impl FnOnce(Option<&CStr>) -> R) -> R {
        if self.last() == Some(&0) {
            return f(CStr::from_bytes_with_nul(self).ok());
        }
        // Zeroing the buffer is a large part of the cost, and most names are short.
        if self.len() < SHORT_NAME {
            return f(terminated(self, &mut [0; SHORT_NAME]));
        }
        if self.len() < STACK_NAME {
            return f(terminated(self, &mut [0; STACK_NAME]));
        }
        f(std::ffi::CString::new(self).ok().as_deref())
    }
}

impl SymbolName for str {}
impl sealed::Sealed for str {
    fn bytes(&self) -> &[u8] {
        sealed::Sealed::bytes(self.as_bytes())
    }

    fn with_c_str<R>(&self, f: impl FnOnce(Option<&CStr>) -> R) -> R {
        self.as_bytes().with_c_str(f)
    }
}

impl SymbolName for CStr {}
impl sealed::Sealed for CStr {
    fn bytes(&self) -> &[u8] {
        self.to_bytes()
    }

    fn with_c_str<R>(&self, f: impl FnOnce(Option<&CStr>) -> R) -> R {
        f(Some(self))
    }
}

impl SymbolName for String {}
impl sealed::Sealed for String {
    fn bytes(&self) -> &[u8] {
        sealed::Sealed::bytes(self.as_bytes())
    }

    fn with_c_str<R>(&self, f: impl FnOnce(Option<&CStr>) -> R) -> R {
        self.as_str().with_c_str(f)
    }
}

impl<N: SymbolName + ?Sized> SymbolName for &N {}
impl<N: SymbolName + ?Sized> sealed::Sealed for &N {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }

    fn with_c_str<R>(&self, f: impl FnOnce(Option<&CStr>) -> R) -> R {
        (**self).with_c_str(f)
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Sealed;
    use super::*;

    #[test]
    fn names_of_every_length_become_the_same_c_string() {
        for length in [
            0,
            1,
            SHORT_NAME - 1,
            SHORT_NAME,
            SHORT_NAME + 1,
            STACK_NAME - 1,
            STACK_NAME,
            STACK_NAME + 1,
            1000,
        ] {
            let name = "x".repeat(length);
            name.with_c_str(|c| assert_eq!(c.unwrap().to_bytes(), name.as_bytes()));
            format!("{name}\0").with_c_str(|c| assert_eq!(c.unwrap().to_bytes(), name.as_bytes()));
            format!("{name}\0x").with_c_str(|c| assert!(c.is_none()));
        }
    }
}
