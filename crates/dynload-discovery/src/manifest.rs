//! `plugin.toml`: what a plugin says about itself.

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

/// What kind of code a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A WebAssembly module; it can be sandboxed.
    Wasm,
    /// A shared library; it can do whatever its process can.
    Native,
    /// Vais source, which a compiler has to turn into one of the others first.
    Vais,
}

impl Format {
    pub(crate) const NAMES: [(&'static str, Format); 3] = [
        ("wasm", Format::Wasm),
        ("native", Format::Native),
        ("vais", Format::Vais),
    ];

    /// `wasm`, `native` or `vais`.
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
    /// Which versions of it will do.
    pub version: VersionReq,
    /// Whether the plugin can do without.
    pub optional: bool,
}

/// The limits that a plugin asks for; `None` is whatever the host gives. Asking for more than the host gives is no
/// error: the plugin gets the host's limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitRequest {
    /// See [`Limits::max_memory_bytes`].
    pub max_memory_bytes: Option<u64>,
    /// [`Limits::max_time`], in milliseconds.
    pub max_time_ms: Option<u64>,
    /// See [`Limits::max_stack_bytes`].
    pub max_stack_bytes: Option<u64>,
    /// See [`Limits::max_call_depth`].
    pub max_call_depth: Option<u64>,
    /// See [`Limits::max_fuel`].
    pub max_fuel: Option<u64>,
}

impl LimitRequest {
    /// The tighter of what the host gives and what is asked for.
    #[must_use]
    pub fn intersection(&self, host: &Limits) -> Limits {
        let requested = Limits::DEFAULT
            .with_memory_bytes(self.max_memory_bytes.unwrap_or(u64::MAX))
            .with_time(self.max_time_ms.map_or(Duration::MAX, Duration::from_millis))
            .with_stack_bytes(self.max_stack_bytes.unwrap_or(u64::MAX))
            .with_call_depth(self.max_call_depth.unwrap_or(u64::MAX))
            .with_fuel(self.max_fuel);
        host.intersection(&requested)
    }
}

/// A manifest, read and checked.
///
/// Every field of the file, with an example, is described in the [`schema`](crate::schema).
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
    /// The name by which other plugins and the host know it.
    pub id: PluginId,
    /// The name to show to people; the id when the manifest has none.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// What it is for; empty when the manifest does not say.
    pub description: String,
    /// Who made it.
    pub authors: Vec<String>,
    /// Under which license, as an SPDX expression by convention.
    pub license: Option<String>,
    /// What kind of code it is.
    pub format: Format,
    /// The file to load, by platform.
    pub entry: Entries,
    /// The versions of the host that it works with.
    pub host_version: Option<VersionReq>,
    /// The capabilities that it asks for, with their scopes.
    pub capabilities: CapabilityRequest,
    /// The limits that it asks for.
    pub limits: LimitRequest,
    /// The plugins that it needs.
    pub dependencies: BTreeMap<PluginId, Dependency>,
    /// The functions that it exports.
    pub exports: BTreeMap<String, FunctionType>,
    /// The settings that it has.
    pub config: BTreeMap<String, ConfigField>,
}

impl Manifest {
    /// The name of the file, `plugin.toml`.
    pub const FILE_NAME: &'static str = "plugin.toml";
    /// The most bytes that a manifest may have: 256 KiB.
    pub const MAX_BYTES: u64 = 256 * 1024;

    /// A manifest with nothing but what every manifest needs.
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

    /// Reads the text of a `plugin.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line: syntax, unknown fields, missing ones, values that cannot
    /// be meant. Only after an error of syntax there can be more that were not looked for.
    pub fn parse(text: &str) -> Result<Manifest, ManifestErrors> {
        read::manifest(text)
    }

    /// The manifest as the text of a `plugin.toml`; [`parse`](Manifest::parse) makes the same manifest of it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write::manifest(self)
    }
}
