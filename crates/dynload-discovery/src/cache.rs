//! What earlier scans found, kept in a file so that the next one need not read it again.
//!
//! Nothing here is trusted more than it has to be: a record counts only while the file that it came from has the same
//! device, inode, size, modification and change time, and those are old enough to tell two writes apart; a file of the
//! cache that is odd in any way is no cache.

mod codec;
mod fingerprint;
mod manifest;
mod record;
mod store;

use std::path::{Path, PathBuf};

pub(crate) use codec::{Code, Input, record};
pub(crate) use fingerprint::{Fingerprint, now};
pub(crate) use record::{AuditRecord, DirRecord, EntryRecord, KeptManifest, Summary};
pub(crate) use store::{Kind, Store, writable_by_others};

/// Where a [`Scanner`](crate::Scanner) keeps its cache: one file for any number of programs with one version of this
/// crate, and for one platform; a scan for another one writes it anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheLocation {
    /// `vais/plugins.cache` in the user's cache directory: `$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches` on macOS;
    /// `%LOCALAPPDATA%` on Windows. No cache where there is no such directory.
    #[default]
    User,
    /// This file. Its directory is made when it is not there.
    File(PathBuf),
    /// No cache.
    None,
}

impl CacheLocation {
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            CacheLocation::File(path) => Some(path.clone()),
            CacheLocation::None => None,
            CacheLocation::User => user_cache_dir().map(|dir| dir.join("vais").join("plugins.cache")),
        }
    }
}

fn user_cache_dir() -> Option<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || std::env::home_dir().filter(|path| path.is_absolute());
    if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        // XDG Base Directory Specification: a relative value is ignored.
        variable("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")))
    }
}

/// The bytes by which the cache knows a path.
pub(crate) fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}
