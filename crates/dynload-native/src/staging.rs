//! Private copies of the files that are loaded.
//!
//! A library that is loaded from where it was built is at the mercy of the next build: overwriting the file in place
//! changes the code that is running, and after a new file is renamed over it, opening the same path again may return
//! the old image, because loaders distinguish images by path. So the file that is loaded is a copy, in a directory of
//! this process alone, at a path that was never used before:
//!
//! ```text
//! $TMPDIR/dynload-<process id>-<random>/   only for this user (0700), locked while this process is alive
//!     .dynload-staging                     marks the directory as one of this crate
//!     1/libgreeter.so                      the first copy, and its debug information
//!     2/libgreeter.so                      the second
//! ```
//!
//! A directory is removed with its [`Staging`], and the directories of dead processes are swept when the next process
//! creates its own. Whether a process is alive is determined by its lock, which the system releases when the process
//! dies, and not by its process id, which the system reuses and which means nothing in another container. Only a
//! directory with a mark that contains the directory's own name is swept, and only if it belongs to this user.
//!
//! Another user who could replace a copy before it is loaded could run code in this process. So a directory is refused
//! if a user other than this one and root owns it or may replace what it contains, and likewise each directory above
//! it.

mod copy;
mod directory;
mod error;
mod lock;
#[cfg(unix)]
mod mirror;
mod trust;

#[cfg(unix)]
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

pub use self::error::StageError;
use crate::hash::ContentHash;
use crate::name::loader_token;
#[cfg(unix)]
use crate::origin::Reach;
use crate::os;
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
    #[cfg(unix)]
    mirror: Mutex<mirror::Mirror>,
}

/// The shared directory of this process, while it has an owner.
static SHARED: Mutex<Weak<Staging>> = Mutex::new(Weak::new());

impl Staging {
    /// Returns the directory that this process shares, in the system's directory for temporary files
    /// ([`std::env::temp_dir`]; on Unix `TMPDIR`, or `/tmp` if it is not set or empty).
    ///
    /// If it does not exist, or no longer, it is created, after the directories of dead processes there are swept.
    ///
    /// The file system must allow code to be mapped: where `/tmp` is mounted `noexec`, set `TMPDIR`, or use
    /// [`Staging::in_directory`].
    ///
    /// # Errors
    ///
    /// As for [`Staging::in_directory`].
    pub fn shared() -> Result<Arc<Staging>, StageError> {
        let mut shared = lock(&SHARED);
        // After a `fork` the directory is the parent's, which may end and remove it at any time.
        if let Some(staging) = shared
            .upgrade()
            .filter(|staging| staging.directory.is_of_this_process() && staging.directory.is_intact())
        {
            return Ok(staging);
        }
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().is_empty() {
            parent.push("/tmp");
        }
        let staging = Staging::in_directory(parent)?;
        *shared = Arc::downgrade(&staging);
        Ok(staging)
    }

    /// Creates a new directory for this process within `parent`, which must exist.
    ///
    /// Directories of dead processes in `parent` are swept first.
    ///
    /// # Errors
    ///
    /// - [`StageError::Exposed`] when another user could replace the copies.
    /// - [`StageError::Token`] when the path contains a token that the platform's loader replaces, such as `$ORIGIN`.
    /// - [`StageError::Directory`] when the directory cannot be created.
    pub fn in_directory(parent: impl AsRef<Path>) -> Result<Arc<Staging>, StageError> {
        let parent = parent.as_ref();
        let failed = |source| StageError::Directory {
            path: parent.to_owned(),
            source,
        };
        // Who can replace a symlink in the path could lead to other files.
        let parent = if cfg!(unix) {
            parent.canonicalize()
        } else {
            std::path::absolute(parent)
        };
        let parent = parent.map_err(failed)?;
        if let Some(token) = loader_token(&parent) {
            return Err(StageError::Token { path: parent, token });
        }
        refuse_exposed(&parent, true)?;
        directory::sweep(&parent);
        let directory = directory::PrivateDirectory::create(&parent).map_err(failed)?;
        Ok(Arc::new(Staging {
            directory,
            last: AtomicU64::new(0),
            #[cfg(unix)]
            mirror: Mutex::default(),
        }))
    }

    /// Returns the path of the directory: absolute, and on Unix without symlinks.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns whether the directory still exists: a cleaner of temporary files may have removed it, and another user may have
    /// created another one at its path since.
    pub fn is_intact(&self) -> bool {
        self.directory.is_intact()
    }

    /// Copies a file, and the debug information beside it (`.debug`, `.dwp`, `.pdb`, `.dSYM`), to a path that was never
    /// used before.
    ///
    /// The copy keeps the file's name. Its content is not checked: to check it, call [`inspect`](crate::inspect) on the
    /// copy.
    ///
    /// If the directory was removed, by a cleaner of temporary files for example, it is created again.
    ///
    /// # Errors
    ///
    /// - [`StageError::Read`] when the file does not exist or cannot be read.
    /// - [`StageError::NotAFile`] when it is a directory, a pipe or the like.
    /// - [`StageError::TooLarge`] when it is larger than [`MAX_STAGED_BYTES`].
    /// - [`StageError::Changing`] when the file was written to during every attempt to copy it: try again later.
    /// - [`StageError::Write`] when the copy cannot be written, or the directory cannot be created again.
    pub fn stage(self: &Arc<Self>, path: impl AsRef<Path>) -> Result<StagedFile, StageError> {
        let source = path.as_ref();
        let name = source
            .file_name()
            .ok_or(StageError::NotAFile { kind: "a directory" })?;
        let directory = self.create_numbered().map_err(|source| StageError::Write {
            path: self.path().to_owned(),
            source,
        })?;
        // From here on a failure removes what was created: `staged` is dropped.
        let mut staged = StagedFile {
            path: directory.join(name),
            directory: directory.clone(),
            has_links: false,
            hash: ContentHash::of(b""),
            size: 0,
            staging: Arc::clone(self),
        };
        let copied = copy::copy_whole(source, &staged.path)?;
        (staged.hash, staged.size) = (copied.hash, copied.size);
        copy::copy_debug_information(source, &directory);
        Ok(staged)
    }

    /// Creates the directory of the next copy. The child of a `fork` may have taken a number.
    fn create_numbered(&self) -> io::Result<PathBuf> {
        self.restore()?;
        loop {
            let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            let directory = self.path().join(number.to_string());
            match directory::create_private(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| directory),
            }
        }
    }

    /// Creates the directory again if it was removed.
    fn restore(&self) -> io::Result<()> {
        if self.directory.is_intact() {
            return Ok(());
        }
        #[cfg(unix)]
        lock(&self.mirror).clear();
        self.directory.restore()
    }
}

/// Creates a directory for files that this process will run, or checks that no other user can replace files in an existing
/// one.
///
/// # Errors
///
/// - [`StageError::Exposed`] when a user other than this one and root can replace files in it.
/// - [`StageError::Directory`] when it cannot be created or examined.
pub fn private_directory(path: impl AsRef<Path>) -> Result<(), StageError> {
    let path = path.as_ref();
    let failed = |source| StageError::Directory {
        path: path.to_owned(),
        source,
    };
    match directory::create_private(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    refuse_exposed(path, false)
}

/// Refuses a directory in which a user other than this one and root can replace files. If it `is_shared`, others may create
/// files in it.
fn refuse_exposed(directory: &Path, is_shared: bool) -> Result<(), StageError> {
    match trust::exposed(directory, is_shared) {
        Ok(None) => Ok(()),
        Ok(Some(exposed)) => Err(StageError::Exposed {
            path: exposed.path,
            reason: exposed.reason,
        }),
        Err(source) => Err(StageError::Directory {
            path: directory.to_owned(),
            source,
        }),
    }
}

/// A private copy of a file, deleted when this value is dropped.
///
/// An image that is mapped from it stays mapped.
#[derive(Debug)]
pub struct StagedFile {
    path: PathBuf,
    directory: PathBuf,
    /// Whether libraries may have been found through links in the directory.
    has_links: bool,
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

    /// Makes the copy find what the file at `original` finds relative to its own path: what is listed beside it, and what
    /// it needs there, which is found in a directory that cannot be listed too.
    ///
    /// # Errors
    ///
    /// Returns the system's error. The copy can be loaded all the same, if it needs nothing from there.
    #[cfg(unix)]
    pub(crate) fn link_surroundings<'a>(
        &mut self,
        original: &Path,
        reach: Reach,
        needed: impl Iterator<Item = &'a OsStr>,
    ) -> io::Result<()> {
        let Some(beside) = original.parent().filter(|_| reach > Reach::Nowhere) else {
            return Ok(());
        };
        let beside = beside.canonicalize()?;
        let moved = match reach {
            Reach::Above => self.move_below(&beside),
            _ => Ok(()),
        };
        self.has_links = true;
        mirror::link_all(&beside, &self.directory, needed);
        moved
    }

    /// Moves the copy to where `..` leads to what is above the directory `original`.
    #[cfg(unix)]
    fn move_below(&mut self, original: &Path) -> io::Result<()> {
        let place = lock(&self.staging.mirror).place(self.staging.path(), original)?;
        // The place is an empty directory, so this replaces it (rename(2)).
        std::fs::rename(&self.directory, &place)?;
        if let Some(name) = self.path.file_name() {
            self.path = place.join(name);
        }
        self.directory = place;
        Ok(())
    }

    /// Makes the copy find the libraries `needed`, which are beside the original.
    ///
    /// Symlinks need a privilege on Windows, so hard links are created. A file that cannot be linked, such as one on
    /// another volume, is copied.
    #[cfg(not(unix))]
    pub(crate) fn link_needed(&self, needed: &[PathBuf]) {
        for path in needed {
            if let Some(name) = path.file_name() {
                let _ = copy::link_or_copy(path, &self.directory.join(name));
            }
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After a `fork` the copy is the parent's to delete, and after a cleaner removed it, another directory may be in
        // its place. A failure leaves a file that is swept later: Windows does not delete a library that is still mapped.
        if !self.staging.directory.is_of_this_process() || !self.staging.directory.is_intact() {
            return;
        }
        if self.has_links && os::is_in_use(&self.directory) {
            // A library that the copy needs was found here. It stays loaded, and looks for files relative to this path.
            directory::remove_files(&self.directory);
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
