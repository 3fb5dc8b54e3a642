//! The loader for shared libraries.

use std::path::Path;
use std::sync::Arc;

use dynload_diagnostics::printable;
use dynload_native::inspect::{HeaderError, inspect};
use dynload_native::staging::StagedFile;
use dynload_native::{Error, Generation, Library, Options};

use crate::artifact::Artifact;
use crate::loader::{LoadError, Loader, State};

/// The exported function `uint64_t dynload_state_schema(void)`: returns the layout of the state, a number that the
/// plugin changes with the layout.
pub const STATE_SCHEMA_SYMBOL: &str = "dynload_state_schema";
/// The exported function `int64_t dynload_state_save(uint8_t *buffer, uint64_t capacity)`: writes the state if it
/// fits, and returns its size in either case; a negative number refuses.
pub const STATE_SAVE_SYMBOL: &str = "dynload_state_save";
/// The exported function `int32_t dynload_state_restore(const uint8_t *state, uint64_t size, uint64_t schema)`:
/// restores the state and returns 0; any other number refuses, and the old version stays.
pub const STATE_RESTORE_SYMBOL: &str = "dynload_state_restore";

/// The maximum size of the state that is passed to the next version: 1 GiB.
const MAX_STATE: i64 = 1 << 30;

type Open = dyn Fn(StagedFile, &Path, u64, &Options) -> Result<Generation, Error> + Send + Sync;
type Schema = dyn Fn(&Library) -> Option<u64> + Send + Sync;
type Save = dyn Fn(&Library, &mut [u8]) -> Option<i64> + Send + Sync;
type Restore = dyn Fn(&Library, &State) -> Option<i32> + Send + Sync;
type Retire = dyn Fn(Generation) + Send + Sync;

/// Loads shared libraries, each version as a [`Generation`] of `dynload-native`.
///
/// [`Generation`]: https://docs.rs/dynload-native/latest/dynload_native/struct.Generation.html
///
/// [`native_loader!`](crate::native_loader) creates it, inside an `unsafe` block.
///
/// # Examples
///
/// ```no_run
/// use dynload_hotreload::{Config, Reloader, native_loader};
///
/// // SAFETY: we write this plugin ourselves; its constructors are harmless.
/// let loader = unsafe { native_loader!() };
/// let reloader = Reloader::new(Config::new("plugins/greeter.c"), loader)?;
/// reloader.start()?;
/// if let Some(plugin) = reloader.current() {
///     // SAFETY: greeter.c defines `int64_t greet(int64_t)`.
///     let greet = unsafe { plugin.library().symbol::<extern "C" fn(i64) -> i64>("greet") }?;
///     println!("{}", greet(1));
/// } else if let Some(error) = reloader.last_error() {
///     // The first build failed; `start` succeeds nevertheless.
///     eprintln!("{}", error.report());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Old versions stay in memory
///
/// Retiring a version calls its `shutdown`, if it has a descriptor, and detaches it without unmapping, because
/// thread-local destructors and code that is still running make unmapping crash: see [`Library`]. That costs
/// address space for each reload, which is negligible in development. If no code or data of the plugin is in use
/// any more, it can be unmapped:
///
/// [`Library`]: https://docs.rs/dynload-native/latest/dynload_native/struct.Library.html
///
/// ```no_run
/// # use dynload_hotreload::native_loader;
/// let loader = unsafe { native_loader!() }.on_retire(|old| {
///     // SAFETY: our plugin starts no threads and has no thread-locals; all guards and their symbols have been dropped.
///     let _ = unsafe { old.unload() };
/// });
/// ```
///
/// # State
///
/// If a library exports [`dynload_state_save`](STATE_SAVE_SYMBOL), it is called before a swap, and the new library
/// receives the state through [`dynload_state_restore`](STATE_RESTORE_SYMBOL). The statics of a library are
/// initialized again in each version; anything to keep must be in that state.
#[derive(Clone)]
pub struct NativeLoader {
    options: Options,
    open: Arc<Open>,
    schema: Arc<Schema>,
    save: Arc<Save>,
    restore: Arc<Restore>,
    retire: Option<Arc<Retire>>,
}

impl std::fmt::Debug for NativeLoader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NativeLoader")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl NativeLoader {
    /// For [`native_loader!`](crate::native_loader), which supplies the `unsafe` calls.
    #[doc(hidden)]
    pub fn from_calls(
        options: Options,
        open: impl Fn(StagedFile, &Path, u64, &Options) -> Result<Generation, Error> + Send + Sync + 'static,
        schema: impl Fn(&Library) -> Option<u64> + Send + Sync + 'static,
        save: impl Fn(&Library, &mut [u8]) -> Option<i64> + Send + Sync + 'static,
        restore: impl Fn(&Library, &State) -> Option<i32> + Send + Sync + 'static,
    ) -> Self {
        Self {
            options,
            open: Arc::new(open),
            schema: Arc::new(schema),
            save: Arc::new(save),
            restore: Arc::new(restore),
            retire: None,
        }
    }

    /// Sets the settings that each version receives when it is loaded, before its `init`: see `Options::with_settings` of
    /// `dynload-native`.
    #[must_use]
    pub fn with_settings(
        mut self,
        settings: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        self.options = self.options.with_settings(settings);
        self
    }

    /// Calls `retire` with each version that is retired, instead of dropping it.
    ///
    /// It runs on whichever thread drops the last guard.
    #[must_use]
    pub fn on_retire(mut self, retire: impl Fn(Generation) + Send + Sync + 'static) -> Self {
        self.retire = Some(Arc::new(retire));
        self
    }
}

/// A loaded shared library.
///
/// It dereferences to its [`Generation`](https://docs.rs/dynload-native/latest/dynload_native/struct.Generation.html).
pub struct NativePlugin {
    generation: Option<Generation>,
    retire: Option<Arc<Retire>>,
}

impl std::ops::Deref for NativePlugin {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        self.generation.as_ref().expect("only drop takes it out")
    }
}

impl std::fmt::Debug for NativePlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.generation.fmt(f)
    }
}

impl Drop for NativePlugin {
    fn drop(&mut self) {
        if let (Some(retire), Some(generation)) = (&self.retire, self.generation.take()) {
            retire(generation);
        }
    }
}

impl Loader for NativeLoader {
    type Loaded = NativePlugin;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        inspect(&artifact.path).map(drop).map_err(|error| {
            let message = format!(
                "`{}` is not a library for this process",
                printable(artifact.origin.display()).path()
            );
            match error {
                HeaderError::Empty | HeaderError::Truncated { .. } => LoadError::incomplete(message),
                _ => LoadError::new(message),
            }
            .with_source(error)
        })
    }

    fn load(&self, artifact: &Artifact) -> Result<NativePlugin, LoadError> {
        let file = artifact
            .claim()
            .ok_or_else(|| LoadError::new("the staged copy was already claimed"))?;
        let generation = (self.open)(file, &artifact.origin, artifact.version, &self.options)
            .map_err(|error| LoadError::new("cannot open the library").with_source(error))?;
        Ok(NativePlugin {
            generation: Some(generation),
            retire: self.retire.clone(),
        })
    }

    fn save(&self, old: &NativePlugin) -> Result<Option<State>, LoadError> {
        let library = old.library();
        let schema = (self.schema)(library).unwrap_or(0);
        let mut bytes = Vec::new();
        // The state may grow between the query for its size and the save, while calls run.
        for _ in 0..8 {
            let Some(size) = (self.save)(library, &mut bytes) else {
                return Ok(None);
            };
            if size < 0 {
                return Err(LoadError::new(format!(
                    "`{STATE_SAVE_SYMBOL}` of the old version refused with {size}"
                )));
            }
            if size > MAX_STATE {
                let problem = format!(
                    "`{STATE_SAVE_SYMBOL}` returned a size of {size} bytes: at most {MAX_STATE} are allowed"
                );
                return Err(LoadError::new(problem));
            }
            // It is not negative and no larger than 1 GiB.
            let size = size as usize;
            if size <= bytes.len() {
                bytes.truncate(size);
                return Ok(Some(State { schema, bytes }));
            }
            bytes.resize(size, 0);
        }
        Err(LoadError::new(format!(
            "the state grew on every call of `{STATE_SAVE_SYMBOL}`"
        )))
    }

    fn restore(&self, new: &NativePlugin, state: &State) -> Result<(), LoadError> {
        let State { schema, bytes } = state;
        match (self.restore)(new.library(), state) {
            Some(0) => Ok(()),
            Some(code) => Err(LoadError::new(format!(
                "`{STATE_RESTORE_SYMBOL}` refused the state (schema {schema}, {} bytes) with {code}",
                bytes.len()
            ))),
            None => Err(LoadError::new(format!(
                "the old version saved its state (schema {schema}, {} bytes), but the new one does not export \
                 `{STATE_RESTORE_SYMBOL}`",
                bytes.len()
            ))),
        }
    }
}

/// Creates a [`NativeLoader`], optionally with [`Options`]. It must be used in an `unsafe` block.
///
/// [`Options`]: https://docs.rs/dynload-native/latest/dynload_native/struct.Options.html
///
/// # Safety
///
/// Every loaded file satisfies the contract of [`Generation::open`]: it is sound to
/// run its constructors, `dynload_plugin_configure`, `init` and `shutdown`. If it exports functions with the names
/// [`dynload_state_schema`](crate::STATE_SCHEMA_SYMBOL), [`dynload_state_save`](crate::STATE_SAVE_SYMBOL) and
/// [`dynload_state_restore`](crate::STATE_RESTORE_SYMBOL), they have the types given there and stay within their
/// buffers.
///
/// [`Generation::open`]: https://docs.rs/dynload-native/latest/dynload_native/struct.Generation.html#method.open
///
/// # Examples
///
/// ```compile_fail,E0133
/// let loader = dynload_hotreload::native_loader!(); // an error without `unsafe`
/// ```
#[macro_export]
macro_rules! native_loader {
    () => {
        $crate::native_loader!($crate::native::Options::new())
    };
    ($options:expr) => {{
        // An unsafe call outside an `unsafe` block does not compile: the caller's block is what allows the calls in
        // these closures.
        $crate::NativeLoader::from_calls(
            $options,
            |file, source, version, options| $crate::native::Generation::open(file, source, version, options),
            |library| {
                let schema = library.symbol::<unsafe extern "C" fn() -> u64>($crate::STATE_SCHEMA_SYMBOL).ok()?;
                Some((*schema)())
            },
            |library, buffer: &mut [u8]| {
                let save = library
                    .symbol::<unsafe extern "C" fn(*mut u8, u64) -> i64>($crate::STATE_SAVE_SYMBOL)
                    .ok()?;
                Some((*save)(buffer.as_mut_ptr(), buffer.len() as u64))
            },
            |library, state: &$crate::State| {
                let restore = library
                    .symbol::<unsafe extern "C" fn(*const u8, u64, u64) -> i32>($crate::STATE_RESTORE_SYMBOL)
                    .ok()?;
                Some((*restore)(state.bytes.as_ptr(), state.bytes.len() as u64, state.schema))
            },
        )
    }};
}
