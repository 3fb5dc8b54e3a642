//! A library that can be replaced while it runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::calls::CallGuard;
use crate::descriptor::Descriptor;
use crate::error::Error;
use crate::flags::Flags;
use crate::generation::{Generation, Options};
use crate::hash::ContentHash;
use crate::image::Unload;
use crate::staging::StagedFile;
use crate::sync::{lock, read, wait, write};

/// A library that can be replaced while it runs.
///
/// The loaded file is a private copy, so the original may be rebuilt, overwritten or deleted at any time.
/// [`reload`](Module::reload) loads a new copy beside the old one and swaps the two only if every step succeeds: when
/// anything fails the old one stays, and works.
///
/// Every method may be called from any thread, even while others run (see [thread safety](crate#thread-safety)).
/// Dropping a module shuts the plugin down when its last call ends, and [detaches](crate::Library) it without unmapping
/// it.
///
/// # Examples
///
/// ```no_run
/// use dynload_native::{Flags, Module};
///
/// // SAFETY: we built this plugin, and will build its later versions.
/// let module = unsafe { Module::load("plugins/libgreeter.so", Flags::NOW) }?;
/// {
///     let call = module.enter()?;
///     // SAFETY: the plugin's source declares this type.
///     let add = unsafe { call.symbol::<extern "C" fn(i64, i64) -> i64>("add") }?;
///     assert_eq!(add(2, 3), 5);
/// }
/// // ... the plugin is rebuilt ...
/// // SAFETY: as above.
/// match unsafe { module.reload() } {
///     Ok(version) => println!("version {version} runs"),
///     Err(error) => println!("version {} keeps running: {error}", module.version()),
/// }
/// # Ok::<(), dynload_native::Error>(())
/// ```
pub struct Module {
    path: PathBuf,
    options: Options,
    current: RwLock<Current>,
    change: Change,
}

/// The running generation, if any, and the version of the last one.
struct Current {
    generation: Option<Arc<Generation>>,
    version: u64,
}

/// The outcome of retiring a version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retired {
    /// The version.
    pub version: u64,
    /// The number of calls that had not ended at the deadline. With 0, the plugin was shut down; otherwise it is shut
    /// down when the last of them ends.
    pub in_flight: usize,
    /// The file that is still mapped. It may be deleted already.
    pub still_mapped: PathBuf,
}

impl Options {
    /// Loads the library at a path as version 1 of a module.
    ///
    /// # Safety
    ///
    /// As for [`Module::load`].
    ///
    /// # Errors
    ///
    /// As for [`Module::load`].
    pub unsafe fn load(self, path: impl AsRef<Path>) -> Result<Module, Error> {
        let path = path.as_ref();
        // A later change of directory must not make a reload load another file.
        let absolute = crate::library::absolute(path)?;
        let staged = self.stage(&absolute)?;
        // SAFETY: the caller's promise.
        let generation = unsafe { Generation::open(staged, &absolute, 1, &self) }?;
        let current = RwLock::new(Current {
            generation: Some(Arc::new(generation)),
            version: 1,
        });
        Ok(Module {
            path: absolute,
            options: self,
            current,
            change: Change::default(),
        })
    }
}

impl Module {
    /// Loads the library at a path as version 1 of a module.
    ///
    /// [`Options`] has more settings.
    ///
    /// # Safety
    ///
    /// Loading runs the constructors of the library and the `init` of its [descriptor](crate::descriptor), and
    /// later its `shutdown` and destructors, on the thread that drops the last owner. They are foreign code: the caller
    /// promises that it is sound to run them.
    ///
    /// # Errors
    ///
    /// [`Error::step`] distinguishes them:
    ///
    /// - [`Error::Name`] when the path is empty or contains a NUL.
    /// - [`Error::Stage`] when the file cannot be copied.
    /// - [`Error::Header`] when the copy's headers say that it cannot be loaded here.
    /// - [`Error::Descriptor`] when its descriptor does not fit this host.
    /// - [`Error::Open`] when the platform's loader refuses it.
    /// - [`Error::Init`] when the plugin's `init` refuses to start. With [settings](Options::with_settings) also
    ///   [`Error::NotConfigurable`] and [`Error::Configure`].
    pub unsafe fn load(path: impl AsRef<Path>, flags: Flags) -> Result<Module, Error> {
        // SAFETY: the caller's promise.
        unsafe { Options::new().with_flags(flags).load(path) }
    }

    /// Returns the library's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the version: 1 after the load, and one more for each successful reload.
    ///
    /// It stays the same when the module is unloaded.
    pub fn version(&self) -> u64 {
        self.read(|current| current.version)
    }

    /// Returns whether the module can be called: true until it is retired or unloaded.
    pub fn is_loaded(&self) -> bool {
        self.read(|current| current.generation.is_some())
    }

    /// Returns the hash of the loaded version, if one is loaded.
    pub fn hash(&self) -> Option<ContentHash> {
        self.read(|current| current.generation.as_ref().map(|generation| generation.hash()))
    }

    /// Returns the descriptor of the loaded plugin, if it has one.
    pub fn descriptor(&self) -> Option<Descriptor> {
        self.read(|current| {
            current
                .generation
                .as_ref()
                .and_then(|generation| generation.descriptor().cloned())
        })
    }

    /// Returns the number of calls in flight in the loaded version.
    pub fn in_flight(&self) -> usize {
        self.read(|current| {
            current
                .generation
                .as_ref()
                .map_or(0, |generation| generation.calls().active())
        })
    }

    /// Begins a call: the guard is the library as it is now, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// - [`Error::NotLoaded`] when the module was retired or unloaded.
    pub fn enter(&self) -> Result<CallGuard, Error> {
        // Under the lock: when a thread swaps the generation out, every call that obtained it has been counted.
        let guard = self.read(|current| current.generation.as_ref().map(CallGuard::enter));
        guard.ok_or_else(|| self.not_loaded())
    }

    /// Does the same as [`enter`](Module::enter): the guard is the library.
    ///
    /// # Errors
    ///
    /// - [`Error::NotLoaded`] when the module was retired or unloaded.
    pub fn library(&self) -> Result<CallGuard, Error> {
        self.enter()
    }

    /// Loads the library again, replaces the running version with it, and returns the new version.
    ///
    /// A copy is staged, checked, opened and started; then it replaces the old one, which is shut down and detached
    /// when its last call ends. When anything fails, the old one stays, its version number does not change, and
    /// [`Error::step`] returns the step that failed. Unchanged content is loaded again too: to avoid that, compare
    /// [`hash`](Module::hash).
    ///
    /// The library's variables are initialized again. The old image stays in memory
    /// ([`detached_images`](crate::detached_images)).
    ///
    /// # Safety
    ///
    /// As for [`Module::load`], for the file as it is now.
    ///
    /// # Errors
    ///
    /// As for [`Module::load`], and:
    ///
    /// - [`Error::NotLoaded`] when the module was retired or unloaded.
    /// - [`Error::Reentered`] when the plugin itself requests it while it is being loaded or unloaded.
    pub unsafe fn reload(&self) -> Result<u64, Error> {
        let change = self.begin()?;
        let staged = self.options.stage(&self.path)?;
        // SAFETY: the caller's promise.
        unsafe { self.replace(staged, &change) }
    }

    /// Reloads, as [`reload`](Module::reload) does, from a copy that was [staged](Options::stage) before.
    ///
    /// # Safety
    ///
    /// As for [`Module::load`], for the copy.
    ///
    /// # Errors
    ///
    /// As for [`reload`](Module::reload).
    pub unsafe fn reload_staged(&self, staged: StagedFile) -> Result<u64, Error> {
        let change = self.begin()?;
        // SAFETY: the caller's promise.
        unsafe { self.replace(staged, &change) }
    }

    /// # Safety
    ///
    /// As for [`Module::load`], for the copy.
    unsafe fn replace(&self, staged: StagedFile, _change: &Changing<'_>) -> Result<u64, Error> {
        let version = self.read(|current| current.generation.is_some().then_some(current.version + 1));
        let version = version.ok_or_else(|| self.not_loaded())?;
        // SAFETY: the caller's promise.
        let new = unsafe { Generation::open(staged, &self.path, version, &self.options) }?;
        let old = {
            let mut current = write(&self.current);
            current.version = version;
            current.generation.replace(Arc::new(new))
        };
        if let Some(old) = &old {
            old.library().set_former();
        }
        // Not under the lock: the old plugin's `shutdown` may run now, and may take long.
        drop(old);
        Ok(version)
    }

    /// Removes the running version, waits at most `patience` for its calls to end, shuts it down and detaches it.
    ///
    /// Calls that begin after the removal return [`Error::NotLoaded`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use dynload_native::{Flags, Module};
    ///
    /// // SAFETY: we built this plugin.
    /// let module = unsafe { Module::load("plugins/libgreeter.so", Flags::NOW) }?;
    /// let retired = module.retire(Duration::from_secs(5))?;
    /// assert!(!module.is_loaded());
    /// if retired.in_flight > 0 {
    ///     eprintln!("{} calls have not ended; the last of them shuts the plugin down", retired.in_flight);
    /// }
    /// # Ok::<(), dynload_native::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`Error::NotLoaded`] when the module was retired or unloaded before.
    /// - [`Error::Reentered`] when the plugin itself requests it while it is being loaded or unloaded.
    pub fn retire(&self, patience: Duration) -> Result<Retired, Error> {
        // A deadline that the clock cannot represent means no deadline.
        let now = Instant::now();
        let deadline = now
            .checked_add(patience)
            .unwrap_or_else(|| now + Duration::from_secs(u32::MAX.into()));
        let _change = self.begin()?;
        let generation = self.take()?;
        let in_flight = generation.calls().wait_until_idle(deadline);
        let still_mapped = generation.library().mapped_path().to_owned();
        Ok(Retired {
            version: generation.version(),
            in_flight,
            still_mapped,
        })
    }

    /// Removes the running version, shuts it down and unmaps it.
    ///
    /// Each happens immediately or, when it must wait, when the last owner is dropped: the shutdown waits for the
    /// guards of calls, the unmapping also for symbols and clones of the library.
    ///
    /// # Safety
    ///
    /// As for [`Library::unload`](crate::Library::unload): when the last call and symbol is dropped, nothing else may
    /// refer to the image: no thread that runs in it, no callback, and no address or value that was obtained from it.
    ///
    /// # Errors
    ///
    /// - [`Error::NotLoaded`] when the module was retired or unloaded before.
    /// - [`Error::Close`] when the platform's loader reports a failure; the module is no longer loaded.
    /// - [`Error::Reentered`] when the plugin itself requests it while it is being loaded or unloaded.
    pub unsafe fn unload(&self) -> Result<Unload, Error> {
        let _change = self.begin()?;
        let generation = self.take()?;
        // SAFETY: the caller's promise is for the moment when the last owner is dropped.
        unsafe { generation.library().unmap_when_dropped() };
        match Arc::into_inner(generation) {
            // SAFETY: likewise.
            Some(generation) => unsafe { generation.unload() },
            None => Ok(Unload::Pending),
        }
    }

    fn take(&self) -> Result<Arc<Generation>, Error> {
        let taken = write(&self.current).generation.take();
        let taken = taken.ok_or_else(|| self.not_loaded())?;
        taken.library().set_former();
        Ok(taken)
    }

    fn read<R>(&self, f: impl FnOnce(&Current) -> R) -> R {
        // Nothing panics under the lock.
        f(&read(&self.current))
    }

    fn begin(&self) -> Result<Changing<'_>, Error> {
        self.change.begin().ok_or_else(|| Error::Reentered {
            path: self.path.clone(),
        })
    }

    #[cold]
    fn not_loaded(&self) -> Error {
        Error::NotLoaded {
            path: self.path.clone(),
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|current| {
            f.debug_struct("Module")
                .field("path", &self.path)
                .field("version", &current.version)
                .field("generation", &current.generation)
                .finish()
        })
    }
}

/// A lock that reports re-entry: only one thread at a time replaces or removes the running version. Calls do not wait
/// for it.
#[derive(Default)]
struct Change {
    by: Mutex<Option<ThreadId>>,
    done: Condvar,
}

/// A change in progress; dropping it ends the change.
struct Changing<'a>(&'a Change);

impl Change {
    /// Waits for a change in progress to end, and begins one. Returns `None` when the change in progress is this
    /// thread's own.
    fn begin(&self) -> Option<Changing<'_>> {
        let this = std::thread::current().id();
        let mut by = lock(&self.by);
        while let Some(other) = *by {
            if other == this {
                return None;
            }
            by = wait(&self.done, by);
        }
        *by = Some(this);
        Some(Changing(self))
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        *lock(&self.0.by) = None;
        self.0.done.notify_one();
    }
}
