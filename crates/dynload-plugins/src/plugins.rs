//! The plugins of a host.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use dynload_diagnostics::nearest_name;
use dynload_discovery::{Plugin, Policy, Scanner, SearchPath};
use dynload_hotreload::{Guard, NativePlugin, Reloader, StartError};
use dynload_sandbox::{Engine, Error, Instance, Totals};

use crate::error::CallError;
use crate::event::{Event, Events};
use crate::loader::{Code, EntryLoader};
use crate::refresh::Known;
use crate::settings::Settings;
use crate::watch::Watcher;

/// The plugins of a host: found, admitted, loaded, and called by id.
///
/// Every method may be called from any thread. A call runs on the caller's thread, within the limits of the plugin; a call that
/// runs while its plugin is reloaded ends in the version in which it began.
///
/// The [crate's page](crate) has an example.
pub struct Plugins {
    shared: Arc<Shared>,
    watcher: Mutex<Option<Watcher>>,
}

/// What calls, refreshes and the watching thread share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) engine: Engine,
    pub(crate) running: RwLock<BTreeMap<String, Arc<Running>>>,
    /// What the last refresh knew; locked during a refresh.
    pub(crate) known: Mutex<Known>,
    pub(crate) is_watching: AtomicBool,
    pub(crate) events: Arc<Events>,
}

/// A plugin that is loaded.
pub(crate) struct Running {
    pub(crate) plugin: Plugin,
    pub(crate) reloader: Reloader<EntryLoader>,
    /// Whether the search found another manifest, under which the plugin could not be loaded.
    pub(crate) is_outdated: AtomicBool,
}

pub(crate) fn unpoisoned<T>(lock: Result<T, PoisonError<T>>) -> T {
    lock.unwrap_or_else(PoisonError::into_inner)
}

/// A native plugin that is loaded. It stays loaded while this exists.
///
/// It is a [`NativePlugin`]: `library()` looks symbols up.
pub struct Native(Guard<Code>);

impl Deref for Native {
    type Target = NativePlugin;

    fn deref(&self) -> &NativePlugin {
        match &*self.0 {
            Code::Native(plugin) => plugin,
            Code::Wasm(_) => unreachable!("`Plugins::native` returns it for native code only"),
        }
    }
}

impl Plugins {
    /// Searches a directory, and loads what is found.
    ///
    /// [`Settings`] has more: several directories, configuration, host functions, native plugins.
    #[must_use]
    pub fn open(directory: impl AsRef<Path>, policy: Policy) -> Plugins {
        let path = SearchPath::empty().with_dir(directory.as_ref());
        Settings::new(Scanner::new(path), policy).open()
    }

    pub(crate) fn with_settings(settings: Settings) -> Plugins {
        let plugins = Plugins {
            shared: Arc::new(Shared {
                engine: Engine::new(settings.engine),
                settings,
                running: RwLock::default(),
                known: Mutex::default(),
                is_watching: AtomicBool::new(false),
                events: Arc::default(),
            }),
            watcher: Mutex::new(None),
        };
        plugins.refresh();
        plugins
    }

    /// Searches again: loads new plugins, reloads those whose manifest or file has changed, and drops those that are gone.
    ///
    /// A plugin that could not be loaded is tried again after it has changed. One whose manifest has become invalid, or whose
    /// new version cannot be loaded, keeps running as it was.
    ///
    /// Do not call this from the functions of [`Settings::with_sandbox`]: it would wait for itself.
    pub fn refresh(&self) {
        self.shared.refresh();
    }

    /// Refreshes by itself from now on: when the file of a plugin changes, and `interval` after the last search.
    ///
    /// A search that takes long makes the pause longer, so that it uses a twentieth of a processor at most. A plugin that was
    /// added, or whose manifest has changed, is loaded when two searches have found it unchanged.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the files of a plugin cannot be watched. The others are.
    pub fn watch(&self, interval: Duration) -> Result<(), StartError> {
        self.shared.is_watching.store(true, Ordering::SeqCst);
        let mut result = Ok(());
        for running in self.shared.all_running() {
            result = result.and(self.shared.follow(&running));
        }
        let watcher = Watcher::start(Arc::clone(&self.shared), interval);
        let old = unpoisoned(self.watcher.lock()).replace(watcher);
        // Not while others wait for the lock: it waits for a thread.
        drop(old);
        result
    }

    /// Ends [`watch`](Plugins::watch). The plugins stay loaded.
    ///
    /// A search that runs is waited for, so do not call this from a host function that a plugin calls while it is loaded.
    pub fn unwatch(&self) {
        let watcher = unpoisoned(self.watcher.lock()).take();
        self.shared.is_watching.store(false, Ordering::SeqCst);
        drop(watcher);
        for running in self.shared.all_running() {
            running.reloader.stop();
        }
    }

    /// Returns the ids of the plugins that are loaded, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        unpoisoned(self.shared.running.read()).keys().cloned().collect()
    }

    /// Returns what the search found about a loaded plugin: its name, version, manifest, files.
    #[must_use]
    pub fn plugin(&self, id: &str) -> Option<Plugin> {
        let running = unpoisoned(self.shared.running.read());
        running.get(id).map(|running| running.plugin.clone())
    }

    /// Calls a function of a plugin with bytes, and returns the bytes of its result: see
    /// [`Instance::call_bytes`](dynload_sandbox::Instance::call_bytes).
    ///
    /// A call that is aborted leaves an instance that is reset before the next call.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn call_bytes(&self, id: &str, export: &str, args: &[&[u8]]) -> Result<Vec<u8>, CallError> {
        self.run(id, |instance| instance.call_bytes(export, args))
    }

    /// Calls a function of a plugin with a text, and returns the text of its result.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn call_str(&self, id: &str, export: &str, text: &str) -> Result<String, CallError> {
        self.run(id, |instance| instance.call_str(export, text))
    }

    /// Runs a call in an instance of a plugin.
    ///
    /// If all instances are in use, it waits for at most the time limit of the plugin's calls.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn run<R>(
        &self,
        id: &str,
        call: impl FnOnce(&mut Instance) -> Result<R, Error>,
    ) -> Result<R, CallError> {
        let code = self.code(id)?;
        let Code::Wasm(pool) = &*code else {
            return Err(CallError::Native { id: id.to_owned() });
        };
        let patience = pool.sandbox().limits().max_time;
        match pool.run(patience, call) {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(source)) => Err(CallError::Call {
                id: id.to_owned(),
                source,
            }),
            Err(source) => Err(CallError::Pool {
                id: id.to_owned(),
                source,
            }),
        }
    }

    /// Returns what all calls of the version of a plugin that is running have used; `None` if it is not loaded, or native.
    #[must_use]
    pub fn totals(&self, id: &str) -> Option<Totals> {
        match &*self.code(id).ok()? {
            Code::Wasm(pool) => Some(pool.totals()),
            Code::Native(_) => None,
        }
    }

    /// Returns a native plugin; `None` if it is not loaded, or not native.
    #[must_use]
    pub fn native(&self, id: &str) -> Option<Native> {
        let code = self.code(id).ok()?;
        matches!(&*code, Code::Native(_)).then(|| Native(code))
    }

    /// Returns the next event, if there is one.
    #[must_use]
    pub fn next_event(&self) -> Option<Event> {
        self.wait_event(Duration::ZERO)
    }

    /// Returns the next event, and waits for it for at most `timeout`.
    #[must_use]
    pub fn wait_event(&self, timeout: Duration) -> Option<Event> {
        self.shared.events.next(timeout)
    }

    fn code(&self, id: &str) -> Result<Guard<Code>, CallError> {
        let running = unpoisoned(self.shared.running.read());
        let code = running.get(id).and_then(|running| running.reloader.current());
        code.ok_or_else(|| CallError::NotLoaded {
            id: id.to_owned(),
            nearest: nearest_name(id, running.keys().map(String::as_str)).map(str::to_owned),
        })
    }
}

impl Drop for Plugins {
    fn drop(&mut self) {
        self.unwatch();
    }
}

impl Shared {
    pub(crate) fn lock_known(&self) -> MutexGuard<'_, Known> {
        unpoisoned(self.known.lock())
    }

    /// Returns the plugins that are loaded. To start or stop them waits for code that may call plugins, so not under the lock.
    fn all_running(&self) -> Vec<Arc<Running>> {
        unpoisoned(self.running.read()).values().cloned().collect()
    }

    /// Follows the file of a plugin while the host watches, but not under an outdated manifest.
    pub(crate) fn follow(&self, running: &Running) -> Result<(), StartError> {
        let is_followed =
            self.is_watching.load(Ordering::SeqCst) && !running.is_outdated.load(Ordering::SeqCst);
        if is_followed {
            return running.reloader.start();
        }
        running.reloader.stop();
        Ok(())
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins")
            .field("ids", &self.ids())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
