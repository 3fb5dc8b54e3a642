//! `plugin.toml`: the manifest of a plugin.

mod capabilities;
mod config;
mod entry;
mod error;
mod function;
mod read;
mod table;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use dynload_caps::Limits;
use semver::{Version, VersionReq};

use crate::PluginId;
pub use capabilities::{CapabilityRequest, DirRequest, EnvRequest, HostDir};
pub use config::{ConfigField, ConfigType, ConfigValue};
pub use entry::{Entries, EntryPath, EntryPathError};
pub use error::{ManifestError, ManifestErrorKind, ManifestErrors};
pub use function::{FunctionType, ValueType};

/// The kind of code that a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A WebAssembly module; it can be sandboxed.
    Wasm,
    /// A shared library; it can do whatever its process can.
    Native,
    /// Vais source code, which has to be compiled into one of the others first.
    Vais,
}

impl Format {
    pub(crate) const NAMES: [(&'static str, Format); 3] = [
        ("wasm", Format::Wasm),
        ("native", Format::Native),
        ("vais", Format::Vais),
    ];

    /// Returns `wasm`, `native` or `vais`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Wasm => "wasm",
            Format::Native => "native",
            Format::Vais => "vais",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Another plugin that this one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The versions that are accepted.
    pub version: VersionReq,
    /// Whether the plugin can do without it.
    pub optional: bool,
}

/// The limits that a plugin requests; `None` stands for the host's limit.
///
/// A request for more than the host's limit is not an error: the host's limit applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitRequest {
    /// See `max_memory_bytes` of [`Limits`](https://docs.rs/dynload-caps/latest/dynload_caps/struct.Limits.html).
    pub max_memory_bytes: Option<u64>,
    /// `max_time` of [`Limits`](https://docs.rs/dynload-caps/latest/dynload_caps/struct.Limits.html), in milliseconds.
    pub max_time_ms: Option<u64>,
    /// See `max_stack_bytes` of [`Limits`](https://docs.rs/dynload-caps/latest/dynload_caps/struct.Limits.html).
    pub max_stack_bytes: Option<u64>,
    /// See `max_call_depth` of [`Limits`](https://docs.rs/dynload-caps/latest/dynload_caps/struct.Limits.html).
    pub max_call_depth: Option<u64>,
    /// See `max_fuel` of [`Limits`](https://docs.rs/dynload-caps/latest/dynload_caps/struct.Limits.html).
    pub max_fuel: Option<u64>,
}

impl LimitRequest {
    /// Returns the lower of each limit of the host and the requested one.
    #[must_use]
    pub fn intersection(&self, host: &Limits) -> Limits {
        let mut requested = Limits::DEFAULT
            .with_memory_bytes(self.max_memory_bytes.unwrap_or(u64::MAX))
            .with_time(self.max_time_ms.map_or(Duration::MAX, Duration::from_millis))
            .with_stack_bytes(self.max_stack_bytes.unwrap_or(u64::MAX))
            .with_call_depth(self.max_call_depth.unwrap_or(u64::MAX));
        requested.max_fuel = self.max_fuel;
        host.intersection(&requested)
    }
}

/// A manifest that was parsed and checked.
///
/// The [`schema`](crate::schema) describes every field of the file, with an example.
///
/// # Examples
///
/// ```
/// use dynload_discovery::Manifest;
///
/// let manifest = Manifest::parse(r#"
///     [plugin]
///     id = "org.example.greeter"
///     version = "1.2.0"
///     format = "wasm"
///     entry = "greeter.wasm"
///
///     [capabilities]
///     needs = ["console"]
/// "#)?;
/// assert_eq!(manifest.version.minor, 2);
/// assert_eq!(Manifest::parse(&manifest.to_toml())?, manifest);
///
/// let wrong = Manifest::parse("[plugin]\nid = \"greeter\"\nverson = \"1.0.0\"").unwrap_err();
/// let last = wrong.errors().last().ok_or("no error")?;
/// assert_eq!(last.line(), 3);
/// assert_eq!(last.to_string(), "unknown field `plugin.verson`: did you mean `plugin.version`?");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Manifest {
    /// The name that identifies it to the host and to other plugins.
    pub id: PluginId,
    /// The display name; the id when the manifest has none.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its purpose; empty when the manifest has no description.
    pub description: String,
    /// Its authors.
    pub authors: Vec<String>,
    /// Its license, an SPDX expression by convention.
    pub license: Option<String>,
    /// The kind of code that it is.
    pub format: Format,
    /// The file to load, by platform.
    pub entry: Entries,
    /// The versions of the host that it works with.
    pub host_version: Option<VersionReq>,
    /// The capabilities that it requests, with their scopes.
    pub capabilities: CapabilityRequest,
    /// The limits that it requests.
    pub limits: LimitRequest,
    /// The plugins that it depends on.
    pub dependencies: BTreeMap<PluginId, Dependency>,
    /// The functions that it exports.
    pub exports: BTreeMap<String, FunctionType>,
    /// The settings that it has.
    pub config: BTreeMap<String, ConfigField>,
}

impl Manifest {
    /// The name of the file, `plugin.toml`.
    pub const FILE_NAME: &'static str = "plugin.toml";
    /// The maximum size of a manifest in bytes: 256 KiB.
    pub const MAX_BYTES: u64 = 256 * 1024;

    /// Creates a manifest with only the required fields.
    #[must_use]
    pub fn new(id: PluginId, version: Version, format: Format, entry: Entries) -> Manifest {
        Manifest {
            name: id.to_string(),
            id,
            version,
            description: String::new(),
            authors: Vec::new(),
            license: None,
            format,
            entry,
            host_version: None,
            capabilities: CapabilityRequest::default(),
            limits: LimitRequest::default(),
            dependencies: BTreeMap::new(),
            exports: BTreeMap::new(),
            config: BTreeMap::new(),
        }
    }

    /// Parses the text of a `plugin.toml`.
    ///
    /// # Errors
    ///
    /// The errors in the text, each with its line: syntax errors, unknown fields, missing fields, invalid values. At most 100
    /// are reported. The rest of the text is not checked after a syntax error, and `[dependencies]` is not checked if a
    /// required field of `[plugin]` is missing or invalid.
    pub fn parse(text: &str) -> Result<Manifest, ManifestErrors> {
        read::manifest(text)
    }

    /// Returns the id in the text of a manifest that may have errors elsewhere.
    pub(crate) fn id_in(text: &str) -> Option<PluginId> {
        read::id(text)
    }

    /// Returns the manifest as the text of a `plugin.toml`, which [`parse`](Manifest::parse) turns into an equal manifest.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write::manifest(self)
    }
}
