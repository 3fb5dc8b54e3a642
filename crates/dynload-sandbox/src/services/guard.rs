//! Directories that were granted read-only inside one that was granted read-write.
//!
//! The innermost granted directory governs, as with mount points. To find it, the guard walks up the parents from a
//! directory's descriptor to the first granted directory. No guest can change that path for a protected directory:
//! nothing is renamed into or out of a protected directory, and neither it nor any directory above it is moved or
//! removed. So the result of a check is still valid when the descriptor is used, whatever runs concurrently. (If the
//! granted directories are not nested, none of these checks is made.)

use super::wasi::Errno;
use cap_fs_ext::MetadataExt;
use cap_std::{
    ambient_authority,
    fs::{Dir, Metadata},
};
use dynload_caps::Access;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    vec::Vec,
};

/// How deep a directory may be if its parents have to be walked: the most work that the host does for one call of a
/// guest.
const MAX_DEPTH: usize = 256;

/// The identity of a file or directory, independent of its names: device and inode.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// The effective access in granted directories that are nested.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// The granted directories with their access; the lesser access if one was granted twice.
    given: BTreeMap<Identity, Access>,
    /// The protected directories, and every directory above one of them.
    held: BTreeSet<Identity>,
}

impl Guard {
    /// Determines how the granted directories, each with its access, are nested.
    pub(super) fn new(dirs: &[(&Dir, Access)]) -> io::Result<Guard> {
        let (mut given, mut writable) = (BTreeMap::new(), BTreeSet::new());
        for (dir, access) in dirs {
            let identity = identity(&dir.dir_metadata()?);
            let least = given.entry(identity).or_insert(*access);
            *least = (*least).min(*access);
            if *access == Access::ReadWrite {
                writable.insert(identity);
            }
        }
        let mut held = BTreeSet::new();
        let read_only = dirs.iter().filter(|(_, access)| *access == Access::ReadOnly);
        // A directory that was granted both read-only and read-write counts as inside itself.
        for (dir, _) in read_only.filter(|_| !writable.is_empty()) {
            let way = ancestors(dir)?;
            if way.iter().any(|above| writable.contains(above)) {
                held.extend(way);
            }
        }
        Ok(Guard { given, held })
    }

    /// Returns whether there is a directory to protect.
    pub(super) fn is_needed(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the effective access in a directory that was reached through a descriptor with `access`.
    pub(super) fn access(&self, dir: &Dir, access: Access) -> Result<Access, Errno> {
        if !self.is_needed() || access == Access::ReadOnly {
            return Ok(access);
        }
        let mut governs = None;
        let seen = |above: Identity| {
            governs = self.given.get(&above).copied();
            governs.is_none()
        };
        walk_up(dir, seen).map_err(|error| Errno::from(&error))?;
        // A directory that is in none of them was moved meanwhile, or the system does not tell directories apart.
        Ok(governs.unwrap_or(Access::ReadOnly))
    }

    /// Returns whether it is a directory that was itself granted read-only.
    pub(super) fn protects(&self, metadata: &Metadata) -> bool {
        self.is_needed() && self.given.get(&identity(metadata)) == Some(&Access::ReadOnly)
    }

    /// Returns whether it is a directory that must not be moved or removed.
    pub(super) fn holds(&self, metadata: &Metadata) -> bool {
        self.held.contains(&identity(metadata))
    }
}

/// Returns the directory and all directories above it.
fn ancestors(dir: &Dir) -> io::Result<Vec<Identity>> {
    let mut way = Vec::new();
    walk_up(dir, |above| {
        way.push(above);
        true
    })?;
    Ok(way)
}

/// Passes the directory and those above it to `seen`, as long as that returns true.
fn walk_up(dir: &Dir, mut seen: impl FnMut(Identity) -> bool) -> io::Result<()> {
    let mut here = identity(&dir.dir_metadata()?);
    let mut above: Option<Dir> = None;
    for _ in 0..MAX_DEPTH {
        if !seen(here) {
            return Ok(());
        }
        let parent = above
            .as_ref()
            .unwrap_or(dir)
            .open_parent_dir(ambient_authority())?;
        let next = identity(&parent.dir_metadata()?);
        if next == here {
            return Ok(());
        }
        (here, above) = (next, Some(parent));
    }
    Err(io::ErrorKind::InvalidFilename.into())
}
