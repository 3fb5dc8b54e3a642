//! Opening a file that somebody named, without being made to wait.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file to read it, and says how long it is. What is no regular file is an error, and nothing is waited for:
/// neither for the other end of a named pipe, nor for a device.
///
/// What was opened is what was looked at: nobody can put another file in its place meanwhile.
///
/// # Errors
///
/// What the system said, or [`io::ErrorKind::InvalidInput`] for what is no regular file.
pub fn open_regular(path: impl AsRef<Path>) -> io::Result<(File, u64)> {
    let file = open_to_read(path.as_ref())?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        return Ok((file, metadata.len()));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("this is {} and not a file", file_kind(&metadata)),
    ))
}

/// Reads a whole regular file of at most `most` bytes, as [`open_regular`] opens it.
///
/// It reads the bytes that the file had when it was opened and no more: one that grows meanwhile is not followed, and one
/// of `/proc` that has no size has no bytes.
///
/// # Errors
///
/// As [`open_regular`]; [`io::ErrorKind::FileTooLarge`] where there are more bytes, and [`io::ErrorKind::UnexpectedEof`] where
/// somebody made the file shorter meanwhile.
pub fn read_regular(path: impl AsRef<Path>, most: u64) -> io::Result<Vec<u8>> {
    let (file, size) = open_regular(path)?;
    if size > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has {size} bytes, and at most {most} are read"),
        ));
    }
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it became shorter while it was read: try again",
        ));
    }
    Ok(bytes)
}

/// Opens a file to read it, without waiting: opening a pipe would wait for its writer.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    match options.open(path) {
        // Windows denies access to a directory. It is a directory all the same, and should be called one.
        Err(error) if cfg!(windows) && path.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, error))
        }
        opened => opened,
    }
}

/// What a file that is not a regular one is.
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
