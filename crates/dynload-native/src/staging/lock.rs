//! The lock of a directory, held until the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// The file that marks a directory as one of this crate, which may be removed.
pub(super) const MARK: &str = ".dynload-staging";

/// What is in it: the name of the directory, so that a mark does not apply to another directory.
fn marked_name(directory: &Path) -> Vec<u8> {
    let name = directory.file_name().unwrap_or_default();
    name.as_encoded_bytes().to_vec()
}

/// Returns whether a mark is the one of `directory`.
fn is_mark_of(mark: File, directory: &Path) -> bool {
    let name = marked_name(directory);
    let mut found = Vec::new();
    let most = name.len() as u64 + 1;
    mark.take(most).read_to_end(&mut found).is_ok() && found == name
}

/// A locked directory.
///
/// On Unix the lock is that of the directory itself (`flock`), as systemd-tmpfiles(8) respects it: a cleaner does not
/// remove files of a directory that another process has locked. On Windows the mark is held open.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

#[cfg(unix)]
impl Lock {
    /// Locks and marks a new directory.
    pub(super) fn create(directory: &Path) -> io::Result<Lock> {
        let lock = Lock::acquire(directory)?.ok_or(io::ErrorKind::AlreadyExists)?;
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut mark = options.write(true).create_new(true).open(directory.join(MARK))?;
        mark.write_all(&marked_name(directory))?;
        Ok(lock)
    }

    /// Locks a marked directory. Returns `None` if it is locked already, or not marked.
    pub(super) fn try_take(directory: &Path) -> io::Result<Option<Lock>> {
        let (mark, _) = crate::open_regular::open_regular(directory.join(MARK))?;
        if !is_mark_of(mark, directory) {
            return Ok(None);
        }
        // Meanwhile its process may have created the directory again: the lock of the removed one proves nothing.
        let lock = Lock::acquire(directory)?;
        Ok(lock.filter(|lock| lock.is_of(directory)))
    }

    fn acquire(directory: &Path) -> io::Result<Option<Lock>> {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::{FlockOperation, OFlags, flock};
        use rustix::io::{Errno, fcntl_dupfd_cloexec};

        let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(flags.bits() as i32)
            .open(directory)?;
        // A host may run without descriptors 0 to 2, and open them later by their numbers.
        let file = File::from(fcntl_dupfd_cloexec(&file, 3)?);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns whether the directory at a path is the locked one.
    pub(super) fn is_of(&self, directory: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;

        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let found = directory.symlink_metadata().map(identity);
        found.is_ok_and(|found| self.file.metadata().map(identity).is_ok_and(|own| own == found))
    }
}

#[cfg(windows)]
impl Lock {
    /// Locks and marks a new directory.
    pub(super) fn create(directory: &Path) -> io::Result<Lock> {
        let mut file = Lock::options().create_new(true).open(directory.join(MARK))?;
        file.write_all(&marked_name(directory))?;
        Ok(Lock { file })
    }

    /// Locks a marked directory. Returns `None` if it is locked already, or not marked.
    pub(super) fn try_take(directory: &Path) -> io::Result<Option<Lock>> {
        const ERROR_SHARING_VIOLATION: i32 = 32;
        match Lock::options().open(directory.join(MARK)) {
            Ok(file) if is_mark_of(file.try_clone()?, directory) => Ok(Some(Lock { file })),
            Ok(_) => Ok(None),
            Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opening it for writing excludes all other opens; the file may still be deleted by the holder.
    fn options() -> OpenOptions {
        use std::os::windows::fs::OpenOptionsExt;

        const FILE_SHARE_DELETE: u32 = 4;
        let mut options = OpenOptions::new();
        options.read(true).write(true).share_mode(FILE_SHARE_DELETE);
        options
    }

    /// Returns whether the directory at a path is the locked one: while the mark is open, it cannot be removed.
    pub(super) fn is_of(&self, directory: &Path) -> bool {
        self.file.metadata().is_ok() && directory.join(MARK).is_file()
    }
}
