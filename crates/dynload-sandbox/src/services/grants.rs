//! The directories of the scopes, each opened once: when its scope is set, and never again by its path.
//!
//! A path is resolved again each time it is used, and may then lead to another directory: because a guest that can
//! write to a parent directory or the host replaced it, or because the working directory changed. So every instance,
//! `reset` and worker uses a duplicate of the same descriptor.

use super::{error::ServiceError, guard::Guard, system::files};
use cap_fs_ext::DirExt;
use cap_std::{ambient_authority, fs::Dir};
use dynload_caps::DirScope;
use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    vec::Vec,
};

/// The directories that a sandbox grants.
#[derive(Debug, Clone)]
pub(crate) struct Grants {
    dirs: Vec<Arc<Grant>>,
    /// How they are nested.
    guard: Result<Arc<Guard>, Arc<io::Error>>,
}

impl Default for Grants {
    fn default() -> Grants {
        Grants {
            dirs: Vec::new(),
            guard: Ok(Arc::default()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Grant {
    pub(super) scope: DirScope,
    opened: io::Result<Dir>,
}

impl Grant {
    fn new(scope: &DirScope) -> Grant {
        Grant {
            scope: scope.clone(),
            opened: open(scope),
        }
    }

    /// Returns a new descriptor of the directory.
    pub(super) fn dir(&self) -> Result<Dir, ServiceError> {
        match &self.opened {
            Ok(dir) => dir.try_clone(),
            Err(error) => Err(again(error)),
        }
        .map_err(|cause| self.refused(cause))
    }

    pub(super) fn refused(&self, cause: io::Error) -> ServiceError {
        ServiceError::Directory {
            host: self.scope.host.clone(),
            guest: self.scope.guest.clone(),
            cause,
        }
    }
}

/// Opens the directory of a scope. The only place where the scopes become authority over files.
fn open(scope: &DirScope) -> io::Result<Dir> {
    files::check_grant(Path::new(&scope.host))?;
    if !scope.no_links {
        return Dir::open_ambient_dir(&scope.host, ambient_authority());
    }
    let path = Path::new(&scope.host);
    if !path.is_absolute() {
        let message = "a path without links must be absolute";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    // On Windows, a drive or a share comes first.
    let is_start = |name: &Component<'_>| matches!(name, Component::Prefix(_) | Component::RootDir);
    let start: PathBuf = path.components().take_while(is_start).collect();
    let root = Dir::open_ambient_dir(start, ambient_authority())?;
    path.components()
        .skip_while(is_start)
        .try_fold(root, |dir, name| match name {
            // Each is opened in the one before, so that none of them can be exchanged for a link.
            Component::Normal(name) => dir.open_dir_nofollow(name),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a path without links must not have `..` components",
            )),
        })
}

impl Grants {
    /// Opens the directories of new scopes, keeps those that are already open, and closes the rest.
    pub(crate) fn set(&mut self, scopes: &[DirScope]) {
        let open = |scope: &DirScope| {
            let is_open = |grant: &&Arc<Grant>| grant.scope == *scope && grant.opened.is_ok();
            self.dirs.iter().find(is_open).cloned()
        };
        self.dirs = scopes
            .iter()
            .map(|scope| open(scope).unwrap_or_else(|| Arc::new(Grant::new(scope))))
            .collect();
        let dirs: Vec<_> = self
            .iter()
            .filter_map(|grant| Some((grant.opened.as_ref().ok()?, grant.scope.access)))
            .collect();
        let guard = Guard::new(&dirs);
        self.guard = guard.map(Arc::new).map_err(Arc::new);
    }

    /// Checks that all of them could be opened.
    pub(crate) fn check(&self) -> Result<(), ServiceError> {
        self.iter().try_for_each(|grant| grant.dir().map(drop))?;
        self.guard().map(drop)
    }

    /// Returns the guard of nested granted directories.
    pub(super) fn guard(&self) -> Result<Arc<Guard>, ServiceError> {
        let refused = |cause: &Arc<io::Error>| ServiceError::Nesting { cause: again(cause) };
        self.guard.clone().map_err(|cause| refused(&cause))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.dirs.iter().map(|grant| &**grant)
    }
}

/// Copies an error (`io::Error` is not `Clone`).
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}
