//! Wasm plugins loaded from files, as in a C program.

use dynload_ffi::abi::{WasmInstance, WasmSandbox};
use dynload_ffi::flat::{
    free_wasm_file, get_wasm_size, load_wasm_file, sandbox_load, wasm_call1, wasm_is_valid,
    wasm_required_capabilities,
};

use crate::text::Text;

/// A file that stays loaded until this is dropped.
pub(crate) struct File(i64);

impl File {
    pub(crate) fn new(name: &str) -> File {
        // SAFETY: the string outlives the call.
        File(unsafe { load_wasm_file(Text::new(name).at()) })
    }

    pub(crate) fn load_into(&self, sandbox: WasmSandbox) -> WasmInstance {
        // SAFETY: these are the library's own bytes and their size.
        unsafe { sandbox_load(sandbox, self.0, get_wasm_size(self.0)) }
    }

    pub(crate) fn required_capabilities(&self) -> i64 {
        // SAFETY: these are the library's own bytes and their size.
        unsafe { wasm_required_capabilities(self.0, get_wasm_size(self.0)) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        free_wasm_file(self.0);
    }
}

pub(crate) fn call1(plugin: WasmInstance, name: &str, argument: i64) -> i64 {
    // SAFETY: the string outlives the call.
    unsafe { wasm_call1(plugin, Text::new(name).at(), argument) }
}

pub(crate) fn valid(plugin: WasmInstance) -> &'static str {
    if wasm_is_valid(plugin) == 1 {
        "valid"
    } else {
        "not valid"
    }
}
