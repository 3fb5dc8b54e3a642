//! A directory for this process alone, and the removal of the directories of dead processes.

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The prefixes of directory names. A directory that is being created has another name until its lock is held.
const READY: &str = "dynload-";
const UNREADY: &str = ".dynload-new-";
const LOCK: &str = "lock";

/// The age at which an unready directory counts as abandoned: its lock is not held from the beginning.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A directory for this process, removed when it is dropped.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
    owner: u32,
    _lock: Lock,
}

impl PrivateDirectory {
    pub(super) fn create(parent: &Path) -> io::Result<PrivateDirectory> {
        let owner = std::process::id();
        // A directory that exists already must not be used: /tmp is shared by all users.
        for _ in 0..16 {
            let name = format!("{owner}-{:016x}", RandomState::new().build_hasher().finish());
            let unready = parent.join(format!("{UNREADY}{name}"));
            match create_private(&unready) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            let path = parent.join(format!("{READY}{name}"));
            // The name changes only once the lock is held, so a ready directory that is not locked belongs to a dead
            // process.
            let lock = match Lock::take(&unready.join(LOCK), true)? {
                Some(lock) => lock,
                None => continue,
            };
            #[cfg(windows)]
            let lock = {
                // An open file keeps its directory from being renamed here.
                drop(lock);
                fs::rename(&unready, &path)?;
                match Lock::take(&path.join(LOCK), true)? {
                    Some(lock) => lock,
                    None => continue,
                }
            };
            #[cfg(not(windows))]
            fs::rename(&unready, &path)?;
            return Ok(PrivateDirectory {
                path,
                owner,
                _lock: lock,
            });
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
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // Files that cannot be removed now are swept by the next process: Windows keeps files that are mapped.
        if self.is_of_this_process() {
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

/// Removes the directories of dead processes. Anything that cannot be read or removed is left: this is housekeeping,
/// and the plugin also loads without it.
pub(super) fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        match (name.strip_prefix(READY), name.strip_prefix(UNREADY)) {
            (Some(rest), _) if is_ours_by_name(rest) => sweep_one(&entry.path(), true),
            (_, Some(rest)) if is_ours_by_name(rest) => sweep_one(&entry.path(), false),
            _ => {}
        }
    }
}

/// Checks for `<process id>-<16 hexadecimal digits>`: the directory of another program may have the same prefix.
fn is_ours_by_name(rest: &str) -> bool {
    rest.split_once('-').is_some_and(|(process, random)| {
        process.parse::<u32>().is_ok()
            && random.len() == 16
            && random
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn sweep_one(path: &Path, ready: bool) {
    // A symlink is not followed, and a directory of another user is left alone.
    let Ok(metadata) = path.symlink_metadata() else {
        return;
    };
    if !metadata.is_dir() || !is_ours(&metadata) || !(ready || is_old(&metadata)) {
        return;
    }
    match Lock::take(&path.join(LOCK), false) {
        Ok(Some(_lock)) => {
            let _ = fs::remove_dir_all(path);
        }
        // Its process is alive.
        Ok(None) => {}
        // The lock file is missing only after an interrupted removal, or if it was never created.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let _ = fs::remove_dir_all(path);
        }
        Err(_) => {}
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

/// A locked lock file. The lock is held until the process ends, however it ends.
#[derive(Debug)]
struct Lock {
    _file: File,
}

impl Lock {
    /// Acquires the lock, or returns `None` when it is held already.
    #[cfg(unix)]
    fn take(path: &Path, create: bool) -> io::Result<Option<Lock>> {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::{FlockOperation, OFlags, flock};
        use rustix::io::Errno;

        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(create).mode(0o600);
        let file = options
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32)
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Acquires the lock, or returns `None` when it is held already.
    #[cfg(windows)]
    fn take(path: &Path, create: bool) -> io::Result<Option<Lock>> {
        use std::os::windows::fs::OpenOptionsExt;

        const ERROR_SHARING_VIOLATION: i32 = 32;
        const FILE_SHARE_DELETE: u32 = 4;
        // Opening it for writing excludes all other opens; the file may still be deleted by the holder.
        let mut options = fs::OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(create)
            .share_mode(FILE_SHARE_DELETE);
        match options.open(path) {
            Ok(file) => Ok(Some(Lock { _file: file })),
            Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
