//! A directory for this process alone, and the removal of the directories of dead processes.

use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::lock::{Lock, MARK};
use crate::sync::lock;

/// The prefix of directory names.
const PREFIX: &str = "dynload-";

/// The age at which an empty directory counts as abandoned: a new one is empty until it is locked.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A directory for this process, removed when it is dropped.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
    owner: u32,
    lock: Mutex<Lock>,
}

impl PrivateDirectory {
    pub(super) fn create(parent: &Path) -> io::Result<PrivateDirectory> {
        let owner = std::process::id();
        // A directory that exists already must not be used: /tmp is shared by all users.
        for _ in 0..16 {
            let random = RandomState::new().build_hasher().finish();
            let path = parent.join(format!("{PREFIX}{owner}-{random:016x}"));
            match create_locked(&path) {
                Ok(lock) => {
                    return Ok(PrivateDirectory {
                        path,
                        owner,
                        lock: Mutex::new(lock),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "every attempted name is taken",
        ))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether this process created the directory: false in the child of a `fork`.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Returns whether the directory at the path is still the one that was created: a cleaner of temporary files may
    /// have removed it, and another user may have created another one since.
    pub(super) fn is_intact(&self) -> bool {
        lock(&self.lock).is_of(&self.path)
    }

    /// Creates the directory again if it was removed. It keeps its path, which must be free.
    pub(super) fn restore(&self) -> io::Result<()> {
        let mut lock = lock(&self.lock);
        if !lock.is_of(&self.path) {
            *lock = create_locked(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Files that cannot be removed now are swept by the next process: Windows keeps files that are mapped.
        if self.is_of_this_process() && self.is_intact() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Creates a directory that only this user can enter.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Removes everything in a directory except the links.
pub(super) fn remove_files(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let _ = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => Ok(()),
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
            _ => fs::remove_file(entry.path()),
        };
    }
}

/// Creates a directory, locks it, and then marks it: a directory with a mark and without a lock is that of a dead
/// process.
fn create_locked(path: &Path) -> io::Result<Lock> {
    create_private(path)?;
    let created = Lock::create(path);
    if created.is_err() {
        let _ = fs::remove_dir(path);
    }
    created
}

/// Removes the directories of dead processes. Anything that cannot be read or removed is left: this is housekeeping,
/// and the plugin also loads without it.
pub(super) fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_ours_by_name) {
            sweep_one(&entry.path());
        }
    }
}

/// Checks for `dynload-<process id>-<16 hexadecimal digits>`: the directory of another program may have the same prefix.
fn is_ours_by_name(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX);
    rest.and_then(|rest| rest.split_once('-'))
        .is_some_and(|(process, random)| {
            process.parse::<u32>().is_ok()
                && random.len() == 16
                && random
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
}

fn sweep_one(path: &Path) {
    // A symlink is not followed, and a directory of another user is left alone.
    let Ok(metadata) = path.symlink_metadata() else {
        return;
    };
    if !metadata.is_dir() || !is_ours(&metadata) {
        return;
    }
    // Without the mark nothing proves what the directory is. One that was abandoned during its creation is empty.
    if !path.join(MARK).is_file() {
        if is_old(&metadata) {
            let _ = fs::remove_dir(path);
        }
        return;
    }
    // Otherwise its process is alive.
    if let Ok(Some(_lock)) = Lock::try_take(path) {
        let _ = fs::remove_dir_all(path);
    }
}

fn is_old(metadata: &fs::Metadata) -> bool {
    metadata
        .modified()
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .is_some_and(|age| age > ABANDONED)
}

#[cfg(unix)]
fn is_ours(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(metadata) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(_metadata: &fs::Metadata) -> bool {
    true
}
