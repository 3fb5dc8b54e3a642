//! What the file of a plugin really holds, and how that compares with what its manifest says. Nothing is ever run, and
//! a native library is never opened by the loader.

mod cached;
mod compare;
mod native;
mod wasm;

use std::fmt;

use dynload_caps::imports::WhenDenied;
use dynload_caps::{Capabilities, ImportNeeds};
use dynload_diagnostics::printable;
use sha2::{Digest, Sha256};

use crate::cache::{Code, Input};
use crate::manifest::{Format, FunctionType};
use crate::{Platform, Plugin};
pub(crate) use cached::AuditCache;
pub use native::{BinaryFormat, NativeFacts};
pub use wasm::{ExportFact, ExternKind, ImportFact, WasmFacts};

/// The result of an audit: what was found, and where it differs from the manifest.
///
/// Without a manifest nothing is declared, so every capability that an import needs is undeclared.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Audit {
    /// The SHA-256 of the file.
    pub hash: [u8; 32],
    /// What the file holds.
    pub facts: Facts,
    /// Imports that need a capability that the manifest does not ask for.
    pub undeclared: Vec<Undeclared>,
    /// Capabilities that the manifest asks for and no import needs. Empty for native code, where nobody can tell.
    pub unused: Capabilities,
    /// Everything else that differs from the manifest or from the host.
    pub findings: Vec<Finding>,
}

impl Audit {
    pub(crate) fn new(hash: [u8; 32], facts: Facts, plugin: &Plugin, platform: Platform) -> Audit {
        compare::audit(hash, facts, plugin, platform)
    }

    /// Whether manifest and file agree.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.undeclared.is_empty() && self.unused.is_empty() && self.findings.is_empty()
    }

    /// The capabilities that the imports have to do with and the manifest does not ask for.
    #[must_use]
    pub fn undeclared_capabilities(&self) -> Capabilities {
        self.undeclared
            .iter()
            .map(|one| one.needs.capabilities())
            .collect()
    }
}

/// An import whose capability the manifest does not ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undeclared {
    /// The module name of the import.
    pub module: String,
    /// Its name.
    pub name: String,
    /// What it needs.
    pub needs: ImportNeeds,
    /// What happens when the plugin calls it all the same. Standard libraries import functions that they seldom call, so
    /// [`WhenDenied::NothingThere`] (an empty environment) is often no reason to refuse a plugin.
    pub when_denied: WhenDenied,
}

impl fmt::Display for Undeclared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, name, needs) = (printable(&self.module), printable(&self.name), self.needs);
        match needs {
            ImportNeeds::AnyOf(any) => write!(
                f,
                "import {module}.{name} needs one of {any}, and none is declared"
            ),
            _ => write!(
                f,
                "import {module}.{name} needs {}, which is not declared",
                needs.capabilities()
            ),
        }
    }
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Facts {
    /// A valid WebAssembly module.
    Wasm(WasmFacts),
    /// A native file, judged by its headers.
    Native(NativeFacts),
    /// Source code: there is nothing to compare yet.
    Source,
    /// Not what the format says.
    #[non_exhaustive]
    Invalid {
        /// Why not.
        reason: String,
    },
}

impl Facts {
    /// Whether these can be the facts of a plugin of this format.
    pub(crate) fn is_of(&self, format: Format) -> bool {
        match self {
            Facts::Wasm(_) => format == Format::Wasm,
            Facts::Native(_) => format == Format::Native,
            Facts::Source => format == Format::Vais,
            // What is no Wasm may still be a library.
            Facts::Invalid { .. } => false,
        }
    }

    pub(crate) fn of(format: Format, bytes: &[u8]) -> Facts {
        match format {
            Format::Wasm => wasm::facts(bytes),
            Format::Native => native::facts(bytes),
            Format::Vais => match std::str::from_utf8(bytes) {
                Ok(_) => Facts::Source,
                Err(error) => Facts::Invalid {
                    reason: format!("source code that is not UTF-8 at byte {}", error.valid_up_to()),
                },
            },
        }
    }
}

/// Something that differs from the manifest, or from what this host can run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The file is not of its format.
    #[non_exhaustive]
    Invalid {
        /// The format.
        format: Format,
        /// Why not.
        reason: String,
    },
    /// An import that nobody here provides.
    #[non_exhaustive]
    UnknownImport {
        /// Its module name.
        module: String,
        /// Its name.
        name: String,
        /// What it is.
        kind: ExternKind,
    },
    /// A function that the manifest declares and the module does not export.
    #[non_exhaustive]
    MissingExport {
        /// The function.
        name: String,
    },
    /// A function whose declared type is not its type.
    #[non_exhaustive]
    WrongExport {
        /// The function.
        name: String,
        /// The type that is declared.
        declared: FunctionType,
        /// The type that it has; `None` when it is no function.
        found: Option<FunctionType>,
    },
    /// An exported function that the manifest, which declares others, does not declare.
    #[non_exhaustive]
    UndeclaredExport {
        /// The function.
        name: String,
    },
    /// The module starts with more memory than its limit.
    #[non_exhaustive]
    MemoryOverLimit {
        /// Bytes of memories and tables that it starts with.
        initial: u64,
        /// The limit: the manifest's, or the default one.
        limit: u64,
    },
    /// A native file that is no shared library.
    NotALibrary,
    /// A native file for other machines.
    #[non_exhaustive]
    WrongPlatform {
        /// The machine that it is for.
        found: String,
        /// The machine that it should be for.
        wanted: Platform,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Invalid { format, reason } => {
                write!(f, "not a {format} plugin: {}", printable(reason).message())
            }
            Finding::UnknownImport { module, name, kind } => {
                let (module, name) = (printable(module), printable(name));
                write!(f, "import {module}.{name} ({kind}) is provided by nobody")
            }
            Finding::MissingExport { name } => {
                write!(f, "function {:?} is declared and not exported", printable(name))
            }
            Finding::WrongExport {
                name,
                declared,
                found: Some(found),
            } => {
                let (name, found) = (printable(name), printable(found));
                write!(f, "function {name:?} is declared as {declared} and is {found}")
            }
            Finding::WrongExport {
                name, found: None, ..
            } => write!(f, "{:?} is declared and is no function", printable(name)),
            Finding::UndeclaredExport { name } => {
                write!(f, "function {:?} is exported and not declared", printable(name))
            }
            Finding::MemoryOverLimit { initial, limit } => {
                write!(
                    f,
                    "starts with {initial} bytes of memory and tables, over its limit of {limit}"
                )
            }
            Finding::NotALibrary => {
                f.write_str("no shared library: build it as one (`cdylib`, `cc -shared`)")
            }
            Finding::WrongPlatform { found, wanted } => {
                write!(f, "built for {}, and this is {wanted}", printable(found))
            }
        }
    }
}

/// The content hash of a file.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Code for Facts {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Facts::Wasm(facts) => {
                out.push(0);
                facts.put(out);
            }
            Facts::Native(facts) => {
                out.push(1);
                facts.put(out);
            }
            Facts::Source => out.push(2),
            Facts::Invalid { reason } => {
                out.push(3);
                reason.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Option<Facts> {
        match input.bytes(1)? {
            [0] => Code::take(input).map(Facts::Wasm),
            [1] => Code::take(input).map(Facts::Native),
            [2] => Some(Facts::Source),
            [3] => Code::take(input).map(|reason| Facts::Invalid { reason }),
            _ => None,
        }
    }
}
