//! The type of a descriptor or a directory entry (`filetype` in the WASI documents).

use cap_std::fs::FileType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
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
        #[cfg(unix)]
        use cap_std::fs::FileTypeExt;
        if ty.is_dir() {
            return Filetype::Directory;
        }
        if ty.is_file() {
            return Filetype::RegularFile;
        }
        if ty.is_symlink() {
            return Filetype::SymbolicLink;
        }
        #[cfg(unix)]
        {
            if ty.is_block_device() {
                return Filetype::BlockDevice;
            }
            if ty.is_char_device() {
                return Filetype::CharacterDevice;
            }
            if ty.is_socket() {
                return Filetype::SocketStream;
            }
        }
        Filetype::Unknown
    }
}
