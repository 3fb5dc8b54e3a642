//! The description of a plugin, which the host reads before it calls the plugin.
//!
//! A plugin may export one constant, `dynload_plugin_descriptor`, a [`PluginDescriptor`]: the version of this
//! interface for which it was built, its name and version, the machine for which it was built, what a panic in it does,
//! and how it starts and ends. Rust plugins get it from [`export_plugin!`](crate::export_plugin), C plugins from
//! `include/dynload_plugin.h`:
//!
//! ```c
//! #include "dynload_plugin.h"
//!
//! DYNLOAD_PLUGIN("greeter", "1.2.0", NULL, NULL);
//! ```
//!
//! All of it except the two entry points is plain data, so the host reads it from the *file*: an incompatible plugin
//! is refused before any of its code runs, its constructors included. A plugin without a descriptor loads, and nothing
//! is checked.

use std::ffi::{CStr, c_char};
use std::fmt;

/// The version of the interface between host and plugin that this crate implements.
pub const ABI_VERSION: u32 = 1;

/// The name of the symbol that a plugin exports: a constant [`PluginDescriptor`].
pub const DESCRIPTOR_SYMBOL: &CStr = c"dynload_plugin_descriptor";

/// The name of the function from which a host gets the message of a panic in the plugin; the type is [`TakePanic`].
pub const TAKE_PANIC_SYMBOL: &CStr = c"dynload_plugin_take_panic";

/// The name of the function with which a plugin receives its settings; the type is [`Configure`].
pub const CONFIGURE_SYMBOL: &CStr = c"dynload_plugin_configure";

/// Receives a setting of the plugin: called once for each setting, after the library was opened and before its `init`.
/// A plugin without a descriptor may export it too.
///
/// The name and the value are UTF-8 with these lengths in bytes, each followed by a NUL, and valid during the call. The
/// result 0 is success; with any other result the plugin is not loaded.
pub type Configure = unsafe extern "C" fn(
    name: *const c_char,
    name_length: usize,
    value: *const c_char,
    value_length: usize,
) -> i32;

/// The plugin's entry point: called once, after the library was opened and before any other function in it is called but
/// [`Configure`].
///
/// The pointer is valid during the call. The result 0 is success; with any other result the plugin is not loaded.
pub type Init = unsafe extern "C" fn(host: *const Host) -> i32;

/// The plugin's exit point: called at most once, and only if `init` returned 0 or is absent.
///
/// A [`Module`](crate::Module) calls it when the version was replaced, retired or unloaded, or the module was dropped,
/// and the last [`CallGuard`](crate::CallGuard) of the version is dropped. Calls without a guard, through a
/// [`Symbol`](crate::Symbol) or a clone of the [`Library`](crate::Library), are not counted: they can run during
/// `shutdown` and after it. It is not called when the process ends first.
pub type Shutdown = unsafe extern "C" fn();

/// Copies the message of this thread's last panic in the plugin to `buffer`, at most `size` bytes, and clears it.
///
/// The result is the length of the message in bytes, 0 when there was no panic.
pub type TakePanic = unsafe extern "C" fn(buffer: *mut c_char, size: usize) -> usize;

/// The information that the host passes to a plugin's `init`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Host {
    /// The [`ABI_VERSION`] of the host.
    pub abi_version: u32,
    /// The size of this struct in bytes, in the host's version of the interface.
    pub struct_size: u32,
    /// The version of the module: 1 for the first load, and one more for each successful reload.
    pub module_version: u64,
}

/// What a panic in the plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PanicMode {
    /// The plugin does not say, or it cannot panic: C.
    None,
    /// The panic unwinds, and is caught before it leaves the plugin.
    Unwind,
    /// The panic ends the process: a Rust plugin that was built with `panic = "abort"`.
    Abort,
}

impl PanicMode {
    /// Returns the value in [`PluginDescriptor::panic_mode`].
    pub const fn value(self) -> u32 {
        match self {
            PanicMode::None => 0,
            PanicMode::Unwind => 1,
            PanicMode::Abort => 2,
        }
    }

    fn from_value(value: u32) -> Option<PanicMode> {
        [PanicMode::None, PanicMode::Unwind, PanicMode::Abort]
            .into_iter()
            .find(|mode| mode.value() == value)
    }
}

/// The C struct that a plugin exports under [`DESCRIPTOR_SYMBOL`], as in `include/dynload_plugin.h`.
///
/// Strings are UTF-8 and end with a NUL. Later versions of the interface add fields at the end and increase
/// `struct_size`; a change of the existing fields increases `abi_version`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct PluginDescriptor {
    /// The [`ABI_VERSION`] for which the plugin was built.
    pub abi_version: u32,
    /// The size of this struct in bytes, in the plugin's version of the interface.
    pub struct_size: u32,
    /// The [`PanicMode::value`].
    pub panic_mode: u32,
    /// Reserved: 0.
    pub reserved: u32,
    /// The plugin's name.
    pub name: [u8; 64],
    /// The plugin's version.
    pub version: [u8; 32],
    /// The target for which the plugin was built, in the form of [`TARGET`]. Empty if the plugin does not say.
    pub target: [u8; 48],
    /// The entry point, if any.
    pub init: Option<Init>,
    /// The exit point, if any.
    pub shutdown: Option<Shutdown>,
}

impl PluginDescriptor {
    /// The size of this struct in bytes.
    pub const SIZE: usize = size_of::<PluginDescriptor>();

    /// Returns the descriptor of the Rust plugin that is being compiled, for this version of the interface.
    ///
    /// # Panics
    ///
    /// Panics if a string contains a NUL or is too long for its field; in a constant this is a compile-time error.
    pub const fn new(
        name: &str,
        version: &str,
        panic_mode: PanicMode,
        init: Option<Init>,
        shutdown: Option<Shutdown>,
    ) -> PluginDescriptor {
        PluginDescriptor {
            abi_version: ABI_VERSION,
            struct_size: PluginDescriptor::SIZE as u32,
            panic_mode: panic_mode.value(),
            reserved: 0,
            name: text(name),
            version: text(version),
            target: text(TARGET),
            init,
            shutdown,
        }
    }
}

/// Returns the string in a field, terminated by a NUL.
const fn text<const N: usize>(from: &str) -> [u8; N] {
    let from = from.as_bytes();
    assert!(from.len() < N, "a string in the plugin's descriptor is too long");
    let mut to = [0; N];
    let mut at = 0;
    while at < from.len() {
        assert!(
            from[at] != 0,
            "a string in the plugin's descriptor contains a NUL"
        );
        to[at] = from[at];
        at += 1;
    }
    to
}

/// The target for which this was compiled, as `architecture-system-environment` in Rust's names.
///
/// Examples are `x86_64-linux-gnu`, `aarch64-macos-` and `x86_64-windows-msvc`.
pub const TARGET: &str = concat_target();

const fn concat_target() -> &'static str {
    // `target_arch` and the like are not available as string literals, so the parts are joined as bytes.
    const ENVIRONMENT: &str = if cfg!(target_env = "gnu") {
        "gnu"
    } else if cfg!(target_env = "musl") {
        "musl"
    } else if cfg!(target_env = "msvc") {
        "msvc"
    } else {
        ""
    };
    const PARTS: [&str; 5] = [
        std::env::consts::ARCH,
        "-",
        std::env::consts::OS,
        "-",
        ENVIRONMENT,
    ];
    const LENGTH: usize = PARTS[0].len() + PARTS[2].len() + PARTS[4].len() + 2;
    const BYTES: [u8; LENGTH] = {
        let mut bytes = [0; LENGTH];
        let (mut part, mut at) = (0, 0);
        while part < PARTS.len() {
            let mut index = 0;
            while index < PARTS[part].len() {
                bytes[at] = PARTS[part].as_bytes()[index];
                (index, at) = (index + 1, at + 1);
            }
            part += 1;
        }
        bytes
    };
    match std::str::from_utf8(&BYTES) {
        Ok(target) => target,
        Err(_) => "",
    }
}

/// A descriptor that is compatible with this host, without its entry points.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version, as written in the descriptor.
    pub version: String,
    /// The target for which it was built; empty if the plugin does not say.
    pub target: String,
    /// What a panic in it does.
    pub panic_mode: PanicMode,
}

/// Reads a descriptor from its bytes in a library's file. The entry points are not read: in a file they are not yet
/// addresses.
#[cfg_attr(
    not(feature = "host"),
    allow(dead_code, reason = "only a host reads descriptors")
)]
pub(crate) fn read(bytes: &[u8]) -> Result<Descriptor, DescriptorError> {
    let field = |at: usize| -> Result<u32, DescriptorError> {
        let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or(DescriptorError::NoData)
    };
    // The first two fields exist, and have the same meaning, in every version.
    let (abi_version, struct_size) = (field(0)?, field(4)?);
    if abi_version != ABI_VERSION {
        return Err(DescriptorError::AbiVersion {
            found: abi_version,
            expected: ABI_VERSION,
        });
    }
    if (struct_size as usize) < PluginDescriptor::SIZE {
        return Err(DescriptorError::Size {
            found: struct_size,
            expected: PluginDescriptor::SIZE as u32,
        });
    }
    if bytes.len() < PluginDescriptor::SIZE {
        return Err(DescriptorError::NoData);
    }
    let panic_mode = field(std::mem::offset_of!(PluginDescriptor, panic_mode))?;
    let panic_mode =
        PanicMode::from_value(panic_mode).ok_or(DescriptorError::PanicMode { found: panic_mode })?;
    let text = |name: &'static str, at: usize, size: usize| {
        let text = CStr::from_bytes_until_nul(&bytes[at..at + size])
            .ok()
            .and_then(|text| text.to_str().ok());
        text.map(str::to_owned)
            .ok_or(DescriptorError::Text { field: name })
    };
    let descriptor = Descriptor {
        name: text("name", std::mem::offset_of!(PluginDescriptor, name), 64)?,
        version: text("version", std::mem::offset_of!(PluginDescriptor, version), 32)?,
        target: text("target", std::mem::offset_of!(PluginDescriptor, target), 48)?,
        panic_mode,
    };
    if !descriptor.target.is_empty() && descriptor.target != TARGET {
        return Err(DescriptorError::Target {
            found: descriptor.target,
            expected: TARGET,
        });
    }
    Ok(descriptor)
}

/// A plugin's descriptor does not fit this host.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The plugin has no descriptor, and the host requires one.
    Missing,
    /// The symbol exists, but the file has no struct at its address.
    NoData,
    /// The plugin was built for another version of the interface.
    AbiVersion {
        /// The plugin's version.
        found: u32,
        /// The host's version.
        expected: u32,
    },
    /// `struct_size` is smaller than the interface version requires.
    Size {
        /// The value of `struct_size`, in bytes.
        found: u32,
        /// The smallest value that is accepted.
        expected: u32,
    },
    /// A string is not terminated, or is not UTF-8.
    Text {
        /// The field.
        field: &'static str,
    },
    /// The plugin was built for another target.
    Target {
        /// The plugin's target.
        found: String,
        /// The host's target.
        expected: &'static str,
    },
    /// The panic mode is unknown.
    PanicMode {
        /// Its value.
        found: u32,
    },
    /// A panic in the plugin would end this process, and the host did not allow that.
    PanicAborts,
}

impl fmt::Display for DescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DescriptorError::Missing => f.write_str(
                "the plugin does not export `dynload_plugin_descriptor`, which this host requires: add `export_plugin!` or `DYNLOAD_PLUGIN`",
            ),
            DescriptorError::NoData => {
                f.write_str("`dynload_plugin_descriptor` is not a constant with the size of a descriptor")
            }
            DescriptorError::AbiVersion { found, expected } => write!(
                f,
                "the plugin was built for version {found} of the plugin interface, but this host has version {expected}"
            ),
            DescriptorError::Size { found, expected } => {
                write!(f, "the plugin's descriptor has {found} bytes, but must have at least {expected}")
            }
            DescriptorError::Text { field } => {
                write!(f, "the `{field}` in the plugin's descriptor is not NUL-terminated UTF-8")
            }
            DescriptorError::Target { found, expected } => {
                write!(f, "the plugin was built for `{}`, but this host was built for `{expected}`", found.escape_debug())
            }
            DescriptorError::PanicMode { found } => {
                write!(f, "the plugin's panic mode is {found}, but only 0, 1 and 2 are defined")
            }
            DescriptorError::PanicAborts => f.write_str(
                "the plugin was built with panic = \"abort\", so a panic in it would end this process: build it with panic = \"unwind\", or allow it in the host's `Options`",
            ),
        }
    }
}

impl std::error::Error for DescriptorError {}

/// As the other errors, whose `Debug` is their text with its causes. Plugins are built without the crate of that macro.
impl fmt::Debug for DescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
