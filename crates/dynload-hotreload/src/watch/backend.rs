//! The system's file events, with each directory watched once for everybody.

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

/// The one watcher of the process, and what it watches.
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

    /// Whether `dir` is watched, and is still the directory that it was when that began.
    pub(super) fn is_armed(&self, dir: &Path) -> bool {
        self.armed
            .get(dir)
            .is_some_and(|armed| armed.identity == directory_identity(dir))
    }

    /// Watches `dir` for one more user. A directory that is not there is no error: it is for the caller to look again.
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
                log::debug!(target: crate::bus::LOG_TARGET, "`{}` went before it was watched: {error}", printable(dir.display()).path());
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

    /// Watches `dir` anew if it is another directory than it was. Says whether that was so.
    pub(super) fn renew(&mut self, dir: &Path) -> Result<bool, WatchError> {
        if self.is_armed(dir) {
            return Ok(false);
        }
        let Some(armed) = self.armed.get_mut(dir) else {
            return Ok(false);
        };
        // The old watch went with its directory, or hangs on one that has another name now; either way it may be gone.
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

    /// One user less.
    pub(super) fn remove(&mut self, dir: &Path) {
        let Some(armed) = self.armed.get_mut(dir) else {
            return;
        };
        armed.users -= 1;
        if armed.users == 0 {
            self.armed.remove(dir);
            // Fails when the directory is gone, and its watch with it.
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
