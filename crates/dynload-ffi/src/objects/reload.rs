//! Hot reload of native and Wasm plugins.

mod loader;

use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dynload_diagnostics::printable;
use dynload_hotreload::{Config, EventKind, Guard, Reloader, StartError, Stop, native_loader};

use self::loader::{FlatLoader, Loaded, OwnSandbox};
use crate::boundary::abi::{HotReloader, ModuleHandle, WasmInstance};
use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::handle::{Kind, Table};
use crate::objects::module;

/// The reloader that a handle identifies.
pub(crate) struct ReloaderEntry {
    reloader: Reloader<FlatLoader>,
    sandbox: Arc<OwnSandbox>,
}

impl Kind for ReloaderEntry {
    const NAME: &'static str = "hot reloader";
    const TAG: u8 = 3;
}

static RELOADERS: LazyLock<Table<ReloaderEntry>> = LazyLock::new(Table::new);

/// The settings for creating a reloader.
pub(crate) struct Settings {
    pub(crate) source: PathBuf,
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) debounce: Duration,
    pub(crate) verbose: bool,
}

/// Creates a reloader.
///
/// # Safety
///
/// The source may be built, and the result may be loaded and run, as for
/// [`native_loader!`](dynload_hotreload::native_loader).
pub(crate) unsafe fn create(settings: Settings) -> Result<HotReloader> {
    // SAFETY: the caller's promise.
    let native = unsafe { native_loader!() };
    let sandbox = Arc::new(OwnSandbox::default());
    let mut config = Config::new(&settings.source)
        .with_debounce(settings.debounce)
        .with_verbose(settings.verbose);
    if let Some(dir) = &settings.output_dir {
        config = config.with_output_dir(dir);
    }
    let reloader = Reloader::new(
        config,
        FlatLoader {
            native,
            sandbox: Arc::clone(&sandbox),
        },
    )?;
    if settings.verbose {
        let name = printable(settings.source.display()).path().to_string();
        reloader.on_event(move |event| match &event.kind {
            EventKind::Failed { step, error, .. } => {
                eprintln!("dynload: {name}: failed to {step}: {}", error.report())
            }
            _ => eprintln!("dynload: {name}: {event}"),
        });
    }
    let handle = RELOADERS.insert(Arc::new(ReloaderEntry { reloader, sandbox }))?;
    Ok(HotReloader {
        handle,
        version: 0,
        running: 0,
    })
}

impl ReloaderEntry {
    /// Returns an error if the reloader was started by the process from which this one was forked.
    fn of_this_process(&self) -> Result<()> {
        match self.reloader.other_process() {
            Some(process) => Err(StartError::OtherProcess { process }.into()),
            None => Ok(()),
        }
    }

    fn value(&self, handle: i64) -> HotReloader {
        HotReloader {
            handle,
            version: self.reloader.version() as i64,
            running: self.reloader.is_running().into(),
        }
    }
}

/// Starts a reloader. The version tells the result of the first build: 0 means that it failed, and the error is the
/// reason.
pub(crate) fn start(handle: i64) -> Result<(HotReloader, Option<Error>)> {
    let entry = RELOADERS.get(handle)?;
    entry.reloader.start()?;
    let failed = entry.reloader.last_error().map(|error| Error::from(&*error));
    Ok((entry.value(handle), failed))
}

/// Stops a reloader.
pub(crate) fn stop(handle: i64) -> Result<HotReloader> {
    let entry = RELOADERS.get(handle)?;
    match entry.reloader.stop() {
        Stop::Requested => Err(Error::new(
            ErrorCode::Busy,
            "the plugin that the hot reloader is loading cannot wait for its end: the hot reloader stops when the load has \
             ended",
        )),
        _ => entry.of_this_process().map(|()| entry.value(handle)),
    }
}

/// Returns whether there is a version that was not yet reported; if there is none and the latest change failed,
/// returns the reason.
pub(crate) fn check(handle: i64) -> Result<bool> {
    let entry = RELOADERS.get(handle)?;
    entry.of_this_process()?;
    if entry.reloader.check() {
        return Ok(true);
    }
    match entry.reloader.last_error() {
        Some(error) => Err(Error::from(&*error)),
        None => Ok(false),
    }
}

/// Returns the version that is running.
pub(crate) fn version(handle: i64) -> Result<i64> {
    Ok(RELOADERS.get(handle)?.reloader.version() as i64)
}

/// Returns the current state of a reloader.
pub(crate) fn describe(handle: i64) -> Result<HotReloader> {
    Ok(RELOADERS.get(handle)?.value(handle))
}

/// Destroys a reloader: stops it, and releases the version that is running.
pub(crate) fn destroy(handle: i64) -> Result<()> {
    let entry = RELOADERS.remove(handle)?;
    entry.reloader.stop();
    entry.sandbox.destroy();
    Ok(())
}

fn current<R>(handle: i64, f: impl FnOnce(&Loaded, u64) -> Result<R>) -> Result<R> {
    let entry = RELOADERS.get(handle)?;
    match entry.reloader.current() {
        Some(current) => f(&current, Guard::version(&current)),
        None => match entry.reloader.last_error() {
            Some(error) => Err(Error::from(&*error)),
            None => Err(Error::new(
                ErrorCode::NotFound,
                "the hot reloader is not running a version: start it first",
            )),
        },
    }
}

fn is_wasm() -> Error {
    Error::new(
        ErrorCode::Signature,
        "the hot reloader runs a Wasm plugin: get it with hot_reloader_wasm",
    )
}

/// Returns the native version that is running.
pub(crate) fn current_module(handle: i64) -> Result<ModuleHandle> {
    current(handle, |loaded, _| match loaded {
        Loaded::Native { handle, .. } => module::describe(*handle),
        Loaded::Wasm { .. } => Err(is_wasm()),
    })
}

/// Returns the address of a symbol of the native version that is running.
pub(crate) fn symbol(handle: i64, name: &CStr) -> Result<i64> {
    current(handle, |loaded, _| match loaded {
        Loaded::Native { plugin, .. } => Ok(plugin.library().address(name)?.as_ptr() as i64),
        Loaded::Wasm { .. } => Err(is_wasm()),
    })
}

/// Returns the Wasm version that is running.
pub(crate) fn current_wasm(handle: i64) -> Result<WasmInstance> {
    current(handle, |loaded, _| match loaded {
        Loaded::Wasm { instance, sandbox } => Ok(WasmInstance {
            handle: *instance,
            sandbox: *sandbox,
        }),
        Loaded::Native { .. } => Err(Error::new(
            ErrorCode::Signature,
            "the hot reloader runs a native plugin: get it with hot_reloader_module or hot_reloader_get_function",
        )),
    })
}

/// Returns the sandbox of a reloader's Wasm versions.
pub(crate) fn own_sandbox(handle: i64) -> Result<i64> {
    RELOADERS.get(handle)?.sandbox.handle()
}
