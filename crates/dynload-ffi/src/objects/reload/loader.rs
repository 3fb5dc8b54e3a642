//! The loader of a hot reloader: loads a shared library or a Wasm module.

use std::path::Path;
use std::sync::{Arc, Mutex};

use dynload_hotreload::{Artifact, ArtifactKind, LoadError, Loader, NativeLoader, NativePlugin, State};
use dynload_native::open_regular;
use dynload_plugins::WasmLoader;
use dynload_sandbox::{Capabilities, Limits};

use crate::boundary::error::{Error, Result};
use crate::boundary::sync::unpoisoned;
use crate::objects::{module, sandbox};

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

/// Returns whether an artifact is a module. The output of a build command may have any name.
fn is_wasm(artifact: &Artifact) -> bool {
    matches!(artifact.kind, ArtifactKind::Wasm | ArtifactKind::Wat) || starts_as_wasm(&artifact.path)
}

fn starts_as_wasm(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = open_regular(path).and_then(|(mut file, _)| std::io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && start == *b"\0asm"
}

impl Loader for FlatLoader {
    type Loaded = Loaded;

    fn check(&self, artifact: &Artifact) -> std::result::Result<(), LoadError> {
        if is_wasm(artifact) {
            WasmLoader::check_complete(artifact)
        } else {
            self.native.check(artifact)
        }
    }

    fn load(&self, artifact: &Artifact) -> std::result::Result<Loaded, LoadError> {
        if !is_wasm(artifact) {
            let plugin = self.native.load(artifact)?;
            let handle =
                module::insert_reloaded(plugin.library().clone(), &artifact.source, artifact.version);
            return Ok(Loaded::Native { plugin, handle });
        }
        let bytes = WasmLoader::read(artifact)?;
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
