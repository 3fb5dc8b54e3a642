//! Plugin discovery.

use crate::boundary::abi::{ModuleHandle, PluginList, WasmSandbox};
use crate::boundary::error::{guard, guard_release};
use crate::boundary::text;
use crate::objects::plugins::{self, Field};
use crate::objects::{module, result_bytes};

/// Looks for plugins in the directories of `VAIS_PLUGIN_PATH`, in the user's and in the system's plugin directories.
/// No plugin code is run. Returns an empty list with the handle 0 on failure.
///
/// ```c
/// PluginList list = discover_plugins();
/// for (int64_t i = 0; i < list.count; i++) {
///     printf("%s %s\n", (const char *)plugin_id(list, i), (const char *)plugin_version(list, i));
/// }
/// plugin_list_destroy(list);
/// ```
pub extern "C" fn discover_plugins() -> PluginList {
    guard(PluginList::default(), || plugins::discover(None))
}

/// Looks for plugins in one directory; otherwise as `discover_plugins`. If the directory does not exist, the list is
/// empty.
pub unsafe extern "C" fn discover_plugins_in(dir: i64) -> PluginList {
    guard(PluginList::default(), || {
        // SAFETY: the caller's promise about the text.
        plugins::discover(Some(unsafe { text::path(dir, "directory") }?))
    })
}

/// Returns the id of plugin `i`, counted from 0; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_id(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Id))
}

/// Returns the human-readable name of plugin `i`; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_name(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Name))
}

/// Returns the version of plugin `i`, empty for a file without a manifest; 0 on failure. The text lives as long as
/// the list.
pub extern "C" fn plugin_version(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Version))
}

/// Returns the path of the file of plugin `i` for this platform; 0 on failure, and if the plugin has no such file.
/// The text lives as long as the list.
pub extern "C" fn plugin_path(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Path))
}

/// Returns the format of plugin `i`: `native`, `wasm` or `vais`; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_format(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Format))
}

/// Returns the capabilities that the manifest of plugin `i` requests, 0 without a manifest; -1 on failure.
pub extern "C" fn plugin_capabilities(list: PluginList, i: i64) -> i64 {
    guard(-1, || plugins::capabilities(list.handle, i))
}

/// Returns the number of problems that the discovery found; -1 on failure.
///
/// A plugin that is not listed because another one has the same id is one of them, and so is a dependency that is not
/// satisfied.
pub extern "C" fn plugin_problem_count(list: PluginList) -> i64 {
    guard(-1, || plugins::problem_count(list.handle))
}

/// Returns problem `i`, counted from 0: `error`, `warning` or `note`, the file and the line if it has them, and the
/// description; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_problem(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::problem(list.handle, i))
}

/// Sets a setting of plugin `i`, which its manifest declares; the text is read as the declared type. If `value` is 0, the
/// default of the manifest applies again. Returns 1 on success, 0 on failure. It takes effect when the plugin is admitted or
/// loaded.
pub unsafe extern "C" fn plugin_set_config(list: PluginList, i: i64, name: i64, value: i64) -> i64 {
    guard(0, || {
        // SAFETY: the caller's promise about the texts.
        let (name, value) = unsafe {
            let name = text::text(name, "name of the setting")?;
            match value {
                0 => (name, None),
                value => (name, Some(text::text(value, "value")?)),
            }
        };
        plugins::set_config(list.handle, i, name, value)
    })
}

/// Reduces a sandbox to what the Wasm plugin `i` requests in its manifest: its capabilities and scopes, the lower of its limits
/// and those of the sandbox, and its settings. Returns the address of a text with a line for each thing that the manifest
/// requests and the sandbox does not allow, empty if it allows all; 0 on failure, and then the sandbox is unchanged. Free it
/// with `wasm_bytes_free`.
///
/// What the sandbox allows before is what the host allows the plugin, so each plugin needs a sandbox of its own, in which
/// nothing was loaded. The error is DYNLOAD_ERROR_CAPABILITY_DENIED if the plugin needs a capability that the sandbox does
/// not grant.
/// Values of `plugin_set_config` and `sandbox_set_config` are checked against the settings that the manifest declares; one that
/// it does not declare is an error, and so is a required setting without a value. A plugin without a manifest requests nothing.
///
/// ```c
/// PluginList list = discover_plugins_in_str(plugin_dir);
/// for (int64_t i = 0; i < list.count; i++) {
///     WasmSandbox s = sandbox_grant(sandbox_new(), CAP_CONSOLE | CAP_TIME);
///     const char *missing = plugin_admit_str(list, i, s);
///     if (missing) printf("%s: %s\n", (const char *)plugin_id(list, i), *missing ? missing : "as requested");
///     wasm_bytes_free((int64_t)missing);
///     sandbox_destroy(s);
/// }
/// plugin_list_destroy(list);
/// ```
pub extern "C" fn plugin_admit(list: PluginList, i: i64, s: WasmSandbox) -> i64 {
    guard(0, || {
        let missing = plugins::admit(list.handle, i, s.handle)?;
        Ok(result_bytes::keep(missing.into_bytes()))
    })
}

/// Loads the native plugin `i` like `load_module`, and passes it its settings: for each, its `dynload_plugin_configure` is
/// called before its `init`, also after `reload_module`. Returns an empty handle on failure, for instance if the plugin refuses
/// a setting, or if it has settings and does not export that function.
pub unsafe extern "C" fn plugin_load_module(list: PluginList, i: i64) -> ModuleHandle {
    guard(ModuleHandle::default(), || {
        let (path, options) = plugins::native(list.handle, i)?;
        // SAFETY: the caller's promise about the library.
        unsafe { module::load_with(&path, options) }
    })
}

/// Frees a list and its texts. Returns 1 on success, 0 on failure.
pub extern "C" fn plugin_list_destroy(list: PluginList) -> i64 {
    guard_release(0, || {
        plugins::destroy(list.handle)?;
        Ok(1)
    })
}
