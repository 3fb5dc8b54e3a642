//! The loaders that hot reload uses.

use std::num::NonZero;
use std::sync::Arc;

use dynload_diagnostics::printable;
use dynload_hotreload::{Artifact, ArtifactKind, LoadError, Loader, NativeLoader, NativePlugin, State};
use dynload_native::read_regular;
use dynload_native::staging::MAX_STAGED_BYTES;
use dynload_sandbox::{Engine, Module, Sandbox};

use crate::pool::Pool;

/// Loads WebAssembly modules, in the binary or the text format, into a sandbox: for hot reload.
///
/// A module that is only partly written is waited for. One that does not compile, has unresolved imports or fails in its start
/// function is refused, and the version before it keeps running.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use dynload_plugins::WasmLoader;
/// use dynload_plugins::hotreload::{Config, Reloader};
/// use dynload_plugins::sandbox::{Engine, Limits, Sandbox};
///
/// # let directory = tempfile::tempdir()?;
/// # let source = directory.path().join("plugin.wat");
/// let answer = |n| format!(r#"(module (func (export "answer") (result i64) (i64.const {n})))"#);
/// std::fs::write(&source, answer(1))?;
/// let loader = WasmLoader::new(Engine::default(), Arc::new(Sandbox::new(Limits::DEFAULT)));
/// let reloader = Reloader::new(Config::new(&source), loader)?;
/// reloader.start()?;
///
/// std::fs::write(&source, answer(42))?;
/// assert_eq!(reloader.wait(Duration::from_secs(10)), Some(2));
/// let plugin = reloader.current().ok_or("nothing is loaded")?;
/// assert_eq!(plugin.checkout(Duration::from_secs(1))?.call_i64("answer", &[])?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WasmLoader {
    engine: Engine,
    sandbox: Arc<Sandbox>,
    instances: NonZero<usize>,
}

impl WasmLoader {
    /// Creates a loader. Each version has at most one instance.
    #[must_use]
    pub fn new(engine: Engine, sandbox: Arc<Sandbox>) -> WasmLoader {
        WasmLoader {
            engine,
            sandbox,
            instances: NonZero::<usize>::MIN,
        }
    }

    /// Sets the number of instances that each version has at most.
    #[must_use]
    pub fn with_instances(mut self, most: NonZero<usize>) -> WasmLoader {
        self.instances = most;
        self
    }

    /// Returns the module of an artifact in the binary format: for loaders that instantiate it themselves.
    ///
    /// # Errors
    ///
    /// If the artifact cannot be read, or is text that is not a module.
    pub fn read(artifact: &Artifact) -> Result<Vec<u8>, LoadError> {
        let failed = |error: std::io::Error| LoadError::new("cannot read the copy").with_source(error);
        let bytes = read_regular(&artifact.path, MAX_STAGED_BYTES).map_err(failed)?;
        if bytes.starts_with(b"\0asm") || artifact.kind != ArtifactKind::Wat {
            return Ok(bytes);
        }
        let translated = wat::Parser::new().parse_bytes(Some(&artifact.origin), &bytes);
        translated.map(|binary| binary.into_owned()).map_err(|error| {
            // The problem, the location and the excerpt, each on separate lines.
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim);
            let (problem, place) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            LoadError::new(format!(
                "`{}` is not WebAssembly text: {problem} ({})",
                printable(artifact.origin.display()).path(),
                place.trim_start_matches("--> ")
            ))
        })
    }

    /// Checks that all of a module is there: for [`Loader::check`].
    ///
    /// # Errors
    ///
    /// [`LoadError::incomplete`] if it is not; then hot reload waits for the rest.
    pub fn check_complete(artifact: &Artifact) -> Result<(), LoadError> {
        let is_incomplete = match artifact.kind {
            ArtifactKind::Wat => artifact.size == 0,
            _ => is_cut_off(&WasmLoader::read(artifact)?),
        };
        if is_incomplete {
            return Err(LoadError::incomplete(format!(
                "`{}` is not a complete WebAssembly module",
                printable(artifact.origin.display()).path()
            )));
        }
        Ok(())
    }
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

impl Loader for WasmLoader {
    type Loaded = Pool;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        WasmLoader::check_complete(artifact)
    }

    fn load(&self, artifact: &Artifact) -> Result<Pool, LoadError> {
        let refused = |what: &str| LoadError::new(what);
        let module = Module::new(&self.engine, WasmLoader::read(artifact)?)
            .map_err(|error| refused("the module cannot be loaded").with_source(error))?;
        let pool = Pool::new(Arc::clone(&self.sandbox), module, self.instances);
        // An instance now, so that a version that cannot run is refused.
        pool.checkout(std::time::Duration::ZERO)
            .map_err(|error| refused("the module cannot run").with_source(error))?;
        Ok(pool)
    }
}

/// Loads the entry of a plugin.
pub(crate) enum EntryLoader {
    Wasm(WasmLoader),
    Native(NativeLoader),
}

/// The code of a plugin.
pub(crate) enum Code {
    Wasm(Pool),
    Native(NativePlugin),
}

impl Loader for EntryLoader {
    type Loaded = Code;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        match self {
            EntryLoader::Wasm(loader) => loader.check(artifact),
            EntryLoader::Native(loader) => loader.check(artifact),
        }
    }

    fn load(&self, artifact: &Artifact) -> Result<Code, LoadError> {
        match self {
            EntryLoader::Wasm(loader) => loader.load(artifact).map(Code::Wasm),
            EntryLoader::Native(loader) => loader.load(artifact).map(Code::Native),
        }
    }

    fn save(&self, old: &Code) -> Result<Option<State>, LoadError> {
        match (self, old) {
            (EntryLoader::Native(loader), Code::Native(old)) => loader.save(old),
            _ => Ok(None),
        }
    }

    fn restore(&self, new: &Code, state: &State) -> Result<(), LoadError> {
        match (self, new) {
            (EntryLoader::Native(loader), Code::Native(new)) => loader.restore(new, state),
            _ => Ok(()),
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
