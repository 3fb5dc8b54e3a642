//! Instances of Wasm plugins.

use dynload_sandbox::Usage;

use crate::boundary::abi::WasmInstance;
use crate::boundary::error::{
    Error, ErrorCode, Result, guard, guard_query, guard_release, guard_signal, guard_with,
};
use crate::boundary::text;
use crate::objects::{instance, sandbox, wasm_file};

/// Calls the exported function `name` without arguments and returns its result; 0 if it has none, and on failure. If
/// the result is 0, `get_load_error_code() != 0` means failure.
///
/// An i32 result is sign-extended. If the function has another type, that is an error that names both types. Calls
/// from several threads into one instance wait for each other; in a callback no call waits, and a call into an
/// instance that is in use is an error.
pub unsafe extern "C" fn wasm_call(inst: WasmInstance, name: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        instance::call(
            inst.handle,
            unsafe { text::text(name, "name of the function") }?,
            &[],
        )
    })
}

/// Calls a function like `wasm_call`, with one argument. For an i32 parameter, the value must fit.
pub unsafe extern "C" fn wasm_call1(inst: WasmInstance, name: i64, arg: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        instance::call(
            inst.handle,
            unsafe { text::text(name, "name of the function") }?,
            &[arg],
        )
    })
}

/// Calls a function like `wasm_call`, with two arguments.
pub unsafe extern "C" fn wasm_call2(inst: WasmInstance, name: i64, arg1: i64, arg2: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the text.
        instance::call(
            inst.handle,
            unsafe { text::text(name, "name of the function") }?,
            &[arg1, arg2],
        )
    })
}

/// Calls the exported function `name` with the `nargs` arguments at `args` and writes its results to `results`, which
/// must have room for exactly `nresults` values. Returns DYNLOAD_OK (0), or the number of the error.
///
/// Floats are passed as their bits: those of a double, or those of a float in the lower half.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// int64_t args[2] = {40, 2}, result[1];
/// if (wasm_call_n_str(plugin, "add", args, 2, result, 1) == DYNLOAD_OK) printf("%d\n", (int)result[0]);
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn wasm_call_n(
    inst: WasmInstance,
    name: i64,
    args: i64,
    nargs: i64,
    results: i64,
    nresults: i64,
) -> i64 {
    guard_with(
        |code| code as i64,
        || {
            let (nargs, nresults) = (
                text::length(nargs, "number of arguments")?,
                text::length(nresults, "number of results")?,
            );
            // SAFETY: the caller's promise about the text and the arrays.
            let (name, args) = unsafe {
                (
                    text::text(name, "name of the function")?,
                    text::slice(args, nargs, "array of arguments")?,
                )
            };
            // The arrays may overlap, so the arguments are copied before the results are written.
            let args: Vec<i64> = args.to_vec();
            let mut given = vec![0; nresults.min(MAX_RESULTS)];
            if nresults > MAX_RESULTS {
                let message =
                    format!("the number of results is {nresults}: a function has at most {MAX_RESULTS}");
                return Err(Error::new(ErrorCode::InvalidArgument, message));
            }
            instance::call_n(inst.handle, name, &args, &mut given)?;
            // SAFETY: the caller's promise about the array.
            unsafe { text::store(results, &given, "array of results") }?;
            Ok(0)
        },
    )
}

/// The maximum number of results of a function: the limit of the engine.
const MAX_RESULTS: usize = 1_000;

/// Returns 1 if the instance can be called, 0 if it does not exist or is poisoned by an aborted call (`wasm_reset`
/// makes it callable again). Leaves the error as it is.
pub extern "C" fn wasm_is_valid(inst: WasmInstance) -> i64 {
    guard_query(0, || instance::is_valid(inst.handle).into())
}

fn usage(inst: WasmInstance, read: impl FnOnce(Usage) -> Option<u64>) -> i64 {
    guard(-1, || {
        let value = read(instance::usage(inst.handle)?);
        value.map(|value| i64::try_from(value).unwrap_or(i64::MAX)).ok_or_else(|| {
            Error::new(
                ErrorCode::NotFound,
                "the peaks of stack and call depth were not recorded: call sandbox_set_profile(s, 1) before sandbox_load",
            )
        })
    })
}

/// Returns the fuel that the last call used, or the start function if there was no call yet: WebAssembly operators,
/// and the host's work for the plugin; -1 on failure.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// wasm_call2_str(plugin, "add", 40, 2);
/// printf("%d\n", (int)wasm_fuel_used(plugin));
/// sandbox_destroy(s);
/// ```
pub extern "C" fn wasm_fuel_used(inst: WasmInstance) -> i64 {
    usage(inst, |usage| Some(usage.fuel))
}

/// Returns the peak size of the plugin's memories and tables in bytes since it was loaded or reset; -1 on failure.
pub extern "C" fn wasm_peak_memory(inst: WasmInstance) -> i64 {
    usage(inst, |usage| Some(usage.peak_memory_bytes))
}

/// Returns the peak size of the plugin's buffers on GPUs in bytes since it was loaded or reset; -1 on failure.
pub extern "C" fn wasm_gpu_memory(inst: WasmInstance) -> i64 {
    usage(inst, |usage| Some(usage.peak_gpu_memory_bytes))
}

/// Returns the peak stack size of the last call in bytes, in a sandbox with `sandbox_set_profile`; -1 on failure.
pub extern "C" fn wasm_peak_stack(inst: WasmInstance) -> i64 {
    usage(inst, |usage| usage.peak_stack_bytes)
}

/// Returns the peak number of frames of the last call, in a sandbox with `sandbox_set_profile`; -1 on failure.
pub extern "C" fn wasm_peak_depth(inst: WasmInstance) -> i64 {
    usage(inst, |usage| usage.peak_call_depth)
}

/// Copies `len` bytes at `offset` of the plugin's memory to `buf`. Returns 1 on success, 0 on failure; on failure
/// nothing is copied.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// char text[6] = "hello";
/// wasm_memory_write(plugin, 16, (int64_t)text, 6);
/// char back[6];
/// if (wasm_memory_read(plugin, 16, (int64_t)back, 6)) printf("%s\n", back);
/// sandbox_destroy(s);
/// ```
pub unsafe extern "C" fn wasm_memory_read(inst: WasmInstance, offset: i64, buf: i64, len: i64) -> i64 {
    guard(0, || {
        let (from, len) = range(offset, len)?;
        instance::with_memory(inst.handle, |memory| {
            let bytes = memory.slice(from, len).map_err(out_of_bounds)?;
            // SAFETY: the caller's promise about the buffer.
            unsafe { text::store(buf, bytes, "buffer") }?;
            Ok(1)
        })
    })
}

/// Copies `len` bytes at `buf` to `offset` of the plugin's memory. Returns 1 on success, 0 on failure; on failure
/// nothing is copied.
pub unsafe extern "C" fn wasm_memory_write(inst: WasmInstance, offset: i64, buf: i64, len: i64) -> i64 {
    guard(0, || {
        let (to, len) = range(offset, len)?;
        instance::with_memory(inst.handle, |mut memory| {
            let bytes = memory.slice_mut(to, len).map_err(out_of_bounds)?;
            // SAFETY: the caller's promise about the buffer.
            bytes.copy_from_slice(unsafe { text::slice(buf, bytes.len(), "buffer") }?);
            Ok(1)
        })
    })
}

fn range(offset: i64, len: i64) -> Result<(u32, u32)> {
    let len = u32::try_from(text::length(len, "number of bytes")?).map_err(|_| {
        Error::new(
            ErrorCode::InvalidArgument,
            format!("the number of bytes is {len}: it must be at most {}", u32::MAX),
        )
    })?;
    Ok((instance::offset(offset)?, len))
}

fn out_of_bounds(error: dynload_sandbox::OutOfBounds) -> Error {
    Error::new(ErrorCode::InvalidArgument, error.to_string())
}

/// Ends the call that runs in an instance, from any thread; that call fails with DYNLOAD_ERROR_INTERRUPTED. Does
/// nothing if no call runs, and never ends a call that begins later. Returns 1 if the instance exists, 0 if not.
///
/// Never waits. It is the only function that a signal handler may call (it is async-signal-safe), so it leaves the
/// error as it is.
pub extern "C" fn wasm_interrupt(inst: WasmInstance) -> i64 {
    guard_signal(0, || i64::from(instance::interrupt(inst.handle)))
}

/// Resets an instance: initializes its memory and variables, and runs the start function and, in a reactor,
/// `_initialize`. A poisoned instance can then be called again. Returns 1 on success, 0 on failure. After a failure the
/// instance is poisoned, and its old state is lost.
///
/// ```c
/// WasmSandbox s = sandbox_new();
/// WasmInstance plugin = sandbox_load(s, wasm, wasm_len);
/// wasm_call_str(plugin, "trap");
/// printf("%d\n", (int)wasm_is_valid(plugin));
/// wasm_reset(plugin);
/// printf("%d\n", (int)wasm_is_valid(plugin));
/// sandbox_destroy(s);
/// ```
pub extern "C" fn wasm_reset(inst: WasmInstance) -> i64 {
    guard(0, || {
        instance::reset(inst.handle)?;
        Ok(1)
    })
}

/// Destroys an instance. Returns 1 on success, 0 on failure. A call that runs in it is interrupted; this function
/// does not wait for it.
pub extern "C" fn wasm_instance_destroy(inst: WasmInstance) -> i64 {
    guard_release(0, || {
        sandbox::destroy_instance(inst.handle)?;
        Ok(1)
    })
}

/// Returns the capabilities that the imports of a module can use, determined without running it. Returns -1 on
/// failure, which has every bit set and so never looks harmless.
///
/// ```c
/// int64_t needed = wasm_required_capabilities(wasm, wasm_len);
/// printf("%d\n", (int)has_dangerous_capabilities(needed));
/// ```
pub unsafe extern "C" fn wasm_required_capabilities(bytes: i64, len: i64) -> i64 {
    guard(-1, || {
        // SAFETY: the caller's promise about the bytes.
        let bytes = unsafe { wasm_file::bytes(bytes, len) }?;
        Ok(sandbox::bits(
            sandbox::compile(bytes.as_slice())?.required_capabilities(),
        ))
    })
}
