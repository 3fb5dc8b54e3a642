//! A cache file of records, each about one file.
//!
//! A record is valid only while its file has the same device, inode, size, modification and change time, and those times are
//! old enough to distinguish two writes. A cache file that is damaged, or that another user may have written, is discarded.

mod codec;
mod fingerprint;
mod fit;
mod store;

use std::path::PathBuf;

pub(crate) use codec::{Code, Input, record};
pub(crate) use fingerprint::{Fingerprint, now};
pub(crate) use store::{Store, writable_by_others};

/// The file in which a [`Scanner`](crate::Scanner) caches audits.
///
/// Programs with the same version of this crate can share the file. It holds audits for one platform at a time. Saving
/// the audits of another version or platform replaces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheLocation {
    /// `vais/plugins.cache` in the user's cache directory: `$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches` on macOS;
    /// `%LOCALAPPDATA%` on Windows. No cache where no such directory exists.
    #[default]
    User,
    /// This file. Its directory is created if it does not exist.
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
