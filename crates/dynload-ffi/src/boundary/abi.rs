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
    /// The handle of `dlopen`, good for `dlsym`; 0 when nothing is loaded. It stays the library's: not to be closed.
    pub handle: i64,
    /// The path, as it was given: the address of a NUL-terminated text that is never freed.
    pub path: i64,
    /// 1 after the load, one more for each reload that worked.
    pub version: i64,
    /// 1 if loaded, 0 if not.
    pub loaded: i64,
}

/// What a sandboxed plugin may use. Every value is a limit; there is none that means "unlimited".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Bytes of all memories and tables of an instance together.
    pub max_memory_bytes: i64,
    /// Milliseconds of wall clock for one call.
    pub max_time_ms: i64,
    /// Bytes of the Wasm frames alive at once.
    pub max_stack_bytes: i64,
    /// Wasm frames alive at once.
    pub max_call_depth: i64,
}

/// A sandbox for WebAssembly plugins.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WasmSandbox {
    /// The sandbox; 0 is none.
    pub handle: i64,
    /// The capabilities that were granted when this value was made.
    pub capabilities: i64,
}

/// A WebAssembly plugin that is loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WasmInstance {
    /// The instance; 0 is none.
    pub handle: i64,
    /// The sandbox that it lives in.
    pub sandbox: i64,
}

/// How hot reload works for one source.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotReloadConfig {
    /// The path of the source: the address of a text.
    pub source_path: i64,
    /// The directory for builds and copies: the address of a text, or 0 for a private temporary one.
    pub output_dir: i64,
    /// Milliseconds without a further change before a change is acted on.
    pub debounce_ms: i64,
    /// 1 writes each step to the standard error output.
    pub verbose: i64,
}

/// A hot reloader.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotReloader {
    /// The reloader; 0 is none.
    pub handle: i64,
    /// The version that ran when this value was made.
    pub version: i64,
    /// 1 if it was started when this value was made.
    pub running: i64,
}

/// What was found by looking for plugins.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginList {
    /// The list; 0 is none.
    pub handle: i64,
    /// How many plugins are in it.
    pub count: i64,
}

/// A function that the host offers to Wasm plugins: `userdata` as it was given, the handle of the instance that calls (0
/// while it is being made), the arguments, and room for the results. Returns 0 if all is well; any other number ends the
/// call of the guest.
///
/// Integers are given and taken as they are, floats as their bits. It has to return: an exception that leaves it, or the end of
/// its thread, ends the process.
pub type HostFunction = unsafe extern "C-unwind" fn(
    userdata: i64,
    instance: i64,
    args: *const i64,
    nargs: i64,
    results: *mut i64,
    nresults: i64,
) -> i64;

/// Where the output of Wasm plugins goes: `userdata` as it was given, 1 for standard output and 2 for standard error, and the
/// bytes, which are not NUL-terminated. It has to return, as a [`HostFunction`] has to.
pub type ConsoleFunction =
    unsafe extern "C-unwind" fn(userdata: i64, stream: i64, bytes: *const u8, len: i64);
