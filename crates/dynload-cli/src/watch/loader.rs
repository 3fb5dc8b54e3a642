//! Loads the versions of a source.

use std::fs;
use std::io;
use std::sync::{Mutex, PoisonError};

use dynload_diagnostics::{listed, printable};
use dynload_hotreload::{Artifact, ArtifactKind, LoadError, Loader};
use dynload_native::inspect::{HeaderError, LibraryInfo, inspect};
use dynload_sandbox::{Engine, Instance, InterruptHandle, Sandbox};
use wasmparser::{Chunk, Parser};

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
        let failed = |error: io::Error| LoadError::new("cannot read the copy").with_source(error);
        match artifact.kind {
            ArtifactKind::Native => return Ok(None),
            _ if artifact.size == 0 => return Err(LoadError::incomplete("the file is empty")),
            _ => {}
        }
        let bytes = fs::read(&artifact.path).map_err(failed)?;
        load::binary(bytes, &artifact.origin)
            .map(Some)
            .map_err(|error| LoadError::new(load::one_line(&error)))
    }
}

impl Loader for SandboxLoader {
    type Loaded = Loaded;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        match Self::wasm(artifact) {
            Ok(Some(bytes)) if is_cut_off(&bytes) => Err(LoadError::incomplete("the module is truncated")),
            Ok(_) => Ok(()),
            // Text that does not parse is an error of `load`, unless it is empty.
            Err(error) if error.is_incomplete() => Err(error),
            Err(_) => Ok(()),
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
        let mut instance = self.sandbox.instantiate(&module).map_err(refused)?;
        if instance.signature("_initialize").is_some() {
            instance.call("_initialize", &[]).map_err(refused)?;
        }
        Ok(Loaded::Wasm {
            interrupt: instance.interrupt_handle(),
            instance: Mutex::new(instance),
        })
    }
}

/// Returns whether a module ends within a section: it is still being written.
fn is_cut_off(bytes: &[u8]) -> bool {
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    loop {
        match parser.parse(rest, false) {
            Ok(Chunk::NeedMoreData(_)) => return !rest.is_empty(),
            Ok(Chunk::Parsed { consumed, .. }) => rest = &rest[consumed..],
            // Malformed, which more bytes do not change.
            Err(_) => return false,
        }
        if rest.is_empty() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_ends_within_a_section_is_cut_off() {
        let bytes = wat::parse_str(
            "(module (memory 1) (data (i32.const 0) \"abc\") (func (export \"f\") (result i32) (i32.const 7)))",
        )
        .unwrap();
        assert!(!is_cut_off(&bytes));
        let cut = (1..bytes.len()).filter(|&at| is_cut_off(&bytes[..at])).count();
        // A cut between two sections is not noticed: what is left is a module.
        assert!(cut > bytes.len() * 3 / 4, "{cut} of {}", bytes.len());
        assert!(!is_cut_off(b"(module)"));
    }
}
