//! Native modules.

use dynload_native::Flags;

use crate::boundary::abi::ModuleHandle;
use crate::boundary::error::{ErrorCode, guard, guard_query, guard_with};
use crate::boundary::text;
use crate::objects::module;

/// An empty module handle: nothing is loaded.
pub extern "C" fn module_handle_new() -> ModuleHandle {
    guard_query(ModuleHandle::default(), ModuleHandle::default)
}

/// 1 if the handle says that a module is loaded, 0 if not. Looks at the struct only, and leaves the error as it is.
pub extern "C" fn module_is_loaded(m: ModuleHandle) -> i64 {
    guard_query(0, || (m.loaded == 1 && m.handle != 0).into())
}

/// The version of the module: 1 after the load, one more for each reload that worked, 0 when nothing is loaded. Looks at the
/// struct only, and leaves the error as it is.
pub extern "C" fn module_version(m: ModuleHandle) -> i64 {
    guard_query(0, || m.version)
}

/// Loads the shared library at `path` and resolves all its symbols. On failure the handle is empty.
///
/// What is loaded is a private copy, so the file can be rebuilt, overwritten or deleted at any time. A file that is cut off,
/// damaged or for another machine is refused before the platform's loader sees it. The constructors of the library run on this
/// thread.
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

/// As `load_module`, but functions are resolved when they are first called.
pub unsafe extern "C" fn load_module_lazy(path: i64) -> ModuleHandle {
    guard(ModuleHandle::default(), || {
        // SAFETY: the caller's promise about the text, and about the library that it names.
        unsafe { module::load(text::path(path, "path of the module")?, Flags::LAZY) }
    })
}

/// Unloads a module; 1 on success, 0 on failure. Its functions and data must not be used any more: no thread may be inside of
/// it, and no address of it be kept.
///
/// The memory is given back, unless the platform cannot (libraries with thread-local destructors stay).
pub unsafe extern "C" fn unload_module(m: ModuleHandle) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise that nothing of the module is used any more.
        unsafe { module::unload(m.handle, Some(m.path)) }?;
        Ok(1)
    })
}

/// Loads the file of a module anew and gives the handle of the new version. On failure the old version stays loaded, and is
/// what is returned.
///
/// The old version stays in memory, so that code of it that still runs ends well; its handle is not valid any more. Variables
/// of the library start afresh.
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
        unsafe { module::reload(m.handle, Some(m.path)) }
    })
}

/// The address of a function or variable of a module; 0 on failure. It is good until the module is unloaded.
///
/// `m.handle` is what `dlopen` gave, so `dlsym((void *)m.handle, name)` works too.
pub unsafe extern "C" fn get_function(m: ModuleHandle, name: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let name = unsafe { text::c_text(name, "name of the symbol") }?;
        module::symbol(m.handle, Some(m.path), name)
    })
}
