//! Plugin systems: directories whose plugins are loaded and called by id.

use std::time::Duration;

use crate::boundary::abi::ResourceLimits;
use crate::boundary::error::{Error, ErrorCode, guard, guard_release};
use crate::boundary::text;
use crate::objects::{plugin_host, sandbox};

/// Creates a plugin system for the directory `dir`, or for the standard directories if `dir` is 0. Returns its handle, 0 on
/// failure. Nothing is loaded before the first call of another function than `plugins_set_config` and `plugins_set_limits`.
///
/// Each Wasm plugin gets a sandbox of its own, with the capabilities that its manifest requests and that are in `capabilities`,
/// and the lower of its limits and the host's. Native plugins are not loaded.
///
/// ```c
/// int64_t plugins = plugins_new_str(plugin_dir, CAP_CONSOLE | CAP_TIME);
/// const char *loud = plugins_call_text(plugins, "shout", "shout", "hello");
/// if (loud) printf("%s\n", loud);
/// wasm_bytes_free((int64_t)loud);
/// plugins_close(plugins);
/// ```
pub unsafe extern "C" fn plugins_new(dir: i64, capabilities: i64) -> i64 {
    guard(0, || {
        let dir = match dir {
            0 => None,
            // SAFETY: the caller's promise about the text.
            dir => Some(unsafe { text::path(dir, "directory") }?),
        };
        plugin_host::create(dir, sandbox::capabilities(capabilities)?)
    })
}

/// Sets a setting of the plugin `id`, which its manifest declares; the text is read as the declared type. Returns 1 on success,
/// 0 on failure, for instance after the plugins were loaded.
pub unsafe extern "C" fn plugins_set_config(plugins: i64, id: i64, name: i64, value: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the texts.
        let (id, name, value) = unsafe {
            (
                text::text(id, "id of the plugin")?,
                text::text(name, "name of the setting")?,
                text::text(value, "value")?,
            )
        };
        plugin_host::configure(plugins, |settings| settings.with_config_text(id, name, value))
    })
}

/// Sets the limits of the host, which apply where a plugin requests no lower ones. Returns 1 on success, 0 on failure, for
/// instance after the plugins were loaded. The default is `default_limits`.
pub extern "C" fn plugins_set_limits(plugins: i64, limits: ResourceLimits) -> i64 {
    guard(0, || {
        let limits = sandbox::limits(limits)?;
        plugin_host::configure(plugins, |settings| settings.with_limits(limits))
    })
}

/// Loads the plugins; later, searches again: loads new plugins, reloads changed ones, drops those that are gone. Returns 1 on
/// success, 0 on failure. A plugin that cannot be loaded is an event, not a failure.
pub extern "C" fn plugins_refresh(plugins: i64) -> i64 {
    guard(0, || plugin_host::refresh(plugins))
}

/// Refreshes by itself from now on, every `interval_ms` milliseconds and when a file of a plugin changes. Returns 1 on success,
/// 0 on failure.
pub extern "C" fn plugins_watch(plugins: i64, interval_ms: i64) -> i64 {
    guard(0, || {
        let interval = u64::try_from(interval_ms).map_err(|_| {
            let message = format!("the interval is {interval_ms} ms: it cannot be negative");
            Error::new(ErrorCode::InvalidArgument, message)
        })?;
        plugin_host::watch(plugins, Duration::from_millis(interval))
    })
}

/// Calls the function `name` of the plugin `id` with the `len` bytes at `input`: see `wasm_call_bytes`. Returns the address of
/// its result; 0 on failure. Free it with `wasm_bytes_free`.
pub unsafe extern "C" fn plugins_call_bytes(plugins: i64, id: i64, name: i64, input: i64, len: i64) -> i64 {
    guard(0, || {
        let len = text::length(len, "length of the input")?;
        // SAFETY: the caller's promise about the texts and the bytes.
        let (id, name, input) = unsafe {
            (
                text::text(id, "id of the plugin")?,
                text::text(name, "name of the function")?,
                text::slice(input, len, "input")?,
            )
        };
        plugin_host::call_bytes(plugins, id, name, &[input])
    })
}

/// Calls a function like `plugins_call_bytes`, with `count` inputs: see `wasm_call_bytes_n`.
pub unsafe extern "C" fn plugins_call_bytes_n(
    plugins: i64,
    id: i64,
    name: i64,
    inputs: i64,
    lengths: i64,
    count: i64,
) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the texts and the arrays.
        let (id, name, inputs) = unsafe {
            (
                text::text(id, "id of the plugin")?,
                text::text(name, "name of the function")?,
                text::inputs(inputs, lengths, count)?,
            )
        };
        plugin_host::call_bytes(plugins, id, name, &inputs)
    })
}

/// Returns the next event as a text: a plugin was loaded, reloaded, dropped, or why not; 0 if there is none, and on failure.
/// Free it with `wasm_bytes_free`.
///
/// ```c
/// int64_t plugins = plugins_new_str(plugin_dir, CAP_CONSOLE | CAP_TIME);
/// for (const char *event; (event = plugins_next_event_str(plugins)) != NULL; wasm_bytes_free((int64_t)event)) {
///     printf("%s\n", event);
/// }
/// plugins_close(plugins);
/// ```
pub extern "C" fn plugins_next_event(plugins: i64) -> i64 {
    guard(0, || plugin_host::next_event(plugins))
}

/// Closes a plugin system. Its plugins are dropped when their calls have ended. Returns 1 on success, 0 on failure. Success
/// leaves the error as it is.
pub extern "C" fn plugins_close(plugins: i64) -> i64 {
    guard_release(0, || {
        plugin_host::close(plugins)?;
        Ok(1)
    })
}
