//! Native modules, errors, files.

use crate::error::guard;
use crate::{flat, module, text};

/// `load_module` with the flags RTLD_NOW or RTLD_LAZY, either with RTLD_GLOBAL; the handle of the module, 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_module_load(path: i64, flags: i64) -> i64 {
    guard(0, || {
        let flags = module::flags(flags)?;
        // SAFETY: the caller's promise about the text, and about the library that it names.
        Ok(unsafe { module::load(text::path(path, "path of the module")?, flags) }?.handle)
    })
}

/// `unload_module`: 1 on success, 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_module_unload(handle: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise that nothing of the module is used any more.
        unsafe { module::unload(handle, None) }?;
        Ok(1)
    })
}

/// `reload_module`: the handle of the new version, 0 on failure; the old one is then still good.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_module_reload(handle: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the library.
        Ok(unsafe { module::reload(handle, None) }?.handle)
    })
}

/// `get_function`: the address, 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_module_symbol(handle: i64, name: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        module::symbol(handle, None, unsafe { text::c_text(name, "name of the symbol") }?)
    })
}

/// The path of a module, 0 on failure; the text is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn vais_module_path(handle: i64) -> i64 {
    guard(0, || Ok(module::describe(handle)?.path))
}

/// The version of a module, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_module_version(handle: i64) -> i64 {
    guard(0, || Ok(module::describe(handle)?.version))
}

/// `get_load_error`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_load_error() -> i64 {
    flat::get_load_error()
}

/// `get_load_error_code`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_load_error_code() -> i64 {
    flat::get_load_error_code()
}

/// `get_load_error_copy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_load_error_copy(buf: i64, len: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe { flat::get_load_error_copy(buf, len) }
}

/// `get_library_extension`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_get_library_extension() -> i64 {
    flat::get_library_extension()
}

/// `is_plugin_library`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_is_plugin_library(path: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe { flat::is_plugin_library(path) }
}

/// `load_wasm_file`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_wasm_file_load(path: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe { flat::load_wasm_file(path) }
}

/// `get_wasm_size`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_file_size(bytes: i64) -> i64 {
    flat::get_wasm_size(bytes)
}

/// `free_wasm_file`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_wasm_file_free(bytes: i64) -> i64 {
    flat::free_wasm_file(bytes)
}
