//! Discovery of plugins.

use crate::boundary::abi::PluginList;
use crate::boundary::error::guard;
use crate::boundary::text;
use crate::objects::plugins::{self, Field};

/// Looks for plugins in the directories of `VAIS_PLUGIN_PATH`, the user's and the system's. Nothing of a plugin is run. On
/// failure the list is empty and its handle 0.
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

/// Looks for plugins in one directory; otherwise as `discover_plugins`. One that is not there has none.
pub unsafe extern "C" fn discover_plugins_in(dir: i64) -> PluginList {
    guard(PluginList::default(), || {
        // SAFETY: the caller's promise about the text.
        plugins::discover(Some(unsafe { text::path(dir, "directory") }?))
    })
}

/// The id of plugin `i`, from 0; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_id(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Id))
}

/// The name of plugin `i` for people; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_name(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Name))
}

/// The version of plugin `i`, empty for a file without a manifest; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_version(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Version))
}

/// The file of plugin `i` to load on this platform; 0 on failure, also where it has none for it. The text lives as long as the
/// list.
pub extern "C" fn plugin_path(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Path))
}

/// The format of plugin `i`: `native`, `wasm` or `vais`; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_format(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::field(list.handle, i, Field::Format))
}

/// The capabilities that the manifest of plugin `i` asks for, 0 without a manifest; -1 on failure.
pub extern "C" fn plugin_capabilities(list: PluginList, i: i64) -> i64 {
    guard(-1, || plugins::capabilities(list.handle, i))
}

/// How many things were not in order; -1 on failure.
pub extern "C" fn plugin_problem_count(list: PluginList) -> i64 {
    guard(-1, || plugins::problem_count(list.handle))
}

/// Problem `i`, from 0: the file, the line, and what is wrong; 0 on failure. The text lives as long as the list.
pub extern "C" fn plugin_problem(list: PluginList, i: i64) -> i64 {
    guard(0, || plugins::problem(list.handle, i))
}

/// Frees a list and its texts; 1 on success, 0 on failure.
pub extern "C" fn plugin_list_destroy(list: PluginList) -> i64 {
    guard(0, || {
        plugins::destroy(list.handle)?;
        Ok(1)
    })
}
