//! Determines whether a directory's file system reports changes.

use std::path::Path;

/// What is known about a file system without testing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    allow(dead_code, reason = "elsewhere nothing is known without a test")
)]
pub(super) enum Kind {
    /// It reports every change.
    Local,
    /// Other machines can change it, and it does not report their changes.
    Remote,
    /// Unknown: test it.
    Unknown,
}

/// Returns the kind of the file system that `dir` is on, by its type (statfs(2)).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn kind(dir: &Path) -> Kind {
    // inotify(7): "Inotify reports only events that a user-space program triggers through the file system API. As a
    // result, it does not catch remote events that occur on network filesystems." Numbers: linux/magic.h and
    // the file systems' own sources.
    const LOCAL: [u32; 12] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683E, // Btrfs
        0x0102_1994, // tmpfs
        0x8584_58F6, // ramfs
        0xF2F5_2010, // F2FS
        0x794C_7630, // overlayfs
        0x2FC1_2FC1, // ZFS
        0xCA45_1A4E, // bcachefs
        0x4D44,      // FAT
        0x2011_BAB0, // exFAT
        0x5265_4973, // ReiserFS
    ];
    const REMOTE: [u32; 12] = [
        0x6969,      // NFS
        0x517B,      // SMB
        0xFF53_4D42, // CIFS
        0xFE53_4D42, // SMB2
        0x0102_1997, // 9P: WSL, VM shares
        0x6573_5546, // FUSE: sshfs, Docker Desktop
        0x786F_4256, // VirtualBox shared folders
        0x00C3_6400, // Ceph
        0x5346_414F, // AFS
        0x6B41_4653, // kAFS
        0x0BD0_0BD0, // Lustre
        0x0116_1970, // GFS2
    ];
    match rustix::fs::statfs(dir) {
        // The field's type differs between architectures; the numbers have 32 bits.
        Ok(found) => match found.f_type as u32 {
            found if LOCAL.contains(&found) => Kind::Local,
            found if REMOTE.contains(&found) => Kind::Remote,
            _ => Kind::Unknown,
        },
        Err(_) => Kind::Unknown,
    }
}

/// On other systems, notifications are known to work on local disks, and the type of a file system is harder to
/// determine.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn kind(_dir: &Path) -> Kind {
    Kind::Unknown
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn unlisted_file_systems_are_unknown() {
        assert_eq!(kind("/nonexistent".as_ref()), Kind::Unknown);
        assert_eq!(kind("/proc".as_ref()), Kind::Unknown);
    }
}
