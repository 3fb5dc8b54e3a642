//! File names and module files.

use crate::boundary::error::{guard, guard_query, guard_release};
use crate::boundary::text;
use crate::objects::wasm_file;

/// Returns this platform's file name extension for shared libraries: the text `so`, `dylib` or `dll`, which is never
/// freed.
pub extern "C" fn get_library_extension() -> i64 {
    const EXTENSION: &std::ffi::CStr = if cfg!(windows) {
        c"dll"
    } else if cfg!(target_vendor = "apple") {
        c"dylib"
    } else {
        c"so"
    };
    guard_query(0, || text::address(EXTENSION))
}

/// Returns 1 if the file is a library that this platform can load, 0 if not. Checks the name (`plugin.so.1.2` is also
/// accepted) and, if the file exists, its headers.
///
/// ```c
/// char name[32];
/// snprintf(name, sizeof name, "plugin.%s", (const char *)get_library_extension());
/// printf("%d %d\n", (int)is_plugin_library_str(name), (int)is_plugin_library_str("plugin.txt"));
/// ```
pub unsafe extern "C" fn is_plugin_library(path: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        let path = unsafe { text::path(path, "path of the library") }?;
        Ok(dynload_native::is_plugin_library(path).into())
    })
}

/// Reads a WebAssembly module and returns the address of its bytes, for `sandbox_load`; 0 on failure. A file in the
/// text format (`.wat`) is translated. The bytes live until `free_wasm_file`.
///
/// ```c
/// int64_t bytes = load_wasm_file_str(wasm_path);
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, bytes, get_wasm_size(bytes));
/// printf("%d\n", (int)wasm_is_valid(plugin));
/// free_wasm_file(bytes);
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn load_wasm_file(path: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        wasm_file::load(unsafe { text::path(path, "path of the module") }?)
    })
}

/// Returns the number of bytes at an address that `load_wasm_file` returned; 0 on failure.
pub extern "C" fn get_wasm_size(bytes: i64) -> i64 {
    guard(0, || wasm_file::size(bytes))
}

/// Frees the bytes at an address that `load_wasm_file` returned. Returns 1 on success, 0 on failure. Plugins that
/// were loaded from them continue to work. Success leaves the error as it is.
pub extern "C" fn free_wasm_file(bytes: i64) -> i64 {
    guard_release(0, || {
        wasm_file::free(bytes)?;
        Ok(1)
    })
}
