//! Flags of calls and descriptors, as numbered in the WASI documents.

use super::Errno;

/// `lookupflags`: follow a symlink in the last component.
pub(super) const SYMLINK_FOLLOW: u32 = 1;

/// `oflags`: create the file if it does not exist.
pub(super) const CREAT: u32 = 1;
/// `oflags`: fail unless it is a directory.
pub(super) const DIRECTORY: u32 = 2;
/// `oflags`: fail if it already exists.
pub(super) const EXCL: u32 = 4;
/// `oflags`: truncate it to size 0.
pub(super) const TRUNC: u32 = 8;

/// `fdflags`: append.
pub(in crate::services) const APPEND: u16 = 1;
/// `fdflags`: nonblocking.
pub(in crate::services) const NONBLOCK: u16 = 4;
/// `fdflags`: writes of data are synchronized.
pub(super) const DSYNC: u16 = 2;
/// `fdflags`: reads are synchronized.
pub(super) const RSYNC: u16 = 8;
/// `fdflags`: writes of data and attributes are synchronized.
pub(super) const SYNC: u16 = 16;

/// `fstflags`: set the access time to the argument.
pub(super) const ATIM: u32 = 1;
/// `fstflags`: set the access time to now.
pub(super) const ATIM_NOW: u32 = 2;
/// `fstflags`: set the modification time to the argument.
pub(super) const MTIM: u32 = 4;
/// `fstflags`: set the modification time to now.
pub(super) const MTIM_NOW: u32 = 8;

/// Returns the flags, if all of them are known.
pub(super) fn known(flags: u32, known: u32) -> Result<u32, Errno> {
    if flags & !known == 0 {
        Ok(flags)
    } else {
        Err(Errno::Inval)
    }
}

/// Returns the `fdflags`, if all of them are known.
pub(super) fn fdflags(flags: u32) -> Result<u16, Errno> {
    Ok(known(flags, 31)? as u16)
}
