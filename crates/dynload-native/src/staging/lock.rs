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
/// remove files of a directory that another process has locked. The mark is locked too, because a network file system may
/// pass only the locks of files to its server. On Windows the mark is held open.
#[derive(Debug)]
pub(super) struct Lock {
    #[cfg(unix)]
    directory: File,
    #[cfg_attr(unix, expect(dead_code, reason = "held"))]
    mark: File,
}

#[cfg(unix)]
impl Lock {
    /// Locks and marks a new directory.
    pub(super) fn create(directory: &Path) -> io::Result<Lock> {
        let locked = open_directory(directory).and_then(lock)?;
        let mut options = OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mark = options.write(true).create_new(true).open(directory.join(MARK))?;
        let mut mark = lock(mark)?.ok_or(io::ErrorKind::AlreadyExists)?;
        mark.write_all(&marked_name(directory))?;
        Ok(Lock {
            directory: locked.ok_or(io::ErrorKind::AlreadyExists)?,
            mark,
        })
    }

    /// Locks a marked directory. Returns `None` if it is locked already, or not marked.
    pub(super) fn try_take(directory: &Path) -> io::Result<Option<Lock>> {
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::OFlags;

        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags.bits() as i32);
        let mark = options.open(directory.join(MARK))?;
        if !mark.metadata()?.is_file() || !is_mark_of(mark.try_clone()?, directory) {
            return Ok(None);
        }
        let (Some(locked), Some(mark)) = (lock(open_directory(directory)?)?, lock(mark)?) else {
            return Ok(None);
        };
        let lock = Lock {
            directory: locked,
            mark,
        };
        // Meanwhile its process may have created the directory again: the lock of the removed one proves nothing.
        Ok(Some(lock).filter(|lock| lock.is_of(directory)))
    }

    /// Returns whether the directory at a path is the locked one.
    pub(super) fn is_of(&self, directory: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;

        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let found = directory.symlink_metadata().map(identity);
        found.is_ok_and(|found| {
            self.directory
                .metadata()
                .map(identity)
                .is_ok_and(|own| own == found)
        })
    }
}

#[cfg(unix)]
fn open_directory(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits() as i32).open(path)
}

/// Locks an open file or directory. Returns `None` if it is locked already.
#[cfg(unix)]
fn lock(file: File) -> io::Result<Option<File>> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::{Errno, fcntl_dupfd_cloexec};

    // A host may run without descriptors 0 to 2, and open them later by their numbers.
    let file = File::from(fcntl_dupfd_cloexec(&file, 3)?);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(windows)]
impl Lock {
    /// Locks and marks a new directory.
    pub(super) fn create(directory: &Path) -> io::Result<Lock> {
        let mut file = Lock::options().create_new(true).open(directory.join(MARK))?;
        file.write_all(&marked_name(directory))?;
        Ok(Lock { mark: file })
    }

    /// Locks a marked directory. Returns `None` if it is locked already, or not marked.
    pub(super) fn try_take(directory: &Path) -> io::Result<Option<Lock>> {
        const ERROR_SHARING_VIOLATION: i32 = 32;
        match Lock::options().open(directory.join(MARK)) {
            Ok(file) if is_mark_of(file.try_clone()?, directory) => Ok(Some(Lock { mark: file })),
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
        self.mark.metadata().is_ok() && directory.join(MARK).is_file()
    }
}
