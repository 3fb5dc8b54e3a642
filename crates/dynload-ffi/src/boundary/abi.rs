//! The structs of the specification, passed by value in the platform's C ABI, and its constants.

/// `RTLD_LAZY`: resolve functions when they are first called.
pub const RTLD_LAZY: i64 = 1;
/// `RTLD_NOW`: resolve every symbol before the load returns.
pub const RTLD_NOW: i64 = 2;
/// `RTLD_GLOBAL`: libraries that are loaded later see the symbols.
pub const RTLD_GLOBAL: i64 = 256;

/// A loaded native module.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleHandle {
    /// The handle that `dlopen` returned, valid for `dlsym`; 0 if no module is loaded. The library owns it: do not
    /// close it.
    pub handle: i64,
    /// The path that was passed to the load: the address of a NUL-terminated text that is never freed.
    pub path: i64,
    /// 1 after the load, incremented by each successful reload.
    pub version: i64,
    /// 1 if loaded, 0 if not.
    pub loaded: i64,
}

/// The resource limits of a sandboxed plugin. Every value is a limit; no value means "unlimited".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Total bytes of all memories and tables of an instance.
    pub max_memory_bytes: i64,
    /// Wall-clock milliseconds for one call.
    pub max_time_ms: i64,
    /// Total bytes of the Wasm frames that are alive at the same time.
    pub max_stack_bytes: i64,
    /// Number of Wasm frames that are alive at the same time.
    pub max_call_depth: i64,
}

/// A sandbox for WebAssembly plugins.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WasmSandbox {
    /// The handle of the sandbox; 0 means none.
    pub handle: i64,
    /// The capabilities that were granted when this value was created.
    pub capabilities: i64,
}

/// A loaded WebAssembly plugin.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WasmInstance {
    /// The handle of the instance; 0 means none.
    pub handle: i64,
    /// The handle of its sandbox.
    pub sandbox: i64,
}

/// The hot-reload settings for one source.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotReloadConfig {
    /// The path of the source: the address of a text.
    pub source_path: i64,
    /// The directory for builds and copies: the address of a text, or 0 for a private temporary directory.
    pub output_dir: i64,
    /// The debounce time: milliseconds without a further change before a change is processed.
    pub debounce_ms: i64,
    /// 1 to write each step to standard error, 0 not to.
    pub verbose: i64,
}

/// A hot reloader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotReloader {
    /// The handle of the reloader; 0 means none.
    pub handle: i64,
    /// The version that was running when this value was created.
    pub version: i64,
    /// 1 if the reloader was started when this value was created.
    pub running: i64,
}

/// The result of a plugin discovery.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginList {
    /// The handle of the list; 0 means none.
    pub handle: i64,
    /// The number of plugins in the list.
    pub count: i64,
}

/// A function that the host offers to Wasm plugins.
///
/// Its parameters are the `userdata` that was passed with it, the handle of the calling instance (0 while the
/// instance is being created), the arguments, and space for the results. Returns 0 on success; any other number ends
/// the call of the guest.
///
/// Integers are passed as they are, floats as their bits. The function must return: an exception that leaves it, or
/// the end of its thread, ends the process.
pub type HostFunction = unsafe extern "C-unwind" fn(
    userdata: i64,
    instance: i64,
    args: *const i64,
    nargs: i64,
    results: *mut i64,
    nresults: i64,
) -> i64;

/// A function that receives the output of Wasm plugins.
///
/// Its parameters are the `userdata` that was passed with it, 1 for standard output or 2 for standard error, and the
/// bytes, which are not NUL-terminated. It must return, as a [`HostFunction`] must.
pub type ConsoleFunction =
    unsafe extern "C-unwind" fn(userdata: i64, stream: i64, bytes: *const u8, len: i64);
