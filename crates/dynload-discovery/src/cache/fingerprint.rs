//! Detects whether a file is still the one that was read.

use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

/// The metadata that identifies one state of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
    /// The last change of the content or the inode, which no program can set back; the creation time on systems that have
    /// no such time.
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

    /// Returns whether the last change of the file was long enough before `moment` that any later write shows in its times.
    ///
    /// Two seconds is the resolution of the coarsest timestamps in use (FAT). A file that was written more recently might be
    /// written again within the same step, and a time in the future proves nothing.
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

/// Returns the current time in nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    since_1970(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_identify_a_state_only_two_seconds_after_the_last_change() {
        let file = Fingerprint {
            dev: 0,
            ino: 0,
            size: 0,
            modified: 5_000_000_000,
            changed: 7_000_000_000,
        };
        assert!(file.settled_at(9_000_000_000));
        assert!(!file.settled_at(8_999_999_999));
        // Its own times are in the future.
        assert!(!file.settled_at(0));
        let forever = Fingerprint {
            modified: i64::MAX,
            ..file
        };
        assert!(!forever.settled_at(i64::MAX - 1));
    }
}
