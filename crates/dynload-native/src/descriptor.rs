//! What a plugin says about itself, before anything of it is called.
//!
//! A plugin may export one constant, `dynload_plugin_descriptor`, a [`PluginDescriptor`]: which version of this
//! interface it was made for, its name and version, the machine it was built for, what a panic in it does, and
//! how it starts and ends. Rust plugins have it from [`export_plugin!`](crate::export_plugin), C plugins from
//! `include/dynload_plugin.h`:
//!
//! ```c
//! #include "dynload_plugin.h"
//!
//! DYNLOAD_PLUGIN("greeter", "1.2.0", NULL, NULL);
//! ```
//!
//! All of it but the two entry points is plain data, so the host reads it from the *file*: a plugin that does
//! not fit is refused before a single instruction of it has run, its constructors included. A plugin without a
//! descriptor loads, and nothing is checked.

use std::ffi::{CStr, c_char};
use std::fmt;

/// The version of the interface between host and plugin that this crate speaks.
pub const ABI_VERSION: u32 = 1;

/// The name of the symbol that a plugin exports: a constant [`PluginDescriptor`].
pub const DESCRIPTOR_SYMBOL: &CStr = c"dynload_plugin_descriptor";

/// The name of the function by which a host learns of a panic in the plugin; the type is [`TakePanic`].
pub const TAKE_PANIC_SYMBOL: &CStr = c"dynload_plugin_take_panic";

/// The plugin's entry point: called once, after the library was opened and before anything else of it is called.
/// The pointer is good during the call. 0 is success; anything else, and the plugin is not loaded.
pub type Init = unsafe extern "C" fn(host: *const Host) -> i32;

/// The plugin's end: called once, after the last call into it ended, and only when `init` returned 0 or there is
/// none.
pub type Shutdown = unsafe extern "C" fn();

/// Copies the message of this thread's last panic in the plugin to `buffer`, at most `size` bytes, and forgets it.
/// The result is the length of the message in bytes, 0 when there was no panic.
pub type TakePanic = unsafe extern "C" fn(buffer: *mut c_char, size: usize) -> usize;

/// What the host tells a plugin's `init`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Host {
    /// [`ABI_VERSION`] of the host.
    pub abi_version: u32,
    /// The size of this struct in bytes, as the host knows it.
    pub struct_size: u32,
    /// Which version of the module this is: 1 for the first load, one more for each reload that worked.
    pub module_version: u64,
}

/// What a panic in the plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PanicMode {
    /// The plugin does not say, or cannot panic: C.
    None,
    /// It unwinds, and is caught before it leaves the plugin.
    Unwind,
    /// It ends the process: a Rust plugin that was built with `panic = "abort"`.
    Abort,
}

impl PanicMode {
    /// The value in [`PluginDescriptor::panic_mode`].
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

/// The C struct that a plugin exports under [`DESCRIPTOR_SYMBOL`]. `include/dynload_plugin.h` has the same.
///
/// Texts are UTF-8 and end with a NUL. Later versions of the interface add fields at the end and raise
/// `struct_size`; a change of what is there raises `abi_version`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct PluginDescriptor {
    /// [`ABI_VERSION`] that the plugin was made for.
    pub abi_version: u32,
    /// The size of this struct in bytes, as the plugin knows it.
    pub struct_size: u32,
    /// [`PanicMode::value`].
    pub panic_mode: u32,
    /// 0.
    pub reserved: u32,
    /// The plugin's name.
    pub name: [u8; 64],
    /// The plugin's version.
    pub version: [u8; 32],
    /// What the plugin was built for, as [`TARGET`] of the host. Empty: it does not say.
    pub target: [u8; 48],
    /// The entry point, or none.
    pub init: Option<Init>,
    /// The end, or none.
    pub shutdown: Option<Shutdown>,
}

impl PluginDescriptor {
    /// The size of this struct in bytes.
    pub const SIZE: usize = size_of::<PluginDescriptor>();

    /// A descriptor of a Rust plugin that is being compiled, for this version of the interface.
    ///
    /// # Panics
    ///
    /// When a text has a NUL in it or is too long for its field; for a constant that is an error at compile time.
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

/// The text, with a NUL after it.
const fn text<const N: usize>(from: &str) -> [u8; N] {
    let from = from.as_bytes();
    assert!(from.len() < N, "a text of the plugin's descriptor is too long");
    let mut to = [0; N];
    let mut at = 0;
    while at < from.len() {
        assert!(from[at] != 0, "a text of the plugin's descriptor has a NUL in it");
        to[at] = from[at];
        at += 1;
    }
    to
}

/// What this was compiled for, as `architecture-system-environment` in Rust's names:
/// `x86_64-linux-gnu`, `aarch64-macos-`, `x86_64-windows-msvc`.
pub const TARGET: &str = concat_target();

const fn concat_target() -> &'static str {
    // `target_arch` and its like are no strings at compile time, so the parts are put together as bytes.
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

/// A descriptor that fits this host, without its entry points.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version, as it writes it.
    pub version: String,
    /// What it was built for; empty when it does not say.
    pub target: String,
    /// What a panic in it does.
    pub panic_mode: PanicMode,
}

/// Reads a descriptor from the bytes that a library's file has for it. The entry points are not looked at: in
/// a file they are not yet addresses.
#[cfg_attr(
    not(feature = "host"),
    allow(dead_code, reason = "only a host reads descriptors")
)]
pub(crate) fn read(bytes: &[u8]) -> Result<Descriptor, DescriptorError> {
    let field = |at: usize| -> Result<u32, DescriptorError> {
        let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or(DescriptorError::NoData)
    };
    // The first two fields are there, and mean the same, in every version.
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
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The plugin has none, and the host asked for one.
    Missing,
    /// The symbol is there, and there is no struct behind it in the file.
    NoData,
    /// The plugin was made for another version of the interface.
    AbiVersion {
        /// Its version.
        found: u32,
        /// The host's.
        expected: u32,
    },
    /// The struct is smaller than that version of the interface has it.
    Size {
        /// Its size in bytes.
        found: u32,
        /// The size that it must have, at least.
        expected: u32,
    },
    /// A text does not end, or is not UTF-8.
    Text {
        /// The field.
        field: &'static str,
    },
    /// The plugin was built for something else.
    Target {
        /// What it was built for.
        found: String,
        /// What the host was built for.
        expected: &'static str,
    },
    /// The panic mode has no meaning.
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
                "the plugin exports no `dynload_plugin_descriptor`, which this host requires: add `export_plugin!` or `DYNLOAD_PLUGIN`",
            ),
            DescriptorError::NoData => {
                f.write_str("`dynload_plugin_descriptor` is no constant of the size that a descriptor has")
            }
            DescriptorError::AbiVersion { found, expected } => write!(
                f,
                "the plugin was made for version {found} of the plugin interface, and this host has version {expected}"
            ),
            DescriptorError::Size { found, expected } => {
                write!(f, "the plugin's descriptor has {found} bytes, and must have at least {expected}")
            }
            DescriptorError::Text { field } => {
                write!(f, "the `{field}` in the plugin's descriptor is not UTF-8 with a NUL at its end")
            }
            DescriptorError::Target { found, expected } => {
                write!(f, "the plugin was built for `{}`, and this host for `{expected}`", found.escape_debug())
            }
            DescriptorError::PanicMode { found } => {
                write!(f, "the plugin's panic mode is {found}, and only 0, 1 and 2 have a meaning")
            }
            DescriptorError::PanicAborts => f.write_str(
                "the plugin was built with panic = \"abort\", so a panic in it would end this process: build it with panic = \"unwind\", or allow it in the host's `Options`",
            ),
        }
    }
}

impl std::error::Error for DescriptorError {}
