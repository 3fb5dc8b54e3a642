//! Native modules, by the handles that `dlopen` returned for them.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::raw::c_void;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwapOption, Guard};
use dynload_native::{Flags, Library, Module, Options};

use crate::boundary::abi::ModuleHandle;
use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::sync::unpoisoned;
use crate::boundary::unique_text::UniqueText;

/// The entry for a handle of `dlopen`.
#[derive(Clone)]
struct Listed {
    /// Kept beside its owner, so that a lookup does not need the owner's lock.
    library: Library,
    entry: Arc<Entry>,
}

struct Entry {
    /// The path that was passed to the load. Its address belongs to this entry alone, and so distinguishes it from all that
    /// had the same handle.
    path: UniqueText,
    owner: Owner,
}

enum Owner {
    /// A module of `load_module`.
    Module(Module),
    /// The version that a hot reloader runs.
    Reloader { version: u64 },
}

impl Entry {
    /// Returns the module, which can be reloaded and unloaded.
    fn module(&self) -> Result<&Module> {
        match &self.owner {
            Owner::Module(module) => Ok(module),
            Owner::Reloader { .. } => Err(Error::new(
                ErrorCode::InvalidHandle,
                "the module belongs to a hot reloader, which reloads it when its source changes: destroy the hot reloader to release it",
            )),
        }
    }
}

/// There are few modules, so a tree lookup is faster than computing a hash.
type Modules = BTreeMap<i64, Listed>;

/// The list is replaced, not changed, so a lookup takes no lock. A lock might have to wait for a library's
/// constructors, which may load and unload other libraries.
static MODULES: ArcSwapOption<Modules> = ArcSwapOption::const_empty();

/// Returns the current list. Its libraries stay loaded while the guard is held.
fn read() -> Guard<Option<Arc<Modules>>> {
    MODULES.load()
}

/// Replaces the list.
fn change<R>(f: impl FnOnce(&mut Modules) -> R) -> R {
    static CHANGE: Mutex<()> = Mutex::new(());
    let one_at_a_time = unpoisoned(CHANGE.lock());
    let mut modules = read().as_deref().cloned().unwrap_or_default();
    let result = f(&mut modules);
    let before = MODULES.swap(Some(Arc::new(modules)));
    drop(one_at_a_time);
    // Not under the lock: dropping the last reference to a library may run more code.
    drop(before);
    result
}

fn raw(handle: *mut c_void) -> i64 {
    handle as i64
}

#[cold]
fn unknown(handle: i64) -> Error {
    let message = match handle {
        0 => "the module handle is 0: nothing is loaded".to_owned(),
        _ => format!(
            "{handle:#x} is not the handle of a loaded module: it was unloaded or reloaded, or load_module never returned it"
        ),
    };
    Error::new(ErrorCode::InvalidHandle, message)
}

/// Returns the entry of a handle, if the path is that entry's too: `dlopen` reuses handles, and a handle that was unloaded
/// must not become valid for another library.
fn find(handle: i64, path: i64) -> Result<Arc<Entry>> {
    listed(read().as_deref(), handle, path).map(|listed| Arc::clone(&listed.entry))
}

/// See [`find`].
fn listed(modules: Option<&Modules>, handle: i64, path: i64) -> Result<&Listed> {
    let listed = modules.and_then(|modules| modules.get(&handle));
    listed
        .filter(|listed| listed.entry.path.address() == path)
        .ok_or_else(|| unknown(handle))
}

/// Lists the library that a module has loaded.
fn list_module(entry: &Arc<Entry>) -> Result<ModuleHandle> {
    let module = entry.module()?;
    let (handle, current) = change(|modules| -> Result<_> {
        // Read inside `change`: of two concurrent reloads, the slower must not list what the other has replaced.
        let current = module.library()?;
        Ok((list(modules, &current, entry), current))
    })?;
    Ok(ModuleHandle {
        handle,
        path: entry.path.address(),
        version: current.generation().version() as i64,
        loaded: 1,
    })
}

/// Lists a library in place of the other ones of its owner, and returns its handle.
fn list(modules: &mut Modules, library: &Library, entry: &Arc<Entry>) -> i64 {
    unlist(modules, entry);
    let handle = raw(library.raw_handle());
    let (library, entry) = (library.clone(), Arc::clone(entry));
    modules.insert(handle, Listed { library, entry });
    handle
}

/// Removes all of an owner's libraries from the list.
fn unlist(modules: &mut Modules, entry: &Arc<Entry>) {
    modules.retain(|_, listed| !Arc::ptr_eq(&listed.entry, entry));
}

/// Loads a library.
///
/// # Safety
///
/// As for [`Module::load`].
pub(crate) unsafe fn load(path: &Path, flags: Flags) -> Result<ModuleHandle> {
    // SAFETY: the caller's promise.
    unsafe { load_with(path, Options::new().with_flags(flags)) }
}

/// Loads a library with these options, also when it is reloaded.
///
/// # Safety
///
/// As for [`Options::load`].
pub(crate) unsafe fn load_with(path: &Path, options: Options) -> Result<ModuleHandle> {
    // SAFETY: the caller's promise.
    let module = unsafe { options.load(path) }?;
    let path = UniqueText::new(path.as_os_str().as_encoded_bytes());
    let owner = Owner::Module(module);
    list_module(&Arc::new(Entry { path, owner }))
}

/// Converts the flags of the specification.
pub(crate) fn flags(bits: i64) -> Result<Flags> {
    let flags = u32::try_from(bits)
        .ok()
        .and_then(|bits| Flags::from_bits(bits).ok());
    flags.ok_or_else(|| {
        let message = format!("{bits} is not a valid set of loading flags: pass RTLD_LAZY (1) or RTLD_NOW (2), optionally with RTLD_GLOBAL (256)");
        Error::new(ErrorCode::InvalidArgument, message)
    })
}

/// Unloads a module and unmaps it.
///
/// # Safety
///
/// As for [`Module::unload`].
pub(crate) unsafe fn unload(handle: i64, path: i64) -> Result<()> {
    let entry = find(handle, path)?;
    let module = entry.module()?;
    let unlisted = || change(|modules| unlist(modules, &entry));
    // Before it is unloaded: another library may get the same handle immediately.
    unlisted();
    // SAFETY: the caller's promise.
    let unloaded = unsafe { module.unload() };
    if let Err(dynload_native::Error::Reentered { .. }) = &unloaded {
        // It is still loaded: its own constructor or destructor requested the unload.
        list_module(&entry)?;
    } else {
        // A version that another thread reloaded and listed in between was unloaded with it.
        unlisted();
    }
    unloaded?;
    Ok(())
}

/// Reloads a module from its file.
///
/// # Safety
///
/// As for [`Module::reload`].
pub(crate) unsafe fn reload(handle: i64, path: i64) -> Result<ModuleHandle> {
    let entry = find(handle, path)?;
    let module = entry.module()?;
    // SAFETY: the caller's promise.
    unsafe { module.reload() }?;
    // The old version stays in memory, so its handle is not reused.
    list_module(&entry)
}

/// Returns the address of a symbol that a module defines.
pub(crate) fn symbol(handle: i64, path: i64, name: &CStr) -> Result<i64> {
    let modules = read();
    let address = listed(modules.as_deref(), handle, path)?.library.address(name)?;
    Ok(address.as_ptr() as i64)
}

/// Returns the address of a symbol that a module or a library that it needs defines.
pub(crate) fn symbol_in_scope(handle: i64, path: i64, name: &CStr) -> Result<i64> {
    let modules = read();
    let listed = listed(modules.as_deref(), handle, path)?;
    Ok(listed.library.address_in_scope(name)?.as_ptr() as i64)
}

/// Returns the path and version of the module that has this handle now.
pub(crate) fn describe(handle: i64) -> Result<ModuleHandle> {
    let modules = read();
    let listed = modules.as_deref().and_then(|modules| modules.get(&handle));
    let entry = &listed.ok_or_else(|| unknown(handle))?.entry;
    let version = match &entry.owner {
        Owner::Module(module) => module.version(),
        Owner::Reloader { version } => *version,
    };
    Ok(ModuleHandle {
        handle,
        path: entry.path.address(),
        version: version as i64,
        loaded: 1,
    })
}

/// Lists the version that a hot reloader runs and returns its handle.
pub(crate) fn insert_reloaded(library: Library, source: &Path, version: u64) -> i64 {
    let path = UniqueText::new(source.as_os_str().as_encoded_bytes());
    let owner = Owner::Reloader { version };
    let entry = Arc::new(Entry { path, owner });
    change(|modules| list(modules, &library, &entry))
}

/// Removes a version from the list that a hot reloader no longer runs.
pub(crate) fn remove_reloaded(handle: i64) {
    change(|modules| modules.remove(&handle));
}
