//! A directory in which prepared modules are kept.

use crate::{
    engine::{Engine, EngineConfig},
    error::ModuleError,
    module::{Module, limits::ModuleLimit},
    prepared::Prepared,
};
use alloc::sync::Arc;
use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, DirBuilderExt, MetadataExt, OpenOptions, OpenOptionsExt},
};
use sha2::{Digest, Sha256};
use std::{
    format,
    io::{self, Read, Write},
    path::Path,
    string::String,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
    vec::Vec,
};

/// A directory in which prepared modules are kept, so that a module is rewritten once and not in each process.
///
/// The name of a file is a hash (SHA-256) of the module, of the settings of the engine and of the version of this
/// crate. So a changed module is another file, and nothing has to be invalidated. A file that is damaged is replaced.
///
/// Any number of threads and processes can use the directory at the same time: a file is written under another name,
/// and renamed when it is complete. When the files exceed the [maximum](ModuleCache::with_max_bytes), those are
/// removed that were not used for the longest time.
///
/// # Trust
///
/// [`Prepared`] says why the files have to be trusted. So the directory is used only while it belongs to the user or to
/// root, and no one else can write to it. It is opened once: what its path leads to later does not matter.
///
/// # Examples
///
/// ```
/// use dynload_sandbox::{Engine, ModuleCache};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let home = tempfile::tempdir()?;
/// let cache = ModuleCache::open(home.path().join(".cache/my-program/modules"))?;
/// let wasm = wat::parse_str(r#"(module (func (export "nothing")))"#)?;
/// let module = cache.load(&Engine::default(), &wasm)?; // rewrites it
/// let module = cache.load(&Engine::default(), &wasm)?; // reads a file
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ModuleCache {
    directory: Arc<Dir>,
    max_bytes: u64,
}

/// The ends of the names of complete files, and of those that are being written.
const PREPARED: &str = ".prepared";
const PARTIAL: &str = ".partial";

/// The age from which a file that is being written was abandoned.
const ABANDONED: Duration = Duration::from_secs(3_600);

impl ModuleCache {
    /// Opens a cache in this directory, and creates it, with its parents, if it does not exist.
    ///
    /// The maximum is 256 MiB.
    ///
    /// # Errors
    ///
    /// Those of creating and opening the directory, and
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if others can write to it.
    pub fn open(directory: impl AsRef<Path>) -> io::Result<ModuleCache> {
        let path = directory.as_ref();
        let directory = open_or_create(path)?;
        if !is_trusted(&directory) {
            let message = format!(
                "others can write to {}: use a directory that belongs to you and to which only you can write",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(ModuleCache {
            directory: Arc::new(directory),
            max_bytes: 256 << 20,
        })
    }

    /// Sets how many bytes the files may have together. A module that is larger than this is not kept.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> ModuleCache {
        self.max_bytes = bytes;
        self
    }

    /// Loads a module in the binary format: a prepared one if the cache has it, or else the module itself, which is
    /// prepared and kept.
    ///
    /// Problems with files are not errors, since the module can be loaded without them.
    ///
    /// # Errors
    ///
    /// As [`Module::new`].
    pub fn load(&self, engine: &Engine, wasm: impl AsRef<[u8]>) -> Result<Module, ModuleError> {
        let wasm = wasm.as_ref();
        if !is_trusted(&self.directory) {
            return Module::new(engine, wasm);
        }
        let name = name(engine.config(), wasm);
        if let Some(module) = self.read(engine, &name) {
            return Ok(module);
        }
        let (module, prepared) = Module::new_and_prepared(engine, wasm)?;
        if prepared.as_bytes().len() as u64 <= self.max_bytes && self.write(&name, &prepared).is_ok() {
            let _ = self.remove_excess(&name);
        }
        Ok(module)
    }

    /// Loads a file, if it exists and is a prepared module, and records that it was used.
    fn read(&self, engine: &Engine, name: &str) -> Option<Module> {
        let mut file = self.directory.open(name).ok()?.into_std();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let module = Module::from_prepared(engine, &bytes).ok()?;
        let _ = file.set_modified(SystemTime::now());
        Some(module)
    }

    /// Writes a file, so that other processes see it only when it is complete.
    fn write(&self, name: &str, prepared: &Prepared) -> io::Result<()> {
        static WRITTEN: AtomicUsize = AtomicUsize::new(0);
        let n = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let partial = format!("{name}.{}-{n}{PARTIAL}", std::process::id());
        // A process of the same number may have left it.
        let _ = self.directory.remove_file(&partial);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = self.directory.open_with(&partial, &options)?;
        let written = file
            .write_all(prepared.as_bytes())
            .and_then(|()| self.directory.rename(&partial, &self.directory, name));
        if written.is_err() {
            let _ = self.directory.remove_file(&partial);
        }
        written
    }

    /// Removes files until they do not exceed the maximum, except the `newest`, and files that were abandoned.
    fn remove_excess(&self, newest: &str) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, String)> = Vec::new();
        for entry in self.directory.entries()? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let metadata = entry.metadata()?;
            let modified = metadata.modified()?.into_std();
            if name.ends_with(PARTIAL) && modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = self.directory.remove_file(&name);
            } else if name.ends_with(PREPARED) {
                files.push((modified, metadata.len(), name));
            }
        }
        files.sort_unstable();
        let mut sum: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, name) in files {
            if sum <= self.max_bytes {
                break;
            }
            if name != newest {
                // Another process may have removed it.
                let _ = self.directory.remove_file(&name);
                sum -= bytes;
            }
        }
        Ok(())
    }
}

/// Opens a directory. A new one is private, whatever the mask of the process is.
fn open_or_create(path: &Path) -> io::Result<Dir> {
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Dir::create_ambient_dir_all(parent, ambient_authority())?;
    let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
    match parent.create_dir_with(name, DirBuilder::new().mode(0o700)) {
        // Another process created it meanwhile.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    parent.open_dir(name)
}

/// Returns whether only the user and root can change the files of a directory.
fn is_trusted(directory: &Dir) -> bool {
    const ROOT: u32 = 0;
    /// The bits of a mode with which a group and others can write.
    const OTHERS_WRITE: u32 = 0o022;
    let user = rustix::process::geteuid().as_raw();
    directory
        .dir_metadata()
        .is_ok_and(|metadata| [user, ROOT].contains(&metadata.uid()) && metadata.mode() & OTHERS_WRITE == 0)
}

/// Returns the name of the file for a module.
fn name(config: &EngineConfig, wasm: &[u8]) -> String {
    let EngineConfig {
        profile,
        memory64,
        imported_memory,
        translation,
        // A module is validated as a whole when it is prepared.
        validation: _,
        module_limits,
    } = config;
    let mut hash = Sha256::new();
    let features = (cfg!(feature = "simd"), cfg!(feature = "deterministic"));
    let version = env!("CARGO_PKG_VERSION");
    hash.update(format!(
        "{version} {features:?} {profile} {memory64} {imported_memory} {translation:?}"
    ));
    for limit in ModuleLimit::ALL {
        hash.update(module_limits.get(*limit).to_le_bytes());
    }
    hash.update(wasm);
    let mut name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    name.push_str(PREPARED);
    name
}
