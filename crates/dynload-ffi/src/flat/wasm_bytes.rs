//! Calls of Wasm plugins with bytes and texts.

use crate::boundary::abi::WasmInstance;
use crate::boundary::error::{guard, guard_release};
use crate::boundary::text;
use crate::objects::{instance, result_bytes};

/// Calls the exported function `name` with the `len` bytes at `input`. Returns the address of its result, which is followed by
/// a NUL; 0 on failure. Free it with `wasm_bytes_free`; `wasm_bytes_size` returns its length.
///
/// The plugin's function has an i32 parameter for the length of the input and returns an i32: 0, or 1 if its result is an
/// error text, which becomes the error (DYNLOAD_ERROR_PLUGIN). It imports `vais.read_args (i32)`, which copies the input to an
/// address, and `vais.set_result (i32, i32)`, which copies the result from an address, with a length. Plugins for typst work
/// too.
///
/// All of it is one call with one time limit.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// const char *loud = wasm_call_text(plugin, "shout", "hello");
/// if (loud) printf("%s\n", loud);
/// wasm_bytes_free((int64_t)loud);
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn wasm_call_bytes(inst: WasmInstance, name: i64, input: i64, len: i64) -> i64 {
    guard(0, || {
        let len = text::length(len, "length of the input")?;
        // SAFETY: the caller's promise about the text and the bytes.
        let (name, input) = unsafe {
            (
                text::text(name, "name of the function")?,
                text::slice(input, len, "input")?,
            )
        };
        instance::call_bytes(inst.handle, name, &[input]).map(result_bytes::keep)
    })
}

/// Calls a function like `wasm_call_bytes`, with `count` inputs: their addresses are at `inputs`, their lengths at `lengths`.
/// The plugin's function has an i32 parameter for each length; `vais.read_args` copies the inputs one after the other.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// int64_t inputs[2] = {(int64_t)"hello, ", (int64_t)"world"}, lengths[2] = {7, 5};
/// int64_t joined = wasm_call_bytes_n(plugin, (int64_t)"join", (int64_t)inputs, (int64_t)lengths, 2);
/// if (joined) printf("%s\n", (const char *)joined);
/// wasm_bytes_free(joined);
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn wasm_call_bytes_n(
    inst: WasmInstance,
    name: i64,
    inputs: i64,
    lengths: i64,
    count: i64,
) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text and the arrays.
        let (name, inputs) = unsafe {
            (
                text::text(name, "name of the function")?,
                text::inputs(inputs, lengths, count)?,
            )
        };
        instance::call_bytes(inst.handle, name, &inputs).map(result_bytes::keep)
    })
}

/// Returns the length of a result of `wasm_call_bytes`, without the NUL; -1 on failure.
pub extern "C" fn wasm_bytes_size(result: i64) -> i64 {
    guard(-1, || result_bytes::size(result))
}

/// Frees a result of `wasm_call_bytes`. Returns 1 on success, 0 on failure. 0 is accepted, as the result of a call that failed.
/// Success leaves the error as it is.
pub extern "C" fn wasm_bytes_free(result: i64) -> i64 {
    guard_release(0, || {
        if result != 0 {
            result_bytes::free(result)?;
        }
        Ok(1)
    })
}
