//! Finds plugins, reads their manifests, and checks the manifests against the plugin files. No plugin code is ever loaded
//! or run.
//!
//! 1. A [`SearchPath`] lists where to look: directories of the program's choice, those of `VAIS_PLUGIN_PATH`, the user's
//!    and the system's.
//! 2. A [`Scanner`] searches them and returns a [`Discovery`]: the plugins, the duplicates, and the problems, each with
//!    its path and line. A plugin that cannot be listed is a problem, and one bad plugin never hides another.
//! 3. [`Discovery::resolve_all`] orders the plugins so that each can be loaded after its dependencies.
//! 4. [`Scanner::audit`] compares the imports and exports of a file with the declarations in its manifest.
//! 5. [`Plugin::admit`] reduces what the host allows to what the manifest requests, as values that `dynload-sandbox`
//!    accepts. Nothing enforces them for native plugins.
//!
//! # Examples
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
//!
//!     [capabilities]
//!     needs = ["console"]
//! "#)?;
//! # std::fs::write(plugins.join("greeter/greeter.wasm"), wat::parse_str(r#"(module
//! #     (import "vais" "print" (func (param i32 i32))) (import "vais" "random" (func (result i64))))"#)?)?;
//! let scanner = Scanner::new(SearchPath::standard().with_dir(plugins)).with_cache(CacheLocation::None);
//! let found = scanner.scan();
//! let greeter = found.get("greeter").ok_or("no greeter")?;
//!
//! // It imports a function that needs an undeclared capability.
//! let audit = scanner.audit(greeter)?;
//! assert_eq!(audit.undeclared_capabilities(), Capabilities::RANDOM);
//!
//! // What it would be granted.
//! let policy = Policy::new(Grant::none().with_capabilities(Capabilities::all()), Limits::RESTRICTIVE);
//! assert_eq!(greeter.admit(&policy)?.grant.capabilities, Capabilities::CONSOLE);
//!
//! // A mistake in a manifest is reported with its line.
//! std::fs::write(plugins.join("greeter/plugin.toml"), "[plugin]\nid = \"greeter\"\nverson = \"1.2.0\"")?;
//! let problems = scanner.scan().problems;
//! assert!(problems.iter().any(|problem| problem.to_string().ends_with(
//!     "plugin.toml:3: unknown field `plugin.verson`: did you mean `plugin.version`?")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What counts as a plugin
//! - A directory with a [`plugin.toml`](schema), directly in a directory of the search path.
//! - A directory of the search path that contains a `plugin.toml` itself; it is then a single plugin.
//! - A lone `.wasm`, `.so` (also `.so.1.2`), `.dylib`, `.dll` or `.vais` file, directly in a directory of the search path.
//!   Its id is its name without the extension (and without `lib`, for Unix libraries). It has no version, requests no
//!   capabilities, and is never preferred to a plugin with a version in the same directory.
//!
//! These are skipped without a report: names that start with a dot, files with other extensions, anything that is
//! neither a file nor a directory, directories of the search path that do not exist or are in it already. A directory
//! without a `plugin.toml` is a [note](Severity::Note).
//!
//! # Duplicates
//! If several plugins have the same id, one that works on this platform and host is preferred, then the one from the
//! earlier directory of the search path, then the one with the higher version, then the one whose path is first; see
//! [`DecidedBy`]. The others are in [`Discovery::duplicates`].
//!
//! # What it is not
//! - An analysis of native code. Only the headers of a shared library are read: format, processor, needed libraries. They
//!   do not tell what the library does when it is loaded, and capabilities do not restrict it.
//! - A signature check. The contents of a manifest are its author's claims.
//! - A package manager. It finds one version of each plugin and does not search for better combinations.
//! - A promise beyond the moment of the scan. Whoever can write to a plugin's directory can change it afterwards;
//!   [`Plugin::read_entry`] refuses a file that is not the one that was found, but loading by path cannot.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod audit;
mod cache;
mod configure;
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use dynload_caps as caps;
pub use semver;

pub use audit::{
    Audit, BinaryFormat, ExportFact, ExternKind, Facts, Finding, ImportFact, NativeFacts, Undeclared,
    WasmFacts,
};
pub use cache::CacheLocation;
pub use configure::{ConfigProblem, ConfigProblems};
pub use id::{InvalidId, InvalidIdReason, PluginId};
pub use manifest::{
    CapabilityRequest, ConfigField, ConfigType, ConfigValue, Dependency, DirRequest, Entries, EntryPath,
    EntryPathError, EnvRequest, Format, FunctionType, HostDir, LimitRequest, Manifest, ManifestError,
    ManifestErrorKind, ManifestErrors, ValueType,
};
pub use order::{DecidedBy, Duplicate};
pub use platform::{Platform, PlatformKey, UnknownPlatform};
pub use plugin::{EntryError, Plugin};
pub use policy::{Admission, Denied, Policy, Reduction};
pub use problem::{Incompatibility, Problem, ProblemKind, Severity};
pub use resolve::{DependencyProblem, Resolution};
pub use scan::{Discovery, Scanner, Stats};
pub use search::{PLUGIN_PATH_VARIABLE, SearchDir, SearchPath, Source, system_plugin_dir, user_plugin_dir};
