//! Access to the bytes of a file, of which only the needed ones are read.

use std::borrow::Cow;
use std::fs::File;
use std::io;

use super::HeaderError;

/// The size of the largest table that is accepted. A loader reads all of a table, so a library with a larger one takes
/// seconds to load.
const MAX_TABLE_BYTES: u64 = 1 << 30;

/// The bytes of a file, or of memory.
pub(super) struct Bytes<'a> {
    source: Source<'a>,
    len: u64,
}

enum Source<'a> {
    File(&'a File),
    Slice(&'a [u8]),
}

impl<'a> Bytes<'a> {
    pub(super) fn of_file(file: &'a File, len: u64) -> Bytes<'a> {
        Bytes {
            source: Source::File(file),
            len,
        }
    }

    pub(super) fn of_slice(slice: &'a [u8]) -> Bytes<'a> {
        Bytes {
            source: Source::Slice(slice),
            len: slice.len() as u64,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Refuses a range that is not completely in the file.
    pub(super) fn check(&self, offset: u64, size: u64) -> Result<(), HeaderError> {
        match offset.checked_add(size) {
            Some(end) if end <= self.len => Ok(()),
            end => Err(HeaderError::Truncated {
                needs: end.unwrap_or(u64::MAX),
                has: self.len,
            }),
        }
    }

    /// Reads `size` bytes from `offset`.
    pub(super) fn read(&self, offset: u64, size: u64) -> Result<Cow<'a, [u8]>, HeaderError> {
        self.check(offset, size)?;
        if size > MAX_TABLE_BYTES {
            return Err(HeaderError::TooLarge {
                size,
                limit: MAX_TABLE_BYTES,
            });
        }
        // Both fit: the range is within a file of at most 4 GiB, and a slice's length is a `usize`.
        let (Ok(start), Ok(length)) = (usize::try_from(offset), usize::try_from(size)) else {
            return Err(HeaderError::TooLarge {
                size: offset,
                limit: usize::MAX as u64,
            });
        };
        match self.source {
            Source::Slice(slice) => Ok(Cow::Borrowed(&slice[start..start + length])),
            Source::File(file) => {
                let mut buffer = Vec::new();
                buffer
                    .try_reserve_exact(length)
                    .map_err(|_| HeaderError::Read(io::ErrorKind::OutOfMemory.into()))?;
                buffer.resize(length, 0);
                read_exact_at(file, &mut buffer, offset).map_err(|error| match error.kind() {
                    // The file was truncated after its size was read.
                    io::ErrorKind::UnexpectedEof => HeaderError::Truncated {
                        needs: offset + size,
                        has: self.len,
                    },
                    _ => HeaderError::Read(error),
                })?;
                Ok(Cow::Owned(buffer))
            }
        }
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(buffer)
}
