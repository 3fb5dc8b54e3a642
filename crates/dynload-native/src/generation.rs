//! One version of a module: a staged copy that was checked, opened and started.

use std::ffi::c_char;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::calls::Calls;
use crate::dependencies::Dependencies;
use crate::descriptor::{
    self, DESCRIPTOR_SYMBOL, Descriptor, DescriptorError, Host, Init, PanicMode, PluginDescriptor, Shutdown,
    TAKE_PANIC_SYMBOL, TakePanic,
};
use crate::error::Error;
use crate::flags::Flags;
use crate::hash::ContentHash;
use crate::image::Unload;
use crate::inspect::{self, LibraryInfo};
use crate::library::{Library, absolute};
#[cfg(unix)]
use crate::origin::Reach;
use crate::settings::Settings;
use crate::staging::{StagedFile, Staging};

/// How a module is loaded, and how it is loaded again at each reload.
///
/// # Examples
///
/// ```no_run
/// use dynload_native::{Flags, Options};
///
/// let options = Options::new().with_flags(Flags::LAZY).require_descriptor(true);
/// // SAFETY: we built this plugin.
/// let module = unsafe { options.load("libgreeter.so") }?;
/// # Ok::<(), dynload_native::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Options {
    flags: Flags,
    staging: Option<Arc<Staging>>,
    require_descriptor: bool,
    allow_panic_abort: bool,
    settings: Settings,
}

impl Options {
    /// Returns the default options: [`Flags::NOW`], copies in [`Staging::shared`], plugins with or without a
    /// descriptor, but no plugin whose descriptor says that a panic in it ends the process.
    pub fn new() -> Options {
        Options::default()
    }

    /// Sets how the library is bound and which libraries see its symbols. The default is [`Flags::NOW`].
    pub fn with_flags(mut self, flags: Flags) -> Options {
        self.flags = flags;
        self
    }

    /// Sets where the copies are created. The default is [`Staging::shared`].
    pub fn with_staging(mut self, staging: Arc<Staging>) -> Options {
        self.staging = Some(staging);
        self
    }

    /// Sets whether a plugin must have a [descriptor]. By default, it need not.
    pub fn require_descriptor(mut self, require: bool) -> Options {
        self.require_descriptor = require;
        self
    }

    /// Sets whether to accept a plugin in which a panic ends the process ([`PanicMode::Abort`]). By default, it is
    /// refused.
    pub fn allow_panic_abort(mut self, allow: bool) -> Options {
        self.allow_panic_abort = allow;
        self
    }

    /// Sets the settings of the plugin: names with values, which it receives through its
    /// [`dynload_plugin_configure`](crate::descriptor::Configure) at each load, before its `init`.
    ///
    /// With at least one setting, a plugin that does not export that function is refused.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use dynload_native::Options;
    ///
    /// let options = Options::new().with_settings([("greeting", "Good morning"), ("limit", "10")]);
    /// // SAFETY: we built this plugin.
    /// let module = unsafe { options.load("libgreeter.so") }?;
    /// # Ok::<(), dynload_native::Error>(())
    /// ```
    pub fn with_settings(
        mut self,
        settings: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Options {
        self.settings = Settings::new(settings);
        self
    }

    /// Copies the library to the location from which it will be loaded.
    ///
    /// # Errors
    ///
    /// - [`Error::Name`] when the path is empty or contains a NUL.
    /// - [`Error::Stage`] when the copy cannot be created.
    pub fn stage(&self, path: impl AsRef<Path>) -> Result<StagedFile, Error> {
        let asked = path.as_ref();
        let path = absolute(asked)?;
        let staging = match &self.staging {
            Some(staging) => Ok(Arc::clone(staging)),
            None => Staging::shared(),
        };
        staging
            .and_then(|staging| staging.stage(&path))
            .map_err(|source| Error::Stage {
                path: asked.to_owned(),
                source,
            })
    }

    /// Returns the descriptor if it is compatible with these options.
    fn check(&self, info: &LibraryInfo) -> Result<Option<Descriptor>, DescriptorError> {
        match &info.descriptor {
            None if self.require_descriptor => Err(DescriptorError::Missing),
            None => Ok(None),
            Some(bytes) => {
                let descriptor = descriptor::read(bytes)?;
                if descriptor.panic_mode == PanicMode::Abort && !self.allow_panic_abort {
                    return Err(DescriptorError::PanicAborts);
                }
                Ok(Some(descriptor))
            }
        }
    }
}

/// One version of a module: a staged copy that was checked, opened and started.
///
/// [`Module`](crate::Module) creates, swaps and retires generations. To do that yourself, as a hot reloader does to
/// time each step, stage with [`Options::stage`] and open with [`Generation::open`].
///
/// Dropping it calls the plugin's `shutdown`. If no symbol and no clone of the library is left, the library is then
/// [detached](Library).
pub struct Generation {
    /// Shuts the plugin down before the library is dropped: fields are dropped in this order.
    running: Option<Running>,
    library: Library,
    source: PathBuf,
    version: u64,
    hash: ContentHash,
    descriptor: Option<Descriptor>,
    take_panic: Option<TakePanic>,
    calls: Arc<Calls>,
}

impl Generation {
    /// Checks, opens and starts a staged copy of the library `source`, as version `version` of its module.
    ///
    /// The order is: the headers of the copy, the descriptor in it, the headers of the libraries beside `source` that
    /// it needs, the platform's loader with the library's constructors, the plugin's `dynload_plugin_configure` for each
    /// of its settings, its `init`.
    ///
    /// # Safety
    ///
    /// The constructors, `dynload_plugin_configure`, `init` and `shutdown` of the library run, the last on the thread that
    /// drops the generation; its destructors run at the end of the process, or when it is unmapped. They are foreign code:
    /// the caller promises that it is sound to run them. A symbol named [`DESCRIPTOR_SYMBOL`], [`TAKE_PANIC_SYMBOL`] or
    /// [`CONFIGURE_SYMBOL`](crate::descriptor::CONFIGURE_SYMBOL) has the type that this crate documents.
    ///
    /// # Errors
    ///
    /// - [`Error::Header`] when the headers of the copy, or of a library beside `source` that it needs, are refused.
    /// - [`Error::Descriptor`] when the plugin's descriptor does not fit this host.
    /// - [`Error::Outdated`] when it needs a library by a name for which the loader would use a version that was
    ///   reloaded or unloaded.
    /// - [`Error::Open`] when the platform's loader refuses the library.
    /// - [`Error::NotConfigurable`] when there are settings and the plugin receives none.
    /// - [`Error::Configure`] when the plugin refuses a setting.
    /// - [`Error::Init`] when the plugin's `init` refuses to start.
    pub unsafe fn open(
        mut staged: StagedFile,
        source: impl AsRef<Path>,
        version: u64,
        options: &Options,
    ) -> Result<Generation, Error> {
        let source = source.as_ref();
        let path = || source.to_owned();
        let hash = staged.hash();
        let info =
            inspect::inspect(staged.path()).map_err(|source| Error::Header { path: path(), source })?;
        let descriptor = options
            .check(&info)
            .map_err(|source| Error::Descriptor { path: path(), source })?;
        let original = absolute(source)?;
        let dependencies = Dependencies::of(&original, &info)?;
        dependencies.check_outdated(source)?;
        link(&mut staged, &original, &info, &dependencies);
        let mapped = staged.path().to_owned();
        // SAFETY: the caller answers for the constructors and destructors of the library and of its dependencies.
        let library = unsafe { Library::open_checked(path(), mapped, Some(staged), options.flags) }?;
        // SAFETY: the caller promises that a symbol of this name has this type.
        let take_panic = unsafe { library.symbol::<TakePanic>(TAKE_PANIC_SYMBOL) }
            .ok()
            .map(|symbol| *symbol);
        // SAFETY: the caller answers for the function, and promises that a symbol of this name has this type.
        unsafe { options.settings.pass(&library, source, take_panic) }?;
        let mut generation = Generation {
            running: None,
            library,
            source: path(),
            version,
            hash,
            descriptor,
            take_panic,
            calls: Arc::default(),
        };
        if generation.descriptor.is_some() {
            // SAFETY: the descriptor was read from the file and has the size of this interface version's struct.
            generation.running = Some(unsafe { start(&generation) }?);
        }
        Ok(generation)
    }

    /// Returns the open library.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Returns the path of the library, as the caller named it.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Returns the version of its module that this is.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Returns the hash of the copy's content.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Returns the plugin's descriptor, if it has one.
    pub fn descriptor(&self) -> Option<&Descriptor> {
        self.descriptor.as_ref()
    }

    /// Returns the message of the last panic that was caught in this plugin on this thread, and clears it.
    ///
    /// Returns `None` when there was no panic, or the plugin was not built with `export_plugin!`.
    pub fn take_panic(&self) -> Option<String> {
        // SAFETY: the caller of `open` promised that the symbol has this type.
        self.take_panic.and_then(|take| unsafe { take_message(take) })
    }

    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    /// Shuts the plugin down and unmaps it, immediately or when its last symbol is dropped.
    ///
    /// # Safety
    ///
    /// As for [`Library::unload`].
    ///
    /// # Errors
    ///
    /// As for [`Library::unload`].
    pub unsafe fn unload(self) -> Result<Unload, Error> {
        let Generation { running, library, .. } = self;
        drop(running);
        // SAFETY: the caller's promise.
        unsafe { library.unload() }
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("source", &self.source)
            .field("version", &self.version)
            .field("hash", &self.hash)
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}

/// Makes the copy find what the original finds. The loader reports what it does not find.
#[cfg(unix)]
fn link(staged: &mut StagedFile, original: &Path, info: &LibraryInfo, dependencies: &Dependencies) {
    let mut reach = Reach::of(staged.path(), info).unwrap_or(Reach::Above);
    // A library that is found beside the original looks from there too.
    let beside = |path: &&PathBuf| path.parent() == original.parent();
    for (path, info) in &dependencies.found {
        if reach < Reach::Above && beside(&path) {
            let found = info.as_ref().and_then(|info| Reach::of(path, info).ok());
            reach = reach.max(found.unwrap_or(Reach::Above));
        }
    }
    let needed = dependencies.found.keys().filter(beside);
    let _ = staged.link_surroundings(original, reach, needed.filter_map(|path| path.file_name()));
}

/// Makes the copy find what the original finds: Windows searches the directory of a library for what it needs.
#[cfg(not(unix))]
fn link(staged: &mut StagedFile, original: &Path, _info: &LibraryInfo, dependencies: &Dependencies) {
    let beside = |path: &&PathBuf| path.parent() == original.parent();
    let needed: Vec<_> = dependencies.found.keys().filter(beside).cloned().collect();
    staged.link_needed(&needed);
}

/// Returns the message of the last panic in a plugin on this thread, and clears it.
///
/// # Safety
///
/// The function behaves as [`TakePanic`] documents.
pub(crate) unsafe fn take_message(take: TakePanic) -> Option<String> {
    let mut buffer = [0u8; 1024];
    // SAFETY: the buffer has the size that is passed.
    let length = unsafe { take(buffer.as_mut_ptr().cast::<c_char>(), buffer.len()) };
    (length > 0).then(|| String::from_utf8_lossy(&buffer[..length.min(buffer.len())]).into_owned())
}

/// A plugin whose `init` succeeded.
struct Running {
    shutdown: Option<Shutdown>,
}

/// Calls the plugin's `init`.
///
/// # Safety
///
/// The library's file contains a complete descriptor of this interface version.
unsafe fn start(generation: &Generation) -> Result<Running, Error> {
    let descriptor = generation
        .library
        .address(DESCRIPTOR_SYMBOL)?
        .cast::<PluginDescriptor>();
    // SAFETY: the file contains the whole struct at this address. Its alignment is not guaranteed. The entry points
    // have been relocated by now: each is an address or null.
    let descriptor = unsafe { descriptor.read_unaligned() };
    if let Some(init) = descriptor.init {
        let _: Init = init;
        let host = Host {
            abi_version: descriptor::ABI_VERSION,
            struct_size: size_of::<Host>() as u32,
            module_version: generation.version,
        };
        // SAFETY: the caller of `Generation::open` answers for `init`; `host` is alive during the call.
        let code = unsafe { init(&raw const host) };
        if code != 0 {
            return Err(Error::Init {
                path: generation.source.clone(),
                code,
                message: generation.take_panic(),
            });
        }
    }
    Ok(Running {
        shutdown: descriptor.shutdown,
    })
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(shutdown) = self.shutdown {
            // SAFETY: the caller of `Generation::open` answers for `shutdown`, and the library is still open: it is
            // dropped after this.
            unsafe { shutdown() };
        }
    }
}
