//! `LoadLibraryExW`, `GetProcAddress`, `FreeLibrary`.

use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use libloading::os::windows::{LOAD_LIBRARY_SEARCH_DEFAULT_DIRS, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, Library};

use super::loader_error;
use crate::error::LoaderError;
use crate::flags::Flags;

/// A module handle, closed only by [`close`].
///
/// It is stored as an address, so that any thread may use it: the loader has its own lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Handle(usize);

impl Handle {
    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.0 as *mut c_void
    }

    fn library(self) -> ManuallyDrop<Library> {
        // SAFETY: a `Handle` is only created from a successful load; `ManuallyDrop` keeps it from being
        // freed here.
        ManuallyDrop::new(unsafe { Library::from_raw(self.0 as _) })
    }
}

impl From<Library> for Handle {
    fn from(library: Library) -> Handle {
        Handle(library.into_raw() as usize)
    }
}

/// Opens a library by path, or by name where `path` has no separator.
///
/// # Safety
///
/// The library's `DllMain` runs now, and when it is freed or the process ends: the caller answers for both.
pub(crate) unsafe fn open(path: &Path, _flags: Flags) -> Result<Handle, LoaderError> {
    // The directory of the library itself is searched for what it needs, which the default search leaves out;
    // it may be named only with an absolute path (LoadLibraryExW).
    let search = LOAD_LIBRARY_SEARCH_DEFAULT_DIRS
        | if path.is_absolute() {
            LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR
        } else {
            0
        };
    // SAFETY: the caller answers for `DllMain`.
    unsafe { Library::load_with_flags(path, search) }
        .map(Handle::from)
        .map_err(loader_error)
}

/// Opens the program itself. Libraries that it was linked with are not searched (GetModuleHandleExW).
pub(crate) fn this_process() -> Result<Handle, LoaderError> {
    Library::this().map(Handle::from).map_err(loader_error)
}

/// Returns the address of a symbol.
pub(crate) fn address(handle: Handle, name: &CStr) -> Result<*mut c_void, LoaderError> {
    let library = handle.library();
    // SAFETY: the address is only read as an address, which every symbol has.
    let symbol = unsafe { library.get::<*mut c_void>(name) };
    symbol.map(|symbol| symbol.as_raw_ptr()).map_err(loader_error)
}

/// Windows has no file system from which code cannot be mapped.
pub(crate) fn no_exec(_file: &Path) -> Option<PathBuf> {
    None
}

/// A hard link has no effect on what a library finds relative to its path.
pub(crate) fn is_in_use(_directory: &Path) -> bool {
    false
}

/// Closes the handle. The image is unmapped when it is not open elsewhere.
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

/// Returns the handle of an image in memory, by its path or by its name. The image stays as it was.
pub(crate) fn loaded(path_or_name: impl AsRef<Path>) -> Option<Handle> {
    let library = Library::open_already_loaded(path_or_name.as_ref()).ok()?;
    let handle = Handle::from(library);
    // SAFETY: the handle was returned just now and was not closed.
    drop(unsafe { Library::from_raw(handle.0 as _) });
    Some(handle)
}

/// Returns whether the image of a closed handle is still in memory because it is open elsewhere.
pub(crate) fn is_mapped(handle: Handle, path: &Path) -> bool {
    loaded(path) == Some(handle)
}
