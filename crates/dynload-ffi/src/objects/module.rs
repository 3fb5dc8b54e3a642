//! Native modules, by the handle that `dlopen` gave for them.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::raw::c_void;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwapOption, Guard};
use dynload_native::{Flags, Library, Module};

use crate::boundary::abi::ModuleHandle;
use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::text;

/// Something that a handle of `dlopen` stands for.
#[derive(Clone)]
struct Listed {
    /// Beside its owner, whose own lock a look-up need not take then.
    library: Library,
    entry: Arc<Entry>,
}

struct Entry {
    /// As it was given.
    path: i64,
    owner: Owner,
}

enum Owner {
    /// Of `load_module`.
    Module(Module),
    /// The version that a hot reloader runs.
    Reloader { version: u64 },
}

impl Entry {
    /// What can be reloaded and unloaded.
    fn module(&self) -> Result<&Module> {
        match &self.owner {
            Owner::Module(module) => Ok(module),
            Owner::Reloader { .. } => Err(Error::new(
                ErrorCode::InvalidHandle,
                "the module belongs to a hot reloader, which reloads it itself when its source changes, and unloads it when it is destroyed",
            )),
        }
    }
}

/// There are few, so a tree finds one faster than a hash is made.
type Modules = BTreeMap<i64, Listed>;

/// A list is not changed but replaced, so that a look-up takes no lock. It may have to wait for a library's constructors, which
/// may load and unload others.
static MODULES: ArcSwapOption<Modules> = ArcSwapOption::const_empty();

/// What is listed now. It stays loaded as long as this is held.
fn read() -> Guard<Option<Arc<Modules>>> {
    MODULES.load()
}

/// Replaces the list.
fn change<R>(f: impl FnOnce(&mut Modules) -> R) -> R {
    static CHANGE: Mutex<()> = Mutex::new(());
    let one_at_a_time = CHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut modules = read().as_deref().cloned().unwrap_or_default();
    let result = f(&mut modules);
    let before = MODULES.swap(Some(Arc::new(modules)));
    drop(one_at_a_time);
    // Not under the lock: whoever lets go of a library last may have more to do.
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
            "{handle:#x} is not the handle of a module that is loaded: it was unloaded, reloaded, or is not one of load_module"
        ),
    };
    Error::new(ErrorCode::InvalidHandle, message)
}

/// The entry of a handle. With a path, it has to be that module's: `dlopen` gives the same numbers again, and a handle that was
/// unloaded must not become one of another library.
fn find(handle: i64, path: Option<i64>) -> Result<Arc<Entry>> {
    listed(read().as_deref(), handle, path).map(|listed| Arc::clone(&listed.entry))
}

/// See [`find`].
fn listed(modules: Option<&Modules>, handle: i64, path: Option<i64>) -> Result<&Listed> {
    let listed = modules.and_then(|modules| modules.get(&handle));
    listed
        .filter(|listed| path.is_none_or(|path| listed.entry.path == path))
        .ok_or_else(|| unknown(handle))
}

/// Lists what a module has loaded.
fn list_module(entry: &Arc<Entry>) -> Result<ModuleHandle> {
    let module = entry.module()?;
    let (handle, current) = change(|modules| -> Result<_> {
        // In here: of two who reload at once, the slower must not list what the other has replaced.
        let current = module.library()?;
        Ok((list(modules, &current, entry), current))
    })?;
    Ok(ModuleHandle {
        handle,
        path: entry.path,
        version: current.generation().version() as i64,
        loaded: 1,
    })
}

/// Lists a library, and nothing else of its owner; its handle.
fn list(modules: &mut Modules, library: &Library, entry: &Arc<Entry>) -> i64 {
    unlist(modules, entry);
    let handle = raw(library.raw_handle());
    let (library, entry) = (library.clone(), Arc::clone(entry));
    modules.insert(handle, Listed { library, entry });
    handle
}

/// Takes everything off the list that is of one owner.
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
    let module = unsafe { Module::load(path, flags) }?;
    let path = text::intern(path.as_os_str().as_encoded_bytes());
    let owner = Owner::Module(module);
    list_module(&Arc::new(Entry { path, owner }))
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
    let module = entry.module()?;
    let off_the_list = || change(|modules| unlist(modules, &entry));
    // Before it goes: the number may be another library's at once.
    off_the_list();
    // SAFETY: the caller's promise.
    let unloaded = unsafe { module.unload() };
    if let Err(dynload_native::Error::Reentered { .. }) = &unloaded {
        // It is still loaded; its own constructor or destructor asked.
        list_module(&entry)?;
    } else {
        // What another thread loaded anew and listed in between went with it.
        off_the_list();
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
    let module = entry.module()?;
    // SAFETY: the caller's promise.
    unsafe { module.reload() }?;
    // The image of the old version stays in memory, so its number is not used again.
    list_module(&entry)
}

/// The address of a symbol.
pub(crate) fn symbol(handle: i64, path: Option<i64>, name: &CStr) -> Result<i64> {
    let modules = read();
    let address = listed(modules.as_deref(), handle, path)?.library.address(name)?;
    Ok(address.as_ptr() as i64)
}

/// The path and version of a module.
pub(crate) fn describe(handle: i64) -> Result<ModuleHandle> {
    let entry = find(handle, None)?;
    let version = match &entry.owner {
        Owner::Module(module) => module.version(),
        Owner::Reloader { version } => *version,
    };
    Ok(ModuleHandle {
        handle,
        path: entry.path,
        version: version as i64,
        loaded: 1,
    })
}

/// Lists the version that a hot reloader runs; its handle.
pub(crate) fn insert_reloaded(library: Library, source: &Path, version: u64) -> i64 {
    let path = text::intern(source.as_os_str().as_encoded_bytes());
    let owner = Owner::Reloader { version };
    let entry = Arc::new(Entry { path, owner });
    change(|modules| list(modules, &library, &entry))
}

/// Takes a version off the list that a hot reloader does not run any more.
pub(crate) fn remove_reloaded(handle: i64) {
    change(|modules| modules.remove(&handle));
}
