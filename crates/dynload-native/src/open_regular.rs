//! Opening a file by a path from outside, without blocking.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading, and returns it with its size in bytes.
///
/// Anything but a regular file is an error. The call does not wait: neither for the other end of a named pipe, nor for
/// a device.
///
/// The opened file itself is checked, so no other file can replace it between the check and the use.
///
/// # Errors
///
/// - [`io::ErrorKind::InvalidInput`] when the path is not a regular file.
/// - The system's error when the file cannot be opened.
#[doc(hidden)]
pub fn open_regular(path: impl AsRef<Path>) -> io::Result<(File, u64)> {
    let file = open_to_read(path.as_ref())?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        return Ok((file, metadata.len()));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("this is {}, not a regular file", file_kind(&metadata)),
    ))
}

/// Reads a whole regular file of at most `most` bytes, opened as by [`open_regular`].
///
/// The size when the file is opened is the number of bytes read: bytes that are appended in the meantime are not read,
/// and a file of `/proc` with size 0 reads as empty.
///
/// # Errors
///
/// - The errors of [`open_regular`].
/// - [`io::ErrorKind::FileTooLarge`] when the file has more than `most` bytes.
/// - [`io::ErrorKind::UnexpectedEof`] when the file was truncated while it was read.
#[doc(hidden)]
pub fn read_regular(path: impl AsRef<Path>, max_bytes: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open_regular(path)?;
    if size > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file has {size} bytes; at most {max_bytes} are read"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file was truncated while it was read: try again",
        ));
    }
    Ok(bytes)
}

/// Opens a file for reading, without blocking: opening a pipe would wait for its writer.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    match options.open(path) {
        // Windows denies access to a directory. The error should still say that it is one.
        Err(error) if cfg!(windows) && path.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, error))
        }
        opened => opened,
    }
}

/// The kind of a file that is not a regular file, for messages.
pub(crate) fn file_kind(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    if metadata.is_dir() {
        "a directory"
    } else {
        "a special file"
    }
}
