//! Find plugins, read what they say about themselves, and check whether it is true. Nothing of a plugin is ever loaded or
//! run.
//!
//! 1. A [`SearchPath`] says where to look: directories of the program's choice, `VAIS_PLUGIN_PATH`, the user's, the
//!    system's.
//! 2. A [`Scanner`] looks there, and gives a [`Discovery`]: the plugins, the duplicates, and every problem with its path and
//!    line. Nothing is dropped in silence, and one bad plugin never hides another.
//! 3. [`Discovery::resolve_all`] puts plugins into the order in which they can be loaded.
//! 4. [`Scanner::audit`] compares what a file imports and exports with what its manifest declares.
//! 5. [`Plugin::admit`] cuts what the host allows by what the manifest asks for, as values that `dynload-sandbox` takes.
//!
//! ```
//! use dynload_caps::{Capabilities, Grant, Limits};
//! use dynload_discovery::{CacheLocation, Policy, Scanner, SearchPath};
//!
//! # let dir = tempfile::tempdir()?;
//! # let plugins = dir.path();
//! # std::fs::create_dir(plugins.join("greeter"))?;
//! std::fs::write(plugins.join("greeter/plugin.toml"), r#"
//!     [plugin]
//!     id = "greeter"
//!     version = "1.2.0"
//!     format = "wasm"
//!     entry = "greeter.wasm"
//!     capabilities = ["console"]
//! "#)?;
//! # std::fs::write(plugins.join("greeter/greeter.wasm"), wat::parse_str(r#"(module
//! #     (import "vais" "print" (func (param i32 i32))) (import "vais" "random" (func (result i64))))"#)?)?;
//! let scanner = Scanner::new(SearchPath::standard().with_dir(plugins)).with_cache(CacheLocation::None);
//! let found = scanner.scan();
//! // The capabilities are in the wrong table, and the report says so.
//! assert!(found.problems[0].to_string().ends_with(
//!     "plugin.toml:7: unknown field `plugin.capabilities`: did you mean `[capabilities]`?"));
//!
//! # let text = std::fs::read_to_string(plugins.join("greeter/plugin.toml"))?;
//! # let text = text.replace("capabilities = [\"console\"]", "[capabilities]\nneeds = [\"console\"]");
//! std::fs::write(plugins.join("greeter/plugin.toml"), text)?;
//! let found = scanner.scan();
//! let greeter = found.get("greeter").ok_or("no greeter")?;
//!
//! // It imports a function that needs a capability which it does not declare.
//! let audit = scanner.audit(greeter)?;
//! assert_eq!(audit.undeclared_capabilities(), Capabilities::RANDOM);
//!
//! // What it would be given.
//! let policy = Policy::new(Grant::none().with_capabilities(Capabilities::all()), Limits::RESTRICTIVE);
//! assert_eq!(greeter.admit(&policy)?.grant.capabilities, Capabilities::CONSOLE);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What counts as a plugin
//! - A directory, directly in a directory of the search path, with a [`plugin.toml`](schema).
//! - A directory of the search path that has a `plugin.toml` itself; then it is one plugin.
//! - A lone `.wasm`, `.so` (also `.so.1.2`), `.dylib`, `.dll` or `.vais` file, directly in a directory of the search path.
//!   Its id is its name without extension (and without `lib`, for libraries of Unix); it has no version, asks for no
//!   capabilities, and is never preferred to one of a version in the same directory.
//!
//! Names that start with a dot are passed over, and so are files with other extensions. A directory without a
//! `plugin.toml` is a [note](Severity::Note).
//!
//! # Duplicates
//! Of several plugins with one id, the one that works on this platform and host goes first, then the one from the earlier
//! directory of the search path, then the one with the higher version, then the one whose path is first; see [`DecidedBy`].
//! The others are in [`Discovery::duplicates`].
//!
//! # What it is not
//! - No judge of native code. Of a shared library only the headers are read: format, processor, needed libraries. What it
//!   does when it is loaded nobody can tell from its headers, and no capability holds it back.
//! - No signature check: a manifest says what its author says.
//! - No package manager: it finds one version of each plugin and does not look for better combinations.
//! - A promise about the moment of the scan only. Whoever can write to a plugin's directory can change it afterwards;
//!   [`Plugin::read_entry`] refuses a file that is not the one that was found, and loading by path cannot.
#![forbid(unsafe_code)]

mod audit;
mod cache;
mod id;
mod manifest;
mod order;
mod platform;
mod plugin;
mod policy;
mod problem;
mod resolve;
mod scan;
mod search;

#[doc = include_str!("../MANIFEST.md")]
pub mod schema {}

pub use audit::{
    Audit, BinaryFormat, ExportFact, ExternKind, Facts, Finding, ImportFact, NativeFacts, Undeclared,
    WasmFacts,
};
pub use cache::CacheLocation;
pub use id::{InvalidId, InvalidIdReason, PluginId};
pub use manifest::{
    CapabilityRequest, ConfigField, ConfigType, ConfigValue, Dependency, DirRequest, Entries, EntryPath,
    EntryPathError, EnvRequest, Format, FunctionType, HostDir, LimitRequest, Manifest, ManifestError,
    ManifestErrorKind, ManifestErrors, ValueType,
};
pub use order::{DecidedBy, Duplicate};
pub use platform::{Platform, PlatformKey, UnknownPlatform};
pub use plugin::{EntryError, Plugin};
pub use policy::{Admission, Denied, Policy};
pub use problem::{Incompatibility, Problem, ProblemKind, Severity};
pub use resolve::{DependencyProblem, Resolution};
pub use scan::{Discovery, Scanner, Stats};
pub use search::{PLUGIN_PATH_VARIABLE, SearchDir, SearchPath, Source, system_plugin_dir, user_plugin_dir};
