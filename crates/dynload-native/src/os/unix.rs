//! `dlopen`, `dlsym`, `dlclose` (POSIX.1-2008), and what glibc and macOS add to them.

use std::ffi::{CStr, c_int, c_void};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY, RTLD_LOCAL, RTLD_NOW};

use super::loader_error;
use crate::error::LoaderError;
use crate::flags::Flags;

/// A handle of `dlopen`, closed only by [`close`].
///
/// It is stored as an address, so that any thread may use it: in POSIX.1-2008 (XSH 2.9.1) every function of the `dl`
/// family except `dlerror` is thread-safe, and `dlerror` is per thread on every platform that this crate is used on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Handle(usize);

impl Handle {
    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.0 as *mut c_void
    }

    fn library(self) -> ManuallyDrop<Library> {
        // SAFETY: a `Handle` is only created from a successful `dlopen`; `ManuallyDrop` keeps it from being
        // closed here.
        ManuallyDrop::new(unsafe { Library::from_raw(self.as_ptr()) })
    }
}

impl From<Library> for Handle {
    fn from(library: Library) -> Handle {
        Handle(library.into_raw() as usize)
    }
}

/// Returns this platform's values of the flags.
fn dlopen_flags(flags: Flags) -> c_int {
    let binding = if flags.is_lazy() { RTLD_LAZY } else { RTLD_NOW };
    // On macOS, this makes `dlsym` find only what the library itself defines.
    #[cfg(target_vendor = "apple")]
    let binding = binding | libc::RTLD_FIRST;
    binding
        | if flags.contains(Flags::GLOBAL) {
            RTLD_GLOBAL
        } else {
            RTLD_LOCAL
        }
}

/// Opens a library by path, or by name where `path` has no separator.
///
/// # Safety
///
/// The library's constructors run now, and its destructors when it is closed or the process ends: the caller
/// answers for both.
pub(crate) unsafe fn open(path: &Path, flags: Flags) -> Result<Handle, LoaderError> {
    // SAFETY: the caller answers for the constructors and destructors.
    unsafe { Library::open(Some(path), dlopen_flags(flags)) }
        .map(Handle::from)
        .map_err(loader_error)
}

/// Opens the program itself and the libraries that it was linked with.
pub(crate) fn this_process() -> Result<Handle, LoaderError> {
    // SAFETY: a null file name opens nothing new, so no constructor runs.
    unsafe { Library::open(None::<&Path>, dlopen_flags(Flags::NOW)) }
        .map(Handle::from)
        .map_err(loader_error)
}

/// Returns the address of a symbol of the library or of one that it needs, in the order of dlsym(3); null when the symbol
/// exists and its address is null.
pub(crate) fn address(handle: Handle, name: &CStr) -> Result<*mut c_void, LoaderError> {
    // SAFETY: the handle is open, and the name ends with a NUL.
    let found = unsafe { libc::dlsym(handle.as_ptr(), name.as_ptr()) };
    // Only null is ambiguous, so only null costs the two calls of `dlerror` that distinguish its meanings.
    if found.is_null() {
        address_or_error(handle, name)
    } else {
        Ok(found)
    }
}

#[cold]
fn address_or_error(handle: Handle, name: &CStr) -> Result<*mut c_void, LoaderError> {
    let library = handle.library();
    // SAFETY: the address is only read as an address, which every symbol has.
    let symbol = unsafe { library.get::<*mut c_void>(name) };
    symbol.map(|symbol| symbol.as_raw_ptr()).map_err(loader_error)
}

/// Returns the directory of a file if code cannot be mapped from there: its file system is mounted `noexec`.
#[cfg(target_os = "linux")]
pub(crate) fn no_exec(file: &Path) -> Option<PathBuf> {
    let directory = file.parent()?;
    let found = rustix::fs::statvfs(directory).ok()?;
    let noexec = found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
    noexec.then(|| directory.to_owned())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn no_exec(_file: &Path) -> Option<PathBuf> {
    None
}

/// The loader of macOS follows links before it names an image.
#[cfg(target_vendor = "apple")]
pub(crate) fn is_in_use(_directory: &Path) -> bool {
    false
}

/// Closes the handle. The image is unmapped when it is not open elsewhere and nothing else keeps it.
///
/// # Safety
///
/// The handle is not used again, and nothing refers to the image: no address of a symbol, no running code, no
/// value whose destructor or vtable is inside.
pub(crate) unsafe fn close(handle: Handle) -> Result<(), LoaderError> {
    ManuallyDrop::into_inner(handle.library())
        .close()
        .map_err(loader_error)
}

/// Returns the handle of an image in memory, by the path of its file or by the name for which the loader uses it
/// (`DT_SONAME`). The image stays as it was.
pub(crate) fn loaded(path_or_name: impl AsRef<Path>) -> Option<Handle> {
    // SAFETY: with `RTLD_NOLOAD` nothing is loaded, so no constructor runs.
    let library =
        unsafe { Library::open(Some(path_or_name.as_ref()), libc::RTLD_NOLOAD | RTLD_LAZY) }.ok()?;
    let handle = Handle::from(library);
    // SAFETY: the handle was returned by `dlopen` just now and was not closed.
    drop(unsafe { Library::from_raw(handle.as_ptr()) });
    Some(handle)
}

/// Returns whether the image of a closed handle is still in memory: it is open elsewhere, or it cannot be unloaded
/// (`DF_1_NODELETE`, thread-local destructors that have yet to run).
pub(crate) fn is_mapped(handle: Handle, path: &Path) -> bool {
    // glibc, musl and macOS return the same handle for the same image.
    loaded(path) == Some(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_the_platforms_values() {
        assert_eq!(dlopen_flags(Flags::LAZY), libc::RTLD_LAZY | libc::RTLD_LOCAL);
        assert_eq!(dlopen_flags(Flags::NOW), libc::RTLD_NOW | libc::RTLD_LOCAL);
        assert_eq!(
            dlopen_flags(Flags::NOW | Flags::GLOBAL),
            libc::RTLD_NOW | libc::RTLD_GLOBAL
        );
        assert_eq!(
            dlopen_flags(Flags::LAZY | Flags::NOW),
            libc::RTLD_NOW | libc::RTLD_LOCAL
        );
    }
}
