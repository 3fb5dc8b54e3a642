//! File-change notifications, with one watch per directory for all reloaders.

use dynload_diagnostics::printable;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::routes::{Rearm, Routes};
use super::signature::directory_identity;
use super::{WatchError, WatchLimit};

/// A watched directory.
struct Armed {
    identity: Option<(u64, u64)>,
    users: usize,
}

/// The single watcher of the process, and the directories that it watches.
pub(super) struct Backend {
    watcher: RecommendedWatcher,
    armed: HashMap<PathBuf, Armed>,
}

impl Backend {
    pub(super) fn new(routes: Arc<Routes>, rearm: Sender<Rearm>) -> Result<Self, WatchError> {
        let handler = move |event| routes.handle(event, &rearm);
        match RecommendedWatcher::new(handler, notify::Config::default().with_follow_symlinks(false)) {
            Ok(watcher) => Ok(Self {
                watcher,
                armed: HashMap::new(),
            }),
            Err(error) => Err(watch_error(None, error)),
        }
    }

    /// Returns whether `dir` is watched, and is still the same directory as when the watch was added.
    pub(super) fn is_armed(&self, dir: &Path) -> bool {
        self.armed
            .get(dir)
            .is_some_and(|armed| armed.identity == directory_identity(dir))
    }

    /// Watches `dir` for one more user. A missing directory is not an error: the caller looks again.
    pub(super) fn add(&mut self, dir: &Path) -> Result<(), WatchError> {
        if let Some(armed) = self.armed.get_mut(dir) {
            armed.users += 1;
            return Ok(());
        }
        let identity = directory_identity(dir);
        match self.watcher.watch(dir, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.armed.insert(dir.to_owned(), Armed { identity, users: 1 });
                Ok(())
            }
            Err(error) if directory_identity(dir).is_none() => {
                log::debug!(target: crate::bus::LOG_TARGET, "`{}` was removed before it could be watched: {error}", printable(dir.display()).path());
                self.armed.insert(
                    dir.to_owned(),
                    Armed {
                        identity: None,
                        users: 1,
                    },
                );
                Ok(())
            }
            Err(error) => Err(watch_error(Some(dir), error)),
        }
    }

    /// Renews the watch of `dir` if it is another directory than before. Returns whether it was.
    pub(super) fn renew(&mut self, dir: &Path) -> Result<bool, WatchError> {
        if self.is_armed(dir) {
            return Ok(false);
        }
        let Some(armed) = self.armed.get_mut(dir) else {
            return Ok(false);
        };
        // The old watch was removed with its directory, or belongs to a directory that was renamed; in either case
        // the call may fail.
        let _ = self.watcher.unwatch(dir);
        let identity = directory_identity(dir);
        armed.identity = None;
        if identity.is_none() {
            return Ok(false);
        }
        self.watcher
            .watch(dir, RecursiveMode::NonRecursive)
            .map_err(|error| watch_error(Some(dir), error))?;
        armed.identity = identity;
        Ok(true)
    }

    /// Removes one user of `dir`.
    pub(super) fn remove(&mut self, dir: &Path) {
        let Some(armed) = self.armed.get_mut(dir) else {
            return;
        };
        armed.users -= 1;
        if armed.users == 0 {
            self.armed.remove(dir);
            // Fails if the directory was removed, because the watch was removed with it.
            let _ = self.watcher.unwatch(dir);
        }
    }
}

fn watch_error(path: Option<&Path>, error: notify::Error) -> WatchError {
    let limit = match &error.kind {
        ErrorKind::MaxFilesWatch => Some(WatchLimit::Watches),
        // inotify_init1(2): EMFILE, "The user limit on the total number of inotify instances has been reached."
        ErrorKind::Io(source) if path.is_none() && is_too_many_files(source) => Some(WatchLimit::Instances),
        _ => None,
    };
    match limit {
        Some(limit) => WatchError::Limit {
            limit,
            value: limit.value(),
        },
        None => WatchError::Backend {
            path: path.map(Path::to_owned),
            source: Box::new(error),
        },
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_too_many_files(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_too_many_files(_error: &io::Error) -> bool {
    false
}
