//! Native modules, by the handle that `dlopen` gave for them.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::raw::c_void;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use dynload_native::{Flags, Library, Module};

use crate::abi::ModuleHandle;
use crate::error::{Error, ErrorCode, Result};
use crate::text;

/// Something that a handle of `dlopen` stands for.
enum Entry {
    /// Of `load_module`.
    Module { module: Module, path: i64 },
    /// The version that a hot reloader runs.
    Reloaded {
        library: Library,
        path: i64,
        version: u64,
    },
}

impl Entry {
    fn path(&self) -> i64 {
        match self {
            Entry::Module { path, .. } | Entry::Reloaded { path, .. } => *path,
        }
    }
}

/// There are few, so a tree finds one faster than a hash is made.
type Modules = BTreeMap<i64, Arc<Entry>>;

static MODULES: RwLock<Modules> = RwLock::new(BTreeMap::new());

fn read() -> RwLockReadGuard<'static, Modules> {
    MODULES.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Modules> {
    MODULES.write().unwrap_or_else(PoisonError::into_inner)
}

fn raw(handle: *mut c_void) -> i64 {
    handle as i64
}

#[cold]
fn unknown(handle: i64) -> Error {
    let message = match handle {
        0 => "the module handle is 0: nothing is loaded".to_owned(),
        _ => format!(
            "{handle:#x} is not the handle of a module that is loaded: it was unloaded, reloaded, or is not one of load_module"
        ),
    };
    Error::new(ErrorCode::InvalidHandle, message)
}

/// The entry of a handle. With a path, it has to be that module's: `dlopen` gives the same numbers again, and a handle that was
/// unloaded must not become one of another library.
fn find(handle: i64, path: Option<i64>) -> Result<Arc<Entry>> {
    listed(&read(), handle, path)
        .cloned()
        .ok_or_else(|| unknown(handle))
}

/// See [`find`].
fn listed(modules: &Modules, handle: i64, path: Option<i64>) -> Option<&Arc<Entry>> {
    let entry = modules.get(&handle);
    entry.filter(|entry| path.is_none_or(|path| entry.path() == path))
}

/// Loads a library.
///
/// # Safety
///
/// As for [`Module::load`].
pub(crate) unsafe fn load(path: &Path, flags: Flags) -> Result<ModuleHandle> {
    // SAFETY: the caller's promise.
    let module = unsafe { Module::load(path, flags) }?;
    let handle = raw(module.library()?.raw_handle());
    let version = module.version() as i64;
    let path = text::intern(path.as_os_str().as_encoded_bytes());
    write().insert(handle, Arc::new(Entry::Module { module, path }));
    Ok(ModuleHandle {
        handle,
        path,
        version,
        loaded: 1,
    })
}

/// The flags of the specification.
pub(crate) fn flags(bits: i64) -> Result<Flags> {
    let flags = u32::try_from(bits)
        .ok()
        .and_then(|bits| Flags::from_bits(bits).ok());
    flags.ok_or_else(|| {
        let message = format!("{bits} are no loading flags: give RTLD_LAZY (1) or RTLD_NOW (2), or either with RTLD_GLOBAL (256)");
        Error::new(ErrorCode::InvalidArgument, message)
    })
}

/// Unloads a module and unmaps it.
///
/// # Safety
///
/// As for [`Module::unload`].
pub(crate) unsafe fn unload(handle: i64, path: Option<i64>) -> Result<()> {
    let entry = find(handle, path)?;
    let Entry::Module { module, .. } = &*entry else {
        return Err(Error::new(
            ErrorCode::InvalidHandle,
            "the module belongs to a hot reloader: destroy that instead",
        ));
    };
    // Off the list before it goes: the number may be another library's at once.
    let listed = {
        let mut modules = write();
        let ours = modules
            .get(&handle)
            .is_some_and(|listed| Arc::ptr_eq(listed, &entry));
        if ours { modules.remove(&handle) } else { None }
    };
    if listed.is_none() {
        return Err(unknown(handle));
    }
    // SAFETY: the caller's promise.
    let unloaded = unsafe { module.unload() };
    if let Err(dynload_native::Error::Reentered { .. }) = &unloaded {
        // It is still loaded; its own constructor or destructor asked.
        write().insert(handle, Arc::clone(&entry));
    }
    unloaded?;
    Ok(())
}

/// Loads a module anew.
///
/// # Safety
///
/// As for [`Module::reload`].
pub(crate) unsafe fn reload(handle: i64, path: Option<i64>) -> Result<ModuleHandle> {
    let entry = find(handle, path)?;
    let Entry::Module { module, path } = &*entry else {
        return Err(Error::new(
            ErrorCode::InvalidHandle,
            "the module belongs to a hot reloader, which reloads it itself when its source changes",
        ));
    };
    // SAFETY: the caller's promise.
    let version = unsafe { module.reload() }?;
    let current = module.library()?;
    let new = raw(current.raw_handle());
    let version = current.generation().version().max(version);
    {
        let mut modules = write();
        // The image of the old version stays in memory, so its number is not used again.
        modules.retain(|_, listed| !Arc::ptr_eq(listed, &entry));
        modules.insert(new, Arc::clone(&entry));
    }
    Ok(ModuleHandle {
        handle: new,
        path: *path,
        version: version as i64,
        loaded: 1,
    })
}

/// The address of a symbol.
pub(crate) fn symbol(handle: i64, path: Option<i64>, name: &CStr) -> Result<i64> {
    let (call, version);
    let library: &Library = {
        let modules = read();
        match listed(&modules, handle, path).map(|entry| &**entry) {
            Some(Entry::Module { module, .. }) => {
                call = module.library()?;
                &call
            }
            Some(Entry::Reloaded { library, .. }) => {
                version = library.clone();
                &version
            }
            None => return Err(unknown(handle)),
        }
    };
    // Outside of the lock: what is looked up may be found by code of the library, an indirect function's resolver.
    Ok(library.address(name)?.as_ptr() as i64)
}

/// The path and version of a module.
pub(crate) fn describe(handle: i64) -> Result<ModuleHandle> {
    let entry = find(handle, None)?;
    let version = match &*entry {
        Entry::Module { module, .. } => module.version(),
        Entry::Reloaded { version, .. } => *version,
    };
    Ok(ModuleHandle {
        handle,
        path: entry.path(),
        version: version as i64,
        loaded: 1,
    })
}

/// Lists the version that a hot reloader runs; its handle.
pub(crate) fn insert_reloaded(library: Library, source: &Path, version: u64) -> i64 {
    let handle = raw(library.raw_handle());
    let path = text::intern(source.as_os_str().as_encoded_bytes());
    write().insert(
        handle,
        Arc::new(Entry::Reloaded {
            library,
            path,
            version,
        }),
    );
    handle
}

/// Takes a version off the list that a hot reloader does not run any more.
pub(crate) fn remove_reloaded(handle: i64) {
    let removed = write().remove(&handle);
    drop(removed);
}
