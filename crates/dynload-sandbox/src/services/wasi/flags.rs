//! Flags of calls and descriptors, as the WASI documents number them.

use super::Errno;

/// `lookupflags`: follow a symbolic link in the last place.
pub(super) const SYMLINK_FOLLOW: u32 = 1;

/// `oflags`: create the file if it is not there.
pub(super) const CREAT: u32 = 1;
/// `oflags`: fail unless it is a directory.
pub(super) const DIRECTORY: u32 = 2;
/// `oflags`: fail if it is there already.
pub(super) const EXCL: u32 = 4;
/// `oflags`: cut it to no bytes.
pub(super) const TRUNC: u32 = 8;

/// `fdflags`: write at the end.
pub(in crate::services) const APPEND: u16 = 1;
/// `fdflags`: do not wait.
pub(in crate::services) const NONBLOCK: u16 = 4;
/// `fdflags` that ask for synchronised writes: `DSYNC`, `RSYNC`, `SYNC`.
pub(super) const SYNC: u16 = 2 | 8 | 16;

/// `fstflags`: the time of last access, from the argument.
pub(super) const ATIM: u32 = 1;
/// `fstflags`: the time of last access, now.
pub(super) const ATIM_NOW: u32 = 2;
/// `fstflags`: the time of last change, from the argument.
pub(super) const MTIM: u32 = 4;
/// `fstflags`: the time of last change, now.
pub(super) const MTIM_NOW: u32 = 8;

/// The flags, if all of them are known.
pub(super) fn known(flags: u32, known: u32) -> Result<u32, Errno> {
    if flags & !known == 0 {
        Ok(flags)
    } else {
        Err(Errno::Inval)
    }
}

/// `fdflags`, if all of them are known.
pub(super) fn fdflags(flags: u32) -> Result<u16, Errno> {
    Ok(known(flags, 31)? as u16)
}
