//! Loads the versions of a source.

use std::sync::{Mutex, PoisonError};

use dynload_diagnostics::{listed, printable};
use dynload_hotreload::{Artifact, ArtifactKind, LoadError, Loader};
use dynload_native::inspect::{HeaderError, LibraryInfo, inspect};
use dynload_native::read_regular;
use dynload_native::staging::MAX_STAGED_BYTES;
use dynload_plugins::WasmLoader;
use dynload_sandbox::{Engine, Instance, InterruptHandle, Sandbox};

use crate::run::explained;
use crate::{load, number};

/// Loads modules in a sandbox, and only inspects libraries.
pub(super) struct SandboxLoader {
    pub(super) engine: Engine,
    pub(super) sandbox: Sandbox,
}

/// A version: an instance, or the headers of a library.
pub(super) enum Loaded {
    Wasm {
        instance: Mutex<Instance>,
        interrupt: InterruptHandle,
    },
    Native(LibraryInfo),
}

impl Loaded {
    /// Returns a line about the version, after calling `export`.
    pub(super) fn describe(&self, export: Option<&str>) -> String {
        let text = match self {
            Loaded::Native(info) => {
                let needed = printable(listed(&info.needed)).message().to_string();
                format!(
                    "a native library, inspected and not loaded: {} for {}, needs {}",
                    info.format,
                    info.architecture,
                    if needed.is_empty() { "nothing" } else { &needed }
                )
            }
            Loaded::Wasm { instance, .. } => {
                let Some(export) = export else {
                    return String::new();
                };
                let mut instance = instance.lock().unwrap_or_else(PoisonError::into_inner);
                let name = printable(export);
                match instance.call(export, &[]) {
                    Ok(results) => {
                        let results: Vec<String> = results.iter().map(number::text).collect();
                        if results.is_empty() {
                            format!("{name}()")
                        } else {
                            format!("{name}() = {}", listed(&results))
                        }
                    }
                    Err(error) => match error.exit_code() {
                        Some(code) => format!("{name}() exited with code {code}"),
                        None => format!("{name}() failed: {}", explained(&error)),
                    },
                }
            }
        };
        format!("{:>11}  {text}\n", "")
    }
}

impl SandboxLoader {
    /// Returns the module of an artifact in the binary format, or `None` if it is a library.
    fn wasm(artifact: &Artifact) -> Result<Option<Vec<u8>>, LoadError> {
        if artifact.kind == ArtifactKind::Native {
            return Ok(None);
        }
        let bytes = read_regular(&artifact.path, MAX_STAGED_BYTES)
            .map_err(|error| LoadError::new("cannot read the copy").with_source(error))?;
        load::binary(bytes, &artifact.origin)
            .map(Some)
            .map_err(|error| LoadError::new(load::one_line(&error)))
    }
}

impl Loader for SandboxLoader {
    type Loaded = Loaded;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        match artifact.kind {
            // `inspect` sees it when it is loaded.
            ArtifactKind::Native => Ok(()),
            _ => WasmLoader::check_complete(artifact),
        }
    }

    fn load(&self, artifact: &Artifact) -> Result<Loaded, LoadError> {
        let Some(bytes) = Self::wasm(artifact)? else {
            let info = inspect(&artifact.path).map_err(|error| {
                let make = match error {
                    HeaderError::Empty | HeaderError::Truncated { .. } => LoadError::incomplete,
                    _ => LoadError::new,
                };
                make("not a library for this machine").with_source(error)
            })?;
            return Ok(Loaded::Native(info));
        };
        let module = load::compile(&self.engine, &bytes).map_err(LoadError::new)?;
        let refused = |error: dynload_sandbox::Error| LoadError::new(explained(&error));
        let instance = self.sandbox.instantiate(&module).map_err(refused)?;
        Ok(Loaded::Wasm {
            interrupt: instance.interrupt_handle(),
            instance: Mutex::new(instance),
        })
    }
}
