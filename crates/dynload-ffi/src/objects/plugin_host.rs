//! Plugin systems: directories whose plugins are loaded and called by id.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use dynload_plugins::{Capabilities, Grant, Limits, Plugins, Policy, Scanner, SearchPath, Settings};

use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::handle::{Kind, Table};
use crate::boundary::sync::unpoisoned;
use crate::objects::result_bytes;

/// The plugin system that a handle identifies.
pub(crate) struct Host {
    /// The settings, until it is opened.
    settings: Mutex<Option<Settings>>,
    plugins: OnceLock<Plugins>,
}

impl Kind for Host {
    const NAME: &'static str = "plugin system";
    const TAG: u8 = 5;
}

static HOSTS: LazyLock<Table<Host>> = LazyLock::new(Table::new);

/// Creates a plugin system for a directory, or for the standard directories.
pub(crate) fn create(dir: Option<&Path>, capabilities: Capabilities) -> Result<i64> {
    let path = match dir {
        Some(dir) => SearchPath::empty().with_dir(dir),
        None => SearchPath::standard(),
    };
    let policy = Policy::new(Grant::none().with_capabilities(capabilities), Limits::DEFAULT);
    let settings = Settings::new(Scanner::new(path), policy);
    HOSTS.insert(Arc::new(Host {
        settings: Mutex::new(Some(settings)),
        plugins: OnceLock::new(),
    }))
}

impl Host {
    fn plugins(&self) -> Result<&Plugins> {
        if let Some(plugins) = self.plugins.get() {
            return Ok(plugins);
        }
        // Other threads wait here while one opens it.
        let mut settings = unpoisoned(self.settings.lock());
        if let Some(settings) = settings.take() {
            return Ok(self.plugins.get_or_init(|| settings.open()));
        }
        self.plugins
            .get()
            .ok_or_else(|| Error::new(ErrorCode::Internal, "the plugin system could not be opened"))
    }
}

/// Changes the settings of a plugin system that was not opened yet.
pub(crate) fn configure(handle: i64, change: impl FnOnce(Settings) -> Settings) -> Result<i64> {
    let host = HOSTS.get(handle)?;
    let mut settings = unpoisoned(host.settings.lock());
    let Some(before) = settings.take() else {
        return Err(Error::new(
            ErrorCode::Busy,
            "the plugins are loaded: configure them before the first plugins_refresh",
        ));
    };
    *settings = Some(change(before));
    Ok(1)
}

/// Opens a plugin system, or searches again.
pub(crate) fn refresh(handle: i64) -> Result<i64> {
    let host = HOSTS.get(handle)?;
    let was_open = host.plugins.get().is_some();
    let plugins = host.plugins()?;
    if was_open {
        plugins.refresh();
    }
    Ok(1)
}

/// Refreshes by itself from now on.
pub(crate) fn watch(handle: i64, interval: Duration) -> Result<i64> {
    HOSTS.get(handle)?.plugins()?.watch(interval)?;
    Ok(1)
}

/// Calls a function with bytes.
pub(crate) fn call_bytes(handle: i64, id: &str, name: &str, inputs: &[&[u8]]) -> Result<i64> {
    let host = HOSTS.get(handle)?;
    let result = host.plugins()?.call_bytes(id, name, inputs)?;
    Ok(result_bytes::keep(result))
}

/// Returns the text of the next event, or 0.
pub(crate) fn next_event(handle: i64) -> Result<i64> {
    let host = HOSTS.get(handle)?;
    let event = host.plugins()?.next_event();
    Ok(event.map_or(0, |event| result_bytes::keep(event.to_string().into_bytes())))
}

/// Closes a plugin system: drops its plugins when their calls have ended.
pub(crate) fn close(handle: i64) -> Result<()> {
    HOSTS.remove(handle).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    #[test]
    fn threads_wait_for_the_one_that_opens_it() {
        let handle = create(Some(Path::new("/no/such/directory")), Capabilities::NONE).unwrap();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            let open = || {
                start.wait();
                refresh(handle)
            };
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            for thread in opened {
                assert_eq!(thread.join().unwrap().unwrap(), 1);
            }
        });
        close(handle).unwrap();
    }
}
