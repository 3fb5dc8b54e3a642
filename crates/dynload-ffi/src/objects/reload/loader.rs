//! The loader of a hot reloader: loads a shared library or a Wasm module.

use std::path::Path;
use std::sync::{Arc, Mutex};

use dynload_diagnostics::printable;
use dynload_hotreload::{Artifact, ArtifactKind, LoadError, Loader, NativeLoader, NativePlugin, State};
use dynload_native::staging::MAX_STAGED_BYTES;
use dynload_native::{open_regular, read_regular};
use dynload_sandbox::{Capabilities, Limits};

use crate::boundary::error::{Error, Result};
use crate::boundary::sync::unpoisoned;
use crate::objects::{module, sandbox, wasm_file};

/// The sandbox of a reloader's Wasm versions, created on first use.
#[derive(Default)]
pub(super) struct OwnSandbox(Mutex<Option<i64>>);

impl OwnSandbox {
    pub(super) fn handle(&self) -> Result<i64> {
        let mut own = unpoisoned(self.0.lock());
        if let Some(handle) = *own {
            return Ok(handle);
        }
        let handle = sandbox::create(Limits::DEFAULT, Capabilities::CONSOLE)?;
        *own = Some(handle);
        Ok(handle)
    }

    pub(super) fn destroy(&self) {
        let own = unpoisoned(self.0.lock()).take();
        if let Some(handle) = own {
            let _ = sandbox::destroy(handle);
        }
    }
}

/// Loads an artifact according to its kind: a shared library, or a Wasm module.
pub(super) struct FlatLoader {
    pub(super) native: NativeLoader,
    pub(super) sandbox: Arc<OwnSandbox>,
}

/// A loaded version and its handle, which are dropped together.
pub(super) enum Loaded {
    Native { plugin: NativePlugin, handle: i64 },
    Wasm { instance: i64, sandbox: i64 },
}

impl Drop for Loaded {
    fn drop(&mut self) {
        match self {
            Loaded::Native { handle, .. } => module::remove_reloaded(*handle),
            Loaded::Wasm { instance, .. } => {
                // It may have been destroyed through its handle.
                let _ = sandbox::retire_instance(*instance);
            }
        }
    }
}

impl FlatLoader {
    fn bytes(&self, artifact: &Artifact, wasm: Wasm) -> std::result::Result<Vec<u8>, LoadError> {
        let failed = |error: std::io::Error| LoadError::new("cannot read the copy").with_source(error);
        let bytes = read_regular(&artifact.path, MAX_STAGED_BYTES).map_err(failed)?;
        match wasm {
            Wasm::Binary => Ok(bytes),
            Wasm::Text => wasm_file::from_text(&bytes, &artifact.origin)
                .map_err(|error| LoadError::new(error.into_message())),
        }
    }
}

#[derive(Clone, Copy)]
enum Wasm {
    Binary,
    Text,
}

/// Returns the kind of Wasm of an artifact, or `None` if it is not Wasm.
fn wasm(artifact: &Artifact) -> Option<Wasm> {
    match artifact.kind {
        ArtifactKind::Wasm => Some(Wasm::Binary),
        ArtifactKind::Wat => Some(Wasm::Text),
        // The output of a build command may have any name.
        _ => starts_as_wasm(&artifact.path).then_some(Wasm::Binary),
    }
}

fn starts_as_wasm(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = open_regular(path).and_then(|(mut file, _)| std::io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && start == *b"\0asm"
}

/// Returns whether a module is truncated: the header or a section is longer than the available bytes
/// ([binary format](https://webassembly.github.io/spec/core/binary/modules.html)).
fn is_cut_off(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.get(8..) else {
        return true;
    };
    while let Some((_id, section)) = rest.split_first() {
        let mut size = 0_u64;
        let mut used = 0;
        loop {
            let Some(byte) = section.get(used) else {
                return true;
            };
            size |= u64::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
            if used == 5 {
                // Not a valid section length: the module is malformed, not truncated.
                return false;
            }
        }
        let after = &section[used..];
        match usize::try_from(size).ok().and_then(|size| after.get(size..)) {
            Some(next) => rest = next,
            None => return true,
        }
    }
    false
}

impl Loader for FlatLoader {
    type Loaded = Loaded;

    fn check(&self, artifact: &Artifact) -> std::result::Result<(), LoadError> {
        let Some(wasm) = wasm(artifact) else {
            return self.native.check(artifact);
        };
        let cut_off = match wasm {
            Wasm::Binary => is_cut_off(&self.bytes(artifact, wasm)?),
            Wasm::Text => artifact.size == 0,
        };
        if cut_off {
            let message = format!(
                "`{}` is not a complete WebAssembly module",
                printable(artifact.origin.display()).path()
            );
            return Err(LoadError::incomplete(message));
        }
        Ok(())
    }

    fn load(&self, artifact: &Artifact) -> std::result::Result<Loaded, LoadError> {
        let Some(wasm) = wasm(artifact) else {
            let plugin = self.native.load(artifact)?;
            let handle =
                module::insert_reloaded(plugin.library().clone(), &artifact.source, artifact.version);
            return Ok(Loaded::Native { plugin, handle });
        };
        let bytes = self.bytes(artifact, wasm)?;
        let refused = |error: Error| LoadError::new(error.into_message());
        let sandbox = self.sandbox.handle().map_err(refused)?;
        let module = sandbox::compile_for(sandbox, &bytes).map_err(refused)?;
        let instance = sandbox::load(sandbox, &module).map_err(refused)?;
        Ok(Loaded::Wasm { instance, sandbox })
    }

    fn save(&self, old: &Loaded) -> std::result::Result<Option<State>, LoadError> {
        match old {
            Loaded::Native { plugin, .. } => self.native.save(plugin),
            Loaded::Wasm { .. } => Ok(None),
        }
    }

    fn restore(&self, new: &Loaded, state: &State) -> std::result::Result<(), LoadError> {
        match new {
            Loaded::Native { plugin, .. } => self.native.restore(plugin, state),
            Loaded::Wasm { .. } => Err(LoadError::new(
                "a native version saved its state, but a Wasm version cannot restore it",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_modules_are_detected() {
        let whole =
            wat::parse_str("(module (memory 1) (data (i32.const 0) \"hello\") (func (export \"f\")))")
                .unwrap();
        assert!(!is_cut_off(&whole));
        for len in 0..whole.len() {
            // At a section boundary the bytes look complete, and may be.
            let cut = &whole[..len];
            assert!(
                is_cut_off(cut) || wat_sections_end(&whole).contains(&len),
                "{len} of {}",
                whole.len()
            );
        }
        assert!(
            !is_cut_off(b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\xff\xff"),
            "not a valid length"
        );
    }

    /// Returns where the sections of a module end, determined by a different algorithm.
    fn wat_sections_end(bytes: &[u8]) -> Vec<usize> {
        let mut at = 8;
        let mut ends = vec![at];
        while at < bytes.len() {
            // All these sections are shorter than 128 bytes.
            at += 2 + usize::from(bytes[at + 1]);
            ends.push(at);
        }
        ends
    }
}
