//! Private copies of the files that are loaded.
//!
//! A library that is loaded from where it was built is at the mercy of the next build: who overwrites the file
//! in place changes the code that is running, and who renames a new one over it and opens the same path again
//! may be given the old image, because loaders tell images apart by path. So what is loaded is a copy, in a
//! directory of this process alone, at a path that was never used before:
//!
//! ```text
//! $TMPDIR/dynload-<process id>-<random>/   only for this user (0700), named after this process
//!     lock                                 locked for as long as the process lives
//!     1/libgreeter.so                      the first copy, and its debug information
//!     2/libgreeter.so                      the second
//! ```
//!
//! A directory goes with its [`Staging`], and those of processes that died are swept when the next process
//! makes its own. Whether a process lives is told by its lock, which the system releases when it dies, and not
//! by its number, which the system gives out again and which means nothing in another container.

mod copy;
mod directory;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dynload_diagnostics::printable;

use crate::hash::ContentHash;

/// The largest file that is staged: 4 GiB. A file that says it is larger is damaged or sparse, and a copy of it
/// would fill the disk.
pub const MAX_STAGED_BYTES: u64 = 4 << 30;

/// A directory of this process for the copies that it loads.
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

/// The one of this process, while somebody holds it.
static SHARED: Mutex<Weak<Staging>> = Mutex::new(Weak::new());

impl Staging {
    /// The directory that this process uses, in the system's directory for temporary files
    /// ([`std::env::temp_dir`]; `TMPDIR` on Unix). It is made when there is none, after the directories of dead
    /// processes there were swept.
    ///
    /// The file system must allow code to be mapped: where `/tmp` is mounted `noexec`, set `TMPDIR`, or take
    /// [`Staging::in_directory`].
    ///
    /// # Errors
    ///
    /// - [`StageError::Directory`] when the directory cannot be made.
    pub fn shared() -> Result<Arc<Staging>, StageError> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        // After a `fork` the directory is the parent's, who may end and remove it at any time.
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

    /// A new directory for this process within `parent`, which must exist. Directories of dead processes in
    /// `parent` are swept first.
    ///
    /// # Errors
    ///
    /// - [`StageError::Directory`] when the directory cannot be made.
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

    /// Where the copies are.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Copies a file, and the debug information that lies beside it (`.debug`, `.dwp`, `.pdb`, `.dSYM`), to a
    /// path that was never used before. The copy keeps the file's name.
    ///
    /// Nothing is said about what is in it: that is for [`inspect`](crate::inspect), asked about the copy.
    ///
    /// # Errors
    ///
    /// - [`StageError::Read`] when there is no such file, or it cannot be read.
    /// - [`StageError::NotAFile`] when it is a directory, a pipe or the like.
    /// - [`StageError::TooLarge`] when it is larger than [`MAX_STAGED_BYTES`].
    /// - [`StageError::Changing`] when somebody went on writing it while it was copied: ask again later.
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
        // From here on a failure removes what was made.
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

/// A private copy of a file. It is deleted when this value is dropped; what is mapped from it stays mapped.
#[derive(Debug)]
pub struct StagedFile {
    path: PathBuf,
    directory: PathBuf,
    hash: ContentHash,
    size: u64,
    staging: Arc<Staging>,
}

impl StagedFile {
    /// The copy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hash of its bytes.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Moves the copy and what lies beside it so many directories further down, so that there is room above it.
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
        // Windows does not let go of a library that is still mapped.
        if self.staging.directory.is_of_this_process() {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

/// A file could not be copied to where it is loaded from.
#[derive(Debug)]
#[non_exhaustive]
pub enum StageError {
    /// The directory for the copies could not be made.
    Directory {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be read.
    Read(io::Error),
    /// This is not a regular file.
    NotAFile {
        /// What it is, as in "a directory".
        kind: &'static str,
    },
    /// The file is larger than [`MAX_STAGED_BYTES`].
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// Somebody was writing the file.
    Changing,
    /// The copy could not be written.
    Write {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageError::Directory { path, .. } => write!(
                f,
                "cannot make a private directory in `{}`: set TMPDIR to a directory that can be written",
                printable(path.display()).path()
            ),
            StageError::Read(_) => f.write_str("cannot read the file"),
            StageError::NotAFile { kind } => write!(f, "this is {kind} and not a file"),
            StageError::TooLarge { size } => {
                write!(
                    f,
                    "the file has {size} bytes, and at most {MAX_STAGED_BYTES} are copied"
                )
            }
            StageError::Changing => f.write_str("the file was being written while it was copied: try again"),
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
