//! Native modules.

use dynload_native::Flags;

use crate::boundary::abi::ModuleHandle;
use crate::boundary::error::{ErrorCode, guard, guard_query, guard_release, guard_with};
use crate::boundary::text;
use crate::objects::module;

/// Returns an empty module handle: no module is loaded.
pub extern "C" fn module_handle_new() -> ModuleHandle {
    guard_query(ModuleHandle::default(), ModuleHandle::default)
}

/// Returns 1 if the handle says that a module is loaded, 0 if not. Reads only the struct, and leaves the error as it
/// is.
pub extern "C" fn module_is_loaded(m: ModuleHandle) -> i64 {
    guard_query(0, || (m.loaded == 1 && m.handle != 0).into())
}

/// Returns the version of the module: 1 after the load, incremented by each successful reload, 0 if no module is
/// loaded. Reads only the struct, and leaves the error as it is.
pub extern "C" fn module_version(m: ModuleHandle) -> i64 {
    guard_query(0, || m.version)
}

/// Loads the shared library at `path` and resolves all its symbols. Returns an empty handle on failure.
///
/// The library loads a private copy of the file, so the file can be rebuilt, overwritten or deleted at any time. A
/// file that is truncated, damaged or for another machine is refused before the platform's loader sees it. The
/// constructors of the shared library run on this thread.
///
/// ```c
/// ModuleHandle m = load_module_str(library_path);
/// if (module_is_loaded(m) == 1) {
///     int64_t (*add)(int64_t, int64_t) = (int64_t (*)(int64_t, int64_t))get_function_str(m, "add");
///     if (add != NULL) printf("%d\n", (int)add(2, 3));
///     unload_module(m);
/// } else {
///     fprintf(stderr, "%s\n", get_load_error_str());
/// }
/// ```
pub unsafe extern "C" fn load_module(path: i64) -> ModuleHandle {
    guard(ModuleHandle::default(), || {
        // SAFETY: the caller's promise about the text, and about the library that it names.
        unsafe { module::load(text::path(path, "path of the module")?, Flags::NOW) }
    })
}

/// Loads a shared library like `load_module`, but resolves functions when they are first called.
pub unsafe extern "C" fn load_module_lazy(path: i64) -> ModuleHandle {
    guard(ModuleHandle::default(), || {
        // SAFETY: the caller's promise about the text, and about the library that it names.
        unsafe { module::load(text::path(path, "path of the module")?, Flags::LAZY) }
    })
}

/// Unloads a module. Returns 1 on success, 0 on failure. Its functions and data must no longer be in use: no thread
/// may be inside the module, and no address in it may be kept. The handle is an error from then on. The text at `m.path`
/// stays readable; it is unchanged or empty.
///
/// The memory is released, unless the platform cannot release it (libraries with thread-local destructors stay in
/// memory).
pub unsafe extern "C" fn unload_module(m: ModuleHandle) -> i64 {
    guard_release(0, || {
        // SAFETY: the caller's promise that the module is no longer used.
        unsafe { module::unload(m.handle, m.path) }?;
        Ok(1)
    })
}

/// Reloads a module from its file and returns the handle of the new version. On failure the old version stays loaded,
/// and its handle is returned.
///
/// The old version stays in memory, so that calls that are still running in it can complete; its handle is no longer
/// valid. The variables of the library are initialized again. A library that was loaded with RTLD_GLOBAL (by
/// `vais_module_load`) keeps providing its first version's symbols to the libraries that are loaded later: the loader uses
/// the first definition of a name.
///
/// ```c
/// ModuleHandle m = load_module_str(library_path);
/// m = reload_module(m);
/// printf("version %d\n", (int)module_version(m));
/// ```
pub unsafe extern "C" fn reload_module(m: ModuleHandle) -> ModuleHandle {
    let failed = |code| {
        if code == ErrorCode::InvalidHandle {
            ModuleHandle::default()
        } else {
            m
        }
    };
    guard_with(failed, || {
        // SAFETY: the caller's promise about the library.
        unsafe { module::reload(m.handle, m.path) }
    })
}

/// Returns the address of a function or variable that a module defines; 0 on failure. It is valid until the module is
/// unloaded.
///
/// Symbols of the libraries that it needs are not found: see `get_function_in_scope`.
pub unsafe extern "C" fn get_function(m: ModuleHandle, name: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let name = unsafe { text::c_text(name, "name of the symbol") }?;
        module::symbol(m.handle, m.path, name)
    })
}

/// Returns the address of a function or variable that a module or a library that it needs defines; 0 on failure. It is
/// valid until the module is unloaded. On macOS and Windows, only those that the module defines are found.
///
/// The libraries are searched in the order of `dlsym`. `m.handle` is the handle that `dlopen` returned, so
/// `dlsym((void *)m.handle, name)` finds the same.
pub unsafe extern "C" fn get_function_in_scope(m: ModuleHandle, name: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let name = unsafe { text::c_text(name, "name of the symbol") }?;
        module::symbol_in_scope(m.handle, m.path, name)
    })
}
