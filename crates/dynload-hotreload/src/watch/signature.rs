//! Detects by `stat` alone whether a file may have changed.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// The result of `stat` for a file. Equal signatures mean equal content, unless [`Signature::is_racy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    size: u64,
    modified: Option<SystemTime>,
    /// Device and inode, and the time of the last change to the inode, if the platform has them.
    identity: (u64, u64),
    changed: (i64, i64),
    /// The time of the `stat` call.
    seen: IgnoredInComparison,
}

#[derive(Clone, Copy, Debug)]
struct IgnoredInComparison(SystemTime);

impl PartialEq for IgnoredInComparison {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for IgnoredInComparison {}

impl Signature {
    /// Returns the signature of a file, or `None` if there is no file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }

    /// Returns the signature of a regular file, or `None` if there is none.
    pub(crate) fn of_regular(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some(Self::from(&metadata))
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns whether both signatures are from the same save. A change of the mode alone is not a save: a linker
    /// makes its output executable when it is done.
    pub(crate) fn is_same_save(&self, other: &Self) -> bool {
        let save = |signature: &Self| (signature.size, signature.modified, signature.identity);
        save(self) == save(other)
    }

    /// Returns whether the file was written so shortly before the `stat` call that another write may have the same
    /// time.
    ///
    /// File systems store times in steps: at most 10 ms if they have fractions of a second (the kernel's tick), up
    /// to 2 s on FAT. (git has the same problem and the same solution: its documentation calls it "racy git".)
    pub(crate) fn is_racy(&self) -> bool {
        let Some(modified) = self.modified else {
            return true;
        };
        let has_fractions = modified
            .duration_since(SystemTime::UNIX_EPOCH)
            .is_ok_and(|since| since.subsec_nanos() != 0);
        let step = if has_fractions {
            Duration::from_millis(20)
        } else {
            Duration::from_secs(2)
        };
        // A time in the future is not conclusive either.
        self.seen
            .0
            .duration_since(modified)
            .map_or(true, |age| age <= step)
    }
}

impl From<&Metadata> for Signature {
    fn from(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (identity, changed) = {
            use std::os::unix::fs::MetadataExt;
            (
                (metadata.dev(), metadata.ino()),
                (metadata.ctime(), metadata.ctime_nsec()),
            )
        };
        #[cfg(not(unix))]
        let (identity, changed) = ((0, 0), (0, 0));
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            identity,
            changed,
            seen: IgnoredInComparison(SystemTime::now()),
        }
    }
}

/// Returns an identity that distinguishes a directory from another one of the same name, if the system provides
/// one.
pub(super) fn directory_identity(dir: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(dir).ok().filter(Metadata::is_dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        // The creation time is the best available substitute.
        let created = metadata
            .created()
            .ok()?
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()?;
        Some((created.as_secs(), created.subsec_nanos().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_and_writing_a_file_change_its_signature() {
        let temp = tempfile::tempdir().unwrap();
        let (a, b) = (temp.path().join("a"), temp.path().join("b"));
        assert_eq!(Signature::of(&a), None);
        // A busy machine may take longer than the step between the two.
        let just_written = || {
            fs::write(&a, "one").unwrap();
            Signature::of(&a).filter(Signature::is_racy)
        };
        let first = std::iter::repeat_with(just_written)
            .take(1_000)
            .find(Option::is_some);
        let first = first.expect("a file that was just written is racy");
        assert_eq!(Signature::of(&a), first);
        fs::write(&b, "two").unwrap();
        fs::rename(&b, &a).unwrap();
        assert_ne!(Signature::of(&a), first);
        let second = Signature::of(&a);
        fs::write(&a, "longer").unwrap();
        assert_ne!(Signature::of(&a), second);
    }

    #[test]
    #[cfg(unix)]
    fn a_change_of_the_mode_is_not_a_save() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a");
        fs::write(&path, "one").unwrap();
        let written = Signature::of(&path).unwrap();
        let changed = std::iter::repeat_with(|| {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            Signature::of(&path).unwrap()
        })
        .find(|now| *now != written)
        .unwrap();
        assert!(changed.is_same_save(&written));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "other").unwrap();
        assert!(!Signature::of(&path).unwrap().is_same_save(&written));
    }

    #[test]
    fn an_old_file_is_not_racy() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a");
        let file = fs::File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(10))
            .unwrap();
        assert!(!Signature::of(&path).unwrap().is_racy());
        file.set_modified(SystemTime::now() + Duration::from_secs(10))
            .unwrap();
        assert!(Signature::of(&path).unwrap().is_racy());
    }
}
