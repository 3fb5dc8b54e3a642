//! Images in memory: how often each is open, and which are still mapped although no library has them open.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::error::Error;
use crate::os::{self, Handle};
use crate::staging::StagedFile;
use crate::sync::lock;

/// The outcome of unloading a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unload {
    /// The image is no longer in memory.
    Unmapped,
    /// The library was closed, but the loader keeps the image: it is open elsewhere, it was linked so that it cannot be
    /// unloaded, or destructors of thread-local values in it have yet to run. It counts as
    /// [detached](crate::detached_images).
    StillMapped,
    /// Symbols, libraries or calls of this image are alive. It is unmapped when the last one is dropped.
    Pending,
}

/// An image that is [detached](crate::Library): in memory, but not open through this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DetachedImage {
    /// The path of the library, as the caller named it.
    pub path: PathBuf,
    /// The file that the loader has mapped: the staged copy, if there was one. It may be deleted already.
    pub mapped: PathBuf,
}

struct Entry {
    open: usize,
    version: Version,
    image: DetachedImage,
}

/// Whether an image is a version of a module: one that was loaded from a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// It is not. Nothing newer is loaded in its place.
    No,
    Current,
    /// The module was reloaded, retired or unloaded. Calls and symbols may keep the image open.
    Former,
}

/// Every image that was opened through this crate and is, as far as this crate knows, still in memory.
static IMAGES: Mutex<Option<HashMap<Handle, Entry>>> = Mutex::new(None);

/// Locks the images. Nothing that can panic runs under the lock, and the map is consistent between two statements.
fn images() -> MutexGuard<'static, Option<HashMap<Handle, Entry>>> {
    lock(&IMAGES)
}

/// Returns the [detached](crate::Library) images of this process, in no particular order.
///
/// Each reload adds an image. Staged copies have unique paths, so in practice entries of reloaded modules are never
/// removed. The entry of another image is removed when that image is opened again.
pub fn detached_images() -> Vec<DetachedImage> {
    images()
        .iter()
        .flat_map(HashMap::values)
        .filter(|entry| entry.open == 0)
        .map(|entry| entry.image.clone())
        .collect()
}

/// Returns the image that the loader uses for a library's name, if it is a version of a module that was reloaded or
/// unloaded.
pub(crate) fn outdated(name: &str) -> Option<DetachedImage> {
    let is_outdated = |entry: &&Entry| match entry.version {
        Version::No => false,
        Version::Current => entry.open == 0,
        Version::Former => true,
    };
    if !images()
        .iter()
        .flat_map(HashMap::values)
        .any(|entry| is_outdated(&entry))
    {
        return None;
    }
    let handle = os::loaded(name)?;
    let images = images();
    let entry = images.as_ref()?.get(&handle).filter(is_outdated)?;
    Some(entry.image.clone())
}

/// An open library. Dropping it detaches it without unmapping, unless [`Image::unmap_when_dropped`] was called.
pub(crate) struct Image {
    handle: Handle,
    /// The program itself is never closed, and never detached.
    is_process: bool,
    /// As the caller named it.
    path: PathBuf,
    /// The path that was passed to the loader.
    mapped: PathBuf,
    /// Where the image is in memory. Without it, every symbol counts as the library's own.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    mapping: Option<os::Mapped>,
    unmap: AtomicBool,
    closed: bool,
    /// Deleted when the image is dropped.
    _staged: Option<StagedFile>,
}

impl Image {
    pub(crate) fn of_library(
        handle: Handle,
        path: PathBuf,
        mapped: PathBuf,
        staged: Option<StagedFile>,
    ) -> Image {
        let image = DetachedImage {
            path: path.clone(),
            mapped: mapped.clone(),
        };
        let version = match &staged {
            Some(_) => Version::Current,
            None => Version::No,
        };
        images()
            .get_or_insert_with(HashMap::new)
            .entry(handle)
            .or_insert(Entry {
                open: 0,
                version,
                image,
            })
            .open += 1;
        let unmap = AtomicBool::new(false);
        Image {
            handle,
            is_process: false,
            path,
            mapped,
            #[cfg(all(unix, not(target_vendor = "apple")))]
            mapping: os::mapped(handle),
            unmap,
            closed: false,
            _staged: staged,
        }
    }

    pub(crate) fn of_process(handle: Handle) -> Image {
        let path = std::env::current_exe().unwrap_or_default();
        let unmap = AtomicBool::new(false);
        Image {
            handle,
            is_process: true,
            mapped: path.clone(),
            path,
            #[cfg(all(unix, not(target_vendor = "apple")))]
            mapping: None,
            unmap,
            closed: false,
            _staged: None,
        }
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn mapped_path(&self) -> &Path {
        &self.mapped
    }

    /// Returns whether an address is in the image, so that a symbol there is the library's own.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    pub(crate) fn contains(&self, address: usize) -> bool {
        let mapping = self.mapping.as_ref();
        mapping.is_none_or(|mapping| mapping.addresses.contains(&address))
    }

    /// Returns whether the library defines a symbol that was found outside of its image.
    ///
    /// A thread-local variable, an absolute value, a function that was chosen elsewhere (`STT_GNU_IFUNC`) and a symbol that
    /// exists once in the process (`STB_GNU_UNIQUE`) may be: only the library's own table shows whose they are.
    #[cfg(all(unix, not(target_vendor = "apple")))]
    pub(crate) fn defines(&self, name: &[u8]) -> bool {
        let file = self.mapping.as_ref().map(|mapping| &mapping.file);
        file.is_none_or(|file| crate::inspect::defines(file, name).unwrap_or(false))
    }

    /// Returns true: the loaders of macOS, as libraries are opened here, and of Windows find only what a library defines.
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    pub(crate) fn contains(&self, _address: usize) -> bool {
        true
    }

    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    pub(crate) fn defines(&self, _name: &[u8]) -> bool {
        true
    }

    /// Notes that the module whose version this is has another one now, or none.
    pub(crate) fn set_former(&self) {
        if let Some(entry) = images().as_mut().and_then(|images| images.get_mut(&self.handle)) {
            entry.version = Version::Former;
        }
    }

    /// Makes dropping the image unmap it.
    ///
    /// # Safety
    ///
    /// As for [`os::close`], from the moment when the image is dropped.
    pub(crate) unsafe fn unmap_when_dropped(&self) {
        self.unmap.store(true, Ordering::Release);
    }

    /// Closes the image now.
    ///
    /// # Safety
    ///
    /// As for [`os::close`].
    pub(crate) unsafe fn close(mut self) -> Result<Unload, Error> {
        // SAFETY: the caller's promise; `self` is dropped after this.
        unsafe { self.close_once() }
    }

    /// # Safety
    ///
    /// As for [`os::close`], and the image was not closed before.
    unsafe fn close_once(&mut self) -> Result<Unload, Error> {
        if self.is_process {
            return Ok(Unload::StillMapped);
        }
        self.closed = true;
        // The entry is removed first: once the image is closed, another thread may receive the same handle for
        // another library.
        let entry = release(self.handle);
        // SAFETY: the caller's promise.
        let closed = unsafe { os::close(self.handle) };
        let still_mapped = os::is_mapped(self.handle, &self.mapped);
        if still_mapped && let Some(entry) = entry {
            images()
                .get_or_insert_with(HashMap::new)
                .entry(self.handle)
                .or_insert(entry);
        }
        match closed {
            Err(source) => Err(Error::Close {
                path: self.path.clone(),
                source,
            }),
            Ok(()) if still_mapped => Ok(Unload::StillMapped),
            Ok(()) => Ok(Unload::Unmapped),
        }
    }
}

/// Counts one open library less. When it was the last, removes the entry and returns it.
fn release(handle: Handle) -> Option<Entry> {
    let mut images = images();
    let images = images.as_mut()?;
    let entry = images.get_mut(&handle)?;
    entry.open = entry.open.saturating_sub(1);
    if entry.open > 0 {
        return None;
    }
    images.remove(&handle)
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.is_process || self.closed {
            return;
        }
        if *self.unmap.get_mut() {
            // SAFETY: the caller that set `unmap` promised this for the moment of the drop. An error cannot be
            // reported here: the image then stays mapped and is counted.
            let _ = unsafe { self.close_once() };
        } else if let Some(images) = images().as_mut()
            && let Some(entry) = images.get_mut(&self.handle)
        {
            entry.open = entry.open.saturating_sub(1);
        }
    }
}
