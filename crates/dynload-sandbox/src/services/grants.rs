//! The directories of the scopes, each opened once: when its scope is set, and never again by its path.
//!
//! A path is looked up anew each time that it is used, and what lies there may have changed: a guest that can write to
//! a directory around, the host, or a change of the working directory could put another one in its place. So every
//! instance, `reset` and worker gets a duplicate of the same descriptor.

use super::{error::ServiceError, guard::Guard};
use cap_std::{ambient_authority, fs::Dir};
use dynload_caps::DirScope;
use std::{io, sync::Arc, vec::Vec};

/// The directories that a sandbox gives.
#[derive(Debug, Clone)]
pub(crate) struct Grants {
    dirs: Vec<Arc<Grant>>,
    /// How they lie in each other.
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
            // The one place where the scopes turn into authority over files.
            opened: Dir::open_ambient_dir(&scope.host, ambient_authority()),
        }
    }

    /// A descriptor of the directory.
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

impl Grants {
    /// Opens what is new among the scopes, keeps what is open already, and lets go of the rest.
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

    /// Whether all of them could be opened.
    pub(crate) fn check(&self) -> Result<(), ServiceError> {
        self.iter().try_for_each(|grant| grant.dir().map(drop))?;
        self.guard().map(drop)
    }

    /// What governs in them.
    pub(super) fn guard(&self) -> Result<Arc<Guard>, ServiceError> {
        let refused = |cause: &Arc<io::Error>| ServiceError::Nesting { cause: again(cause) };
        self.guard.clone().map_err(|cause| refused(&cause))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.dirs.iter().map(|grant| &**grant)
    }
}

/// The same error, for somebody else.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}
