//! Plugins.

use crate::abi::PluginList;
use crate::error::guard;
use crate::{flat, plugins};

/// The user's plugin directory, `~/.vais/plugins/`, with a separator at its end; 0 where there is no home directory. The text is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn vais_get_user_plugin_dir() -> i64 {
    guard(0, plugins::user_dir)
}

/// The system's plugin directory, `/usr/local/lib/vais/plugins/`, with a separator at its end. The text is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn vais_get_system_plugin_dir() -> i64 {
    guard(0, plugins::system_dir)
}

/// `discover_plugins`: the handle of the list, 0 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_discover_plugins() -> i64 {
    flat::discover_plugins().handle
}

/// `discover_plugins_in`: the handle of the list, 0 on failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vais_discover_plugins_in(dir: i64) -> i64 {
    // SAFETY: the caller's promises are those of the function that is called.
    unsafe { flat::discover_plugins_in(dir).handle }
}

/// How many plugins are in a list, -1 on failure.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_count(list: i64) -> i64 {
    guard(-1, || plugins::count(list))
}

/// `plugin_id`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_id(list: i64, i: i64) -> i64 {
    flat::plugin_id(
        PluginList {
            handle: list,
            count: 0,
        },
        i,
    )
}

/// `plugin_name`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_name(list: i64, i: i64) -> i64 {
    flat::plugin_name(
        PluginList {
            handle: list,
            count: 0,
        },
        i,
    )
}

/// `plugin_version`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_version(list: i64, i: i64) -> i64 {
    flat::plugin_version(
        PluginList {
            handle: list,
            count: 0,
        },
        i,
    )
}

/// `plugin_path`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_path(list: i64, i: i64) -> i64 {
    flat::plugin_path(
        PluginList {
            handle: list,
            count: 0,
        },
        i,
    )
}

/// `plugin_format`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_format(list: i64, i: i64) -> i64 {
    flat::plugin_format(
        PluginList {
            handle: list,
            count: 0,
        },
        i,
    )
}

/// `plugin_capabilities`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_capabilities(list: i64, i: i64) -> i64 {
    flat::plugin_capabilities(
        PluginList {
            handle: list,
            count: 0,
        },
        i,
    )
}

/// `plugin_problem_count`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_problem_count(list: i64) -> i64 {
    flat::plugin_problem_count(PluginList {
        handle: list,
        count: 0,
    })
}

/// `plugin_problem`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_problem(list: i64, i: i64) -> i64 {
    flat::plugin_problem(
        PluginList {
            handle: list,
            count: 0,
        },
        i,
    )
}

/// `plugin_list_destroy`.
#[unsafe(no_mangle)]
pub extern "C" fn vais_plugin_list_destroy(list: i64) -> i64 {
    flat::plugin_list_destroy(PluginList {
        handle: list,
        count: 0,
    })
}
