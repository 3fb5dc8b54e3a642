//! The images in memory: where they are, and the files that they were mapped from (`dlinfo`, `dl_iterate_phdr`).

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Handle;

/// A loaded image: its addresses, and the file that it was mapped from.
pub(crate) struct Mapped {
    pub(crate) addresses: Range<usize>,
    pub(crate) file: PathBuf,
}

/// Returns where the image of a library is.
pub(crate) fn mapped(handle: Handle) -> Option<Mapped> {
    /// The public part of `struct link_map` (dlinfo(3)), which glibc, musl and the BSDs share.
    #[repr(C)]
    struct LinkMap {
        base: usize,
        name: *const c_char,
    }
    unsafe extern "C" {
        fn dlinfo(handle: *mut c_void, request: c_int, info: *mut c_void) -> c_int;
    }
    const RTLD_DI_LINKMAP: c_int = 2;

    struct Search {
        base: usize,
        name: *const c_char,
        found: Option<Range<usize>>,
    }
    unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
        // SAFETY: `dl_iterate_phdr` passes a valid description, and the pointer that it was called with.
        let (info, search) = unsafe { (&*info, &mut *data.cast::<Search>()) };
        // SAFETY: both names are strings of the loader, which does not change them.
        let same_name = || unsafe { CStr::from_ptr(info.dlpi_name) == CStr::from_ptr(search.name) };
        if info.dlpi_addr as usize != search.base || info.dlpi_name.is_null() || !same_name() {
            return 0;
        }
        // SAFETY: the loader describes its own program headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let loaded = headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let ranges = loaded.map(|header| {
            let start = search.base.wrapping_add(header.p_vaddr as usize);
            start..start.wrapping_add(header.p_memsz as usize)
        });
        search.found = ranges.reduce(|all, next| all.start.min(next.start)..all.end.max(next.end));
        1
    }

    let mut map: *const LinkMap = std::ptr::null();
    // SAFETY: the handle is open, and the request stores one pointer.
    let failed = unsafe { dlinfo(handle.as_ptr(), RTLD_DI_LINKMAP, (&raw mut map).cast()) };
    if failed != 0 || map.is_null() {
        return None;
    }
    // SAFETY: the loader's description of an image exists for as long as the image is open.
    let LinkMap { base, name } = unsafe { map.read() };
    if name.is_null() {
        return None;
    }
    let mut search = Search {
        base,
        name,
        found: None,
    };
    // SAFETY: `visit` is called with the pointer to `search`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    // SAFETY: as above.
    let file = unsafe { CStr::from_ptr(name) };
    Some(Mapped {
        addresses: search.found?,
        file: PathBuf::from(OsStr::from_bytes(file.to_bytes())),
    })
}

/// Returns whether a library in memory was loaded through a link below `directory`, whose path has no symlinks: such a
/// library is outside, and the copies are inside.
pub(crate) fn is_in_use(directory: &Path) -> bool {
    struct Search<'a> {
        directory: &'a Path,
        found: bool,
    }
    unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
        // SAFETY: `dl_iterate_phdr` passes a valid description, and the pointer that it was called with.
        let (info, search) = unsafe { (&*info, &mut *data.cast::<Search<'_>>()) };
        if info.dlpi_name.is_null() {
            return 0;
        }
        // SAFETY: the name is a string of the loader, which does not change it.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) };
        let path = Path::new(OsStr::from_bytes(name.to_bytes()));
        let is_outside = || {
            path.canonicalize()
                .is_ok_and(|path| !path.starts_with(search.directory))
        };
        search.found = path.starts_with(search.directory) && is_outside();
        search.found.into()
    }
    let mut search = Search {
        directory,
        found: false,
    };
    // SAFETY: `visit` is called with the pointer to `search`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}
