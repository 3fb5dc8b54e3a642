//! Bytes that arrive in any portions, cut into frames.

use super::Malformed;
use std::{io, ops::Range};

/// The number of bytes of a frame's length.
pub const LENGTH: usize = 4;

/// The size of the buffer at first.
const FIRST: usize = 16 << 10;

/// The frames of a stream.
///
/// The buffer grows to twice of what has arrived at the most, and never beyond the longest frame.
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// What has arrived and was not returned.
    arrived: Range<usize>,
    longest: usize,
}

impl Frames {
    /// Accepts frames of at most `longest` bytes, without the bytes of the length.
    #[must_use]
    pub fn new(longest: usize) -> Frames {
        Frames {
            buffer: Vec::new(),
            arrived: 0..0,
            longest,
        }
    }

    /// Returns the next frame, without its length, if all of it has arrived.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is empty or too long.
    pub fn take(&mut self) -> Result<Option<&[u8]>, Malformed> {
        let Some(length) = self.whole()? else {
            return Ok(None);
        };
        let start = self.arrived.start + LENGTH;
        self.arrived.start = start + length;
        Ok(Some(&self.buffer[start..start + length]))
    }

    /// Returns the length of the next frame if all of it has arrived.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is empty or too long.
    pub fn whole(&self) -> Result<Option<usize>, Malformed> {
        let arrived = &self.buffer[self.arrived.clone()];
        let Some((length, rest)) = arrived.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 || length > self.longest {
            return Err(Malformed);
        }
        Ok((rest.len() >= length).then_some(length))
    }

    /// Lets `read` read into the buffer, and returns what it returns: the number of bytes, 0 at the end of the stream.
    ///
    /// To be called when there is no [whole](Frames::whole) frame.
    ///
    /// # Errors
    ///
    /// The error of `read`.
    pub fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let room = self.room();
        let space = &mut self.buffer[room];
        let most = space.len();
        let count = read(space)?.min(most);
        self.arrived.end += count;
        Ok(count)
    }

    /// Returns free space at the end of the buffer, and makes some if there is none.
    fn room(&mut self) -> Range<usize> {
        if self.arrived.is_empty() {
            self.arrived = 0..0;
        }
        if self.arrived.end == self.buffer.len() {
            let count = self.arrived.len();
            if self.arrived.start > 0 {
                self.buffer.copy_within(self.arrived.clone(), 0);
                self.arrived = 0..count;
            } else {
                // What has arrived is less than a whole frame.
                let size = (count * 2).clamp(FIRST, (self.longest + LENGTH).max(FIRST));
                self.buffer.resize(size, 0);
            }
        }
        self.arrived.end..self.buffer.len()
    }

    /// Returns the size of the buffer.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}
