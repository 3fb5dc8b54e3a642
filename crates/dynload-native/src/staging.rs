//! Private copies of the files that are loaded.
//!
//! A library that is loaded from where it was built is at the mercy of the next build: overwriting the file in place
//! changes the code that is running, and after a new file is renamed over it, opening the same path again may return
//! the old image, because loaders distinguish images by path. So the file that is loaded is a copy, in a directory of
//! this process alone, at a path that was never used before:
//!
//! ```text
//! $TMPDIR/dynload-<process id>-<random>/   only for this user (0700), named after this process
//!     lock                                 locked while the process is alive
//!     1/libgreeter.so                      the first copy, and its debug information
//!     2/libgreeter.so                      the second
//! ```
//!
//! A directory is removed with its [`Staging`], and the directories of dead processes are swept when the next process
//! creates its own. Whether a process is alive is determined by its lock, which the system releases when the process
//! dies, and not by its process id, which the system reuses and which means nothing in another container.

mod copy;
mod directory;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use dynload_diagnostics::printable;

use crate::hash::ContentHash;
use crate::sync::lock;

/// The size of the largest file that is staged: 4 GiB.
///
/// A file that claims to be larger is damaged or sparse, and a copy of it would fill the disk.
pub const MAX_STAGED_BYTES: u64 = 4 << 30;

/// A directory of this process for the copies that it loads.
///
/// # Examples
///
/// ```
/// use dynload_native::staging::Staging;
///
/// # let directory = tempfile::tempdir()?;
/// # let source = directory.path().join("plugin.so");
/// # std::fs::write(&source, b"anything")?;
/// let staging = Staging::shared()?;
/// let first = staging.stage(&source)?;
/// let second = staging.stage(&source)?;
/// assert_ne!(first.path(), second.path());
/// assert_eq!(first.hash(), second.hash());
/// assert_eq!(std::fs::read(first.path())?, b"anything");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Staging {
    directory: directory::PrivateDirectory,
    last: AtomicU64,
}

/// The shared directory of this process, while it has an owner.
static SHARED: Mutex<Weak<Staging>> = Mutex::new(Weak::new());

impl Staging {
    /// Returns the directory that this process shares, in the system's directory for temporary files
    /// ([`std::env::temp_dir`]; `TMPDIR` on Unix).
    ///
    /// If it does not exist, it is created, after the directories of dead processes there are swept.
    ///
    /// The file system must allow code to be mapped: where `/tmp` is mounted `noexec`, set `TMPDIR`, or use
    /// [`Staging::in_directory`].
    ///
    /// # Errors
    ///
    /// - [`StageError::Directory`] when the directory cannot be created.
    pub fn shared() -> Result<Arc<Staging>, StageError> {
        let mut shared = lock(&SHARED);
        // After a `fork` the directory is the parent's, which may end and remove it at any time.
        if let Some(staging) = shared
            .upgrade()
            .filter(|staging| staging.directory.is_of_this_process())
        {
            return Ok(staging);
        }
        let staging = Staging::in_directory(std::env::temp_dir())?;
        *shared = Arc::downgrade(&staging);
        Ok(staging)
    }

    /// Creates a new directory for this process within `parent`, which must exist.
    ///
    /// Directories of dead processes in `parent` are swept first.
    ///
    /// # Errors
    ///
    /// - [`StageError::Directory`] when the directory cannot be created.
    pub fn in_directory(parent: impl AsRef<Path>) -> Result<Arc<Staging>, StageError> {
        let parent = parent.as_ref();
        let failed = |source| StageError::Directory {
            path: parent.to_owned(),
            source,
        };
        let parent = std::path::absolute(parent).map_err(failed)?;
        directory::sweep(&parent);
        let directory = directory::PrivateDirectory::create(&parent).map_err(failed)?;
        Ok(Arc::new(Staging {
            directory,
            last: AtomicU64::new(0),
        }))
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Copies a file, and the debug information beside it (`.debug`, `.dwp`, `.pdb`, `.dSYM`), to a path that was never
    /// used before.
    ///
    /// The copy keeps the file's name. Its content is not checked: to check it, call [`inspect`](crate::inspect) on the
    /// copy.
    ///
    /// # Errors
    ///
    /// - [`StageError::Read`] when the file does not exist or cannot be read.
    /// - [`StageError::NotAFile`] when it is a directory, a pipe or the like.
    /// - [`StageError::TooLarge`] when it is larger than [`MAX_STAGED_BYTES`].
    /// - [`StageError::Changing`] when the file was written to during every attempt to copy it: try again later.
    /// - [`StageError::Write`] when the copy cannot be written.
    pub fn stage(self: &Arc<Self>, path: impl AsRef<Path>) -> Result<StagedFile, StageError> {
        let source = path.as_ref();
        let name = source
            .file_name()
            .ok_or(StageError::NotAFile { kind: "a directory" })?;
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let directory = self.path().join(number.to_string());
        let write = |source| StageError::Write {
            path: directory.clone(),
            source,
        };
        directory::create_private(&directory).map_err(write)?;
        // From here on a failure removes what was created: `staged` is dropped.
        let mut staged = StagedFile {
            path: directory.join(name),
            directory: directory.clone(),
            hash: ContentHash::of(b""),
            size: 0,
            staging: Arc::clone(self),
        };
        let copied = copy::copy_whole(source, &staged.path)?;
        (staged.hash, staged.size) = (copied.hash, copied.size);
        copy::copy_debug_information(source, &directory);
        Ok(staged)
    }
}

/// A private copy of a file, deleted when this value is dropped.
///
/// An image that is mapped from it stays mapped.
#[derive(Debug)]
pub struct StagedFile {
    path: PathBuf,
    directory: PathBuf,
    hash: ContentHash,
    size: u64,
    staging: Arc<Staging>,
}

impl StagedFile {
    /// Returns the path of the copy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the hash of its bytes.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Moves the copy and the files beside it `levels` directories down, so that there are directories above it for
    /// links.
    pub(crate) fn lower(&mut self, levels: usize) -> io::Result<()> {
        if levels == 0 {
            return Ok(());
        }
        let mut below = self.directory.clone();
        let entries: Vec<_> = std::fs::read_dir(&below)?.collect::<Result<_, _>>()?;
        for _ in 0..levels {
            below.push(".below");
            directory::create_private(&below)?;
        }
        for entry in entries {
            std::fs::rename(entry.path(), below.join(entry.file_name()))?;
        }
        if let Some(name) = self.path.file_name() {
            self.path = below.join(name);
        }
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After a `fork` the copy is the parent's to delete. A failure leaves a file that is swept later:
        // Windows does not delete a library that is still mapped.
        if self.staging.directory.is_of_this_process() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// A file could not be staged.
#[derive(Debug)]
#[non_exhaustive]
pub enum StageError {
    /// The directory for the copies could not be created.
    Directory {
        /// The directory in which it was to be created.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file could not be read.
    Read(io::Error),
    /// The path is not a regular file.
    NotAFile {
        /// What it is, as in "a directory".
        kind: &'static str,
    },
    /// The file is larger than [`MAX_STAGED_BYTES`].
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The file was being written to while it was copied.
    Changing,
    /// The copy could not be written.
    Write {
        /// The path at which it was to be written.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageError::Directory { path, .. } => write!(
                f,
                "cannot create a private directory in `{}`: set TMPDIR to a writable directory",
                printable(path.display()).path()
            ),
            StageError::Read(_) => f.write_str("cannot read the file"),
            StageError::NotAFile { kind } => write!(f, "this is {kind}, not a regular file"),
            StageError::TooLarge { size } => {
                write!(
                    f,
                    "the file has {size} bytes; at most {MAX_STAGED_BYTES} are copied"
                )
            }
            StageError::Changing => f.write_str("the file was written to while it was copied: try again"),
            StageError::Write { path, .. } => write!(
                f,
                "cannot write the copy in `{}`",
                printable(path.display()).path()
            ),
        }
    }
}

impl std::error::Error for StageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StageError::Directory { source, .. }
            | StageError::Write { source, .. }
            | StageError::Read(source) => Some(source),
            StageError::NotAFile { .. } | StageError::TooLarge { .. } | StageError::Changing => None,
        }
    }
}
