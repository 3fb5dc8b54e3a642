//! Telling whether a file is still the one that was read.

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the file system says about one state of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
    /// The last change of content or of the inode, which no program can set back; where a system has none, when the
    /// file was made.
    pub(crate) changed: i64,
}

super::record!(Fingerprint {
    dev,
    ino,
    size,
    modified,
    changed
});

impl Fingerprint {
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata) -> Fingerprint {
        use std::os::unix::fs::MetadataExt;
        Fingerprint {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn of(metadata: &Metadata) -> Fingerprint {
        let time = |time: std::io::Result<SystemTime>| time.map_or(0, since_1970);
        Fingerprint {
            dev: 0,
            ino: 0,
            size: metadata.len(),
            modified: time(metadata.modified()),
            changed: time(metadata.created()),
        }
    }

    /// Whether the file was left alone for long enough before `moment` that a write since then would show in its times.
    ///
    /// Two seconds is the step of the coarsest times in use (FAT). A file that was written later than that might have
    /// been written again within the same step; and one from the future tells nothing.
    pub(crate) fn settled_at(&self, moment: i64) -> bool {
        const STEP: i64 = 2_000_000_000;
        self.modified.max(self.changed).saturating_add(STEP) <= moment
    }
}

#[cfg(unix)]
fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn since_1970(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    since_1970(SystemTime::now())
}
