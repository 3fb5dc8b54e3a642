//! The running version, and the guards that keep older versions alive.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use dynload_native::ContentHash;
use dynload_native::staging::StagedFile;

use crate::artifact::Artifact;
use crate::bus::EventBus;
use crate::event::EventKind;
use crate::sync::{read, write};

/// A loaded version with everything that must live as long as it.
pub(crate) struct Version<T> {
    // Only `Drop` takes it out, so that the code is dropped before the file it was mapped from, and before the
    // event is emitted.
    loaded: Option<T>,
    file: Option<StagedFile>,
    pub(crate) number: u64,
    pub(crate) hash: ContentHash,
    born: Instant,
    bus: Arc<EventBus>,
}

impl<T> Version<T> {
    pub(crate) fn new(loaded: T, artifact: &Artifact, bus: Arc<EventBus>) -> Self {
        Self {
            loaded: Some(loaded),
            // The copy, if the loader did not claim it.
            file: artifact.claim(),
            number: artifact.version,
            hash: artifact.hash,
            born: Instant::now(),
            bus,
        }
    }

    pub(crate) fn loaded(&self) -> &T {
        self.loaded.as_ref().expect("only drop takes it out")
    }
}

impl<T> Drop for Version<T> {
    fn drop(&mut self) {
        drop(self.loaded.take());
        drop(self.file.take());
        self.bus.emit(
            None,
            EventKind::Retired {
                version: self.number,
                lived: self.born.elapsed(),
            },
        );
    }
}

/// Keeps a version alive: the version that was running when the guard was created.
///
/// It dereferences to the value that the loader returned. All calls through one guard run on one version. A version
/// is retired when a newer one is running and its last guard is dropped. So keep a guard for the duration of a
/// call, and get a new one for the next call.
pub struct Guard<T>(Arc<Version<T>>);

impl<T> Guard<T> {
    /// Returns the number of this version. An associated function, so that it does not hide a method of the loaded value.
    #[must_use]
    pub fn version(this: &Self) -> u64 {
        this.0.number
    }

    /// Returns the hash of the artifact from which this version was loaded.
    #[must_use]
    pub fn hash(this: &Self) -> ContentHash {
        this.0.hash
    }
}

impl<T> Clone for Guard<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.loaded()
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("version", &self.0.number)
            .field("loaded", self.0.loaded())
            .finish()
    }
}

/// Stores the running version.
pub(crate) struct Slot<T> {
    current: RwLock<Option<Arc<Version<T>>>>,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self {
            current: RwLock::new(None),
        }
    }

    pub(crate) fn guard(&self) -> Option<Guard<T>> {
        read(&self.current).clone().map(Guard)
    }

    /// Stores `new` and returns the previous version. Drop it outside the lock, because dropping it may run foreign
    /// code.
    pub(crate) fn swap(&self, new: Version<T>) -> Option<Arc<Version<T>>> {
        let new = Some(Arc::new(new));
        std::mem::replace(&mut *write(&self.current), new)
    }
}
