//! The type of a descriptor or a directory entry (`filetype` in the WASI documents).

use crate::services::system::files;
use cap_std::fs::FileType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[cfg_attr(windows, expect(dead_code, reason = "the list is that of the WASI documents"))]
pub(in crate::services) enum Filetype {
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketDgram = 5,
    SocketStream = 6,
    SymbolicLink = 7,
}

impl From<FileType> for Filetype {
    fn from(ty: FileType) -> Filetype {
        if ty.is_dir() {
            return Filetype::Directory;
        }
        if ty.is_file() {
            return Filetype::RegularFile;
        }
        if ty.is_symlink() {
            return Filetype::SymbolicLink;
        }
        files::special(ty)
    }
}
