//! Plugin discovery.

use crate::boundary::abi::PluginList;
use crate::boundary::error::{guard, guard_release};
use crate::boundary::text;
use crate::objects::plugins::{self, Field};

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

/// Frees a list and its texts. Returns 1 on success, 0 on failure.
pub extern "C" fn plugin_list_destroy(list: PluginList) -> i64 {
    guard_release(0, || {
        plugins::destroy(list.handle)?;
        Ok(1)
    })
}
