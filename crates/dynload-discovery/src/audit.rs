//! The contents of a plugin's file, compared with its manifest. No plugin code is ever run, and a native library is never
//! opened by the dynamic linker.

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
pub(crate) use wasm::is_wat;
pub use wasm::{ExportFact, ExternKind, ImportFact, WasmFacts};

/// The result of an audit: the facts about the file, and where they differ from the manifest.
///
/// Without a manifest nothing is declared, so every capability that an import needs is undeclared.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Audit {
    /// The SHA-256 of the file.
    pub hash: [u8; 32],
    /// The facts about the file.
    pub facts: Facts,
    /// Imports that need a capability that the manifest does not request. Empty for native and source code.
    pub undeclared: Vec<Undeclared>,
    /// Capabilities that the manifest requests and no import needs. Empty for native and source code, where this cannot
    /// be determined.
    pub unused: Capabilities,
    /// Everything else that differs from the manifest or from the host.
    pub findings: Vec<Finding>,
}

impl Audit {
    pub(crate) fn new(hash: [u8; 32], facts: Facts, plugin: &Plugin, platform: Platform) -> Audit {
        compare::audit(hash, facts, plugin, platform)
    }

    /// Returns whether the manifest and the file agree: no import is undeclared, no requested capability is unused, and
    /// there are no findings.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.undeclared.is_empty() && self.unused.is_empty() && self.findings.is_empty()
    }

    /// Returns the capabilities that the [`undeclared`](Audit::undeclared) imports need. For an import that needs one
    /// of several, these are all of them.
    #[must_use]
    pub fn undeclared_capabilities(&self) -> Capabilities {
        self.undeclared
            .iter()
            .map(|one| one.needs.capabilities())
            .collect()
    }
}

/// An import whose capability the manifest does not request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undeclared {
    /// The module name of the import.
    pub module: String,
    /// Its name.
    pub name: String,
    /// The capabilities that it needs.
    pub needs: ImportNeeds,
    /// What happens when the plugin calls it anyway. Standard libraries import functions that they seldom call, so
    /// [`EmptyResult`] (an empty environment) is often no reason to refuse a plugin.
    ///
    /// [`EmptyResult`]:
    /// https://docs.rs/dynload-caps/latest/dynload_caps/imports/enum.WhenDenied.html#variant.EmptyResult
    pub when_denied: WhenDenied,
}

impl fmt::Display for Undeclared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, name, needs) = (printable(&self.module), printable(&self.name), self.needs);
        match needs {
            ImportNeeds::AnyOf(any) => write!(
                f,
                "import {module}.{name} needs one of {any}, but none is declared"
            ),
            _ => write!(
                f,
                "import {module}.{name} needs {}, which is not declared",
                needs.capabilities()
            ),
        }
    }
}

/// The facts about a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Facts {
    /// A valid WebAssembly module.
    Wasm(WasmFacts),
    /// A native file, according to its headers.
    Native(NativeFacts),
    /// Source code: there is nothing to compare yet.
    Source,
    /// The file does not have the declared format.
    #[non_exhaustive]
    Invalid {
        /// The reason.
        reason: String,
    },
}

impl Facts {
    /// Returns whether these can be the facts about a plugin of this format.
    pub(crate) fn is_of(&self, format: Format) -> bool {
        match self {
            Facts::Wasm(_) => format == Format::Wasm,
            Facts::Native(_) => format == Format::Native,
            Facts::Source => format == Format::Vais,
            // A file that is not a Wasm module may still be a library.
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
                    reason: format!("source code with invalid UTF-8 at byte {}", error.valid_up_to()),
                },
            },
        }
    }
}

/// A difference from the manifest, or a reason why this host cannot run the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The file does not have the declared format.
    #[non_exhaustive]
    Invalid {
        /// The format.
        format: Format,
        /// The reason.
        reason: String,
    },
    /// An import that no host function provides.
    #[non_exhaustive]
    UnknownImport {
        /// Its module name.
        module: String,
        /// Its name.
        name: String,
        /// Its kind.
        kind: ExternKind,
    },
    /// An import of a type that differs from the one of the host function of that name.
    #[non_exhaustive]
    WrongImport {
        /// Its module name.
        module: String,
        /// Its name.
        name: String,
        /// The type of the import.
        found: FunctionType,
        /// The type of the host function, as in messages.
        provided: &'static str,
    },
    /// A function that the manifest declares and the module does not export.
    #[non_exhaustive]
    MissingExport {
        /// The function.
        name: String,
    },
    /// An export whose type differs from the declared one.
    #[non_exhaustive]
    WrongExport {
        /// The export.
        name: String,
        /// The declared type.
        declared: FunctionType,
        /// The actual type; `None` when it is not a function.
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
        /// The initial size of its memories and tables, in bytes.
        initial: u64,
        /// The limit: the manifest's, or the default one.
        limit: u64,
    },
    /// A native file that is not a shared library.
    NotALibrary,
    /// A native file for another platform.
    #[non_exhaustive]
    WrongPlatform {
        /// The platform that it was built for.
        found: String,
        /// The platform that it should be built for.
        expected: Platform,
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
                write!(f, "import {module}.{name} ({kind}) has no provider")
            }
            Finding::WrongImport {
                module,
                name,
                found,
                provided,
            } => {
                let (module, name) = (printable(module), printable(name));
                write!(
                    f,
                    "import {module}.{name} has type {found}, but the host function has type {provided}"
                )
            }
            Finding::MissingExport { name } => {
                write!(f, "function {:?} is declared but not exported", printable(name))
            }
            Finding::WrongExport {
                name,
                declared,
                found: Some(found),
            } => {
                let (name, found) = (printable(name), printable(found));
                write!(
                    f,
                    "function {name:?} is declared as {declared} but has type {found}"
                )
            }
            Finding::WrongExport {
                name, found: None, ..
            } => write!(
                f,
                "{:?} is declared as a function but is not one",
                printable(name)
            ),
            Finding::UndeclaredExport { name } => {
                write!(f, "function {:?} is exported but not declared", printable(name))
            }
            Finding::MemoryOverLimit { initial, limit } => {
                write!(
                    f,
                    "starts with {initial} bytes of memory and tables, over its limit of {limit}"
                )
            }
            Finding::NotALibrary => {
                f.write_str("not a shared library: build it as one (`cdylib`, `cc -shared`)")
            }
            Finding::WrongPlatform { found, expected } => {
                write!(
                    f,
                    "built for {}, but this platform is {expected}",
                    printable(found)
                )
            }
        }
    }
}

/// Returns the content hash of a file.
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
