//! Directories that were given read-only inside of one that was given read-write.
//!
//! The innermost directory given governs, as with mount points. Which one that is, a directory tells by what is above it:
//! the way up from its descriptor to the first directory given. No guest changes that way for what is protected: nothing
//! goes in or out of a protected directory by rename, and neither it nor any directory above it is moved or removed. So a
//! descriptor that was checked is what it was when it is used, whoever runs beside. (Where only directories beside each
//! other are given, nothing of this is asked.)

use super::wasi::Errno;
use cap_std::{
    ambient_authority,
    fs::{Dir, Metadata, MetadataExt},
};
use dynload_caps::Access;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    vec::Vec,
};

/// How deep a directory may be, where the way up has to be walked: as much as the host does for one call of a guest.
const MAX_DEPTH: usize = 256;

/// A file or directory, whatever its names are: device and inode.
type Identity = (u64, u64);

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// What governs where directories that were given lie in each other.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// The directories given, and what may be done in them: the least, where one was given twice.
    given: BTreeMap<Identity, Access>,
    /// Those that are protected, and every directory above one of them.
    held: BTreeSet<Identity>,
}

impl Guard {
    /// Where the directories given lie, each with what may be done in it.
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
        // One that was given both ways lies in itself.
        for (dir, _) in read_only.filter(|_| !writable.is_empty()) {
            let way = way_up(dir)?;
            if way.iter().any(|above| writable.contains(above)) {
                held.extend(way);
            }
        }
        Ok(Guard { given, held })
    }

    /// Whether there is anything to protect.
    pub(super) fn is_needed(&self) -> bool {
        !self.held.is_empty()
    }

    /// What may be done in a directory that was reached by a descriptor which may do `access`.
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
        Ok(governs.unwrap_or(access))
    }

    /// Whether it is a directory that was itself given read-only.
    pub(super) fn protects(&self, metadata: &Metadata) -> bool {
        self.is_needed() && self.given.get(&identity(metadata)) == Some(&Access::ReadOnly)
    }

    /// Whether it is a directory that has to stay where it is.
    pub(super) fn holds(&self, metadata: &Metadata) -> bool {
        self.held.contains(&identity(metadata))
    }
}

/// The directory and all that are above it.
fn way_up(dir: &Dir) -> io::Result<Vec<Identity>> {
    let mut way = Vec::new();
    walk_up(dir, |above| {
        way.push(above);
        true
    })?;
    Ok(way)
}

/// Shows the directory and those above it to `seen`, as long as that wants more of them.
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
