//! The fields of a frame.

use super::{KINDS, Malformed, WINDOW};
use dynload_caps::GpuKind;
use dynload_sandbox::gpu::PIECE;

/// Reads the fields of a frame.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(frame: &'a [u8]) -> Reader<'a> {
        Reader { rest: frame }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads a number below `end`.
    pub(super) fn below(&mut self, end: u32) -> Result<u32, Malformed> {
        self.u32()
            .and_then(|n| if n < end { Ok(n) } else { Err(Malformed) })
    }

    pub(super) fn kind(&mut self) -> Result<GpuKind, Malformed> {
        let number = usize::from(self.u8()?);
        KINDS.get(number).copied().ok_or(Malformed)
    }

    /// Reads where a piece is in a half of the shared memory, and its size.
    pub(super) fn part(&mut self) -> Result<(u32, u32), Malformed> {
        let (from, size) = (self.u32()?, self.u32()?);
        let is_inside = from.checked_add(size).is_some_and(|end| end <= WINDOW);
        if is_inside && (1..=PIECE).contains(&size) {
            Ok((from, size))
        } else {
            Err(Malformed)
        }
    }

    /// Reads a text with its length, of at most `max` bytes.
    pub(super) fn text(&mut self, max: usize) -> Result<&'a str, Malformed> {
        let length = self.u32()? as usize;
        if length > max {
            return Err(Malformed);
        }
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        str::from_utf8(text).map_err(|_| Malformed)
    }

    /// Reads the rest of the frame, at most `max` bytes.
    pub(super) fn rest(self, max: usize) -> Result<&'a [u8], Malformed> {
        if self.rest.len() > max {
            return Err(Malformed);
        }
        Ok(self.rest)
    }

    /// Checks that nothing is left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// Writes a frame, except the part at its end that is sent from where it is.
pub(super) struct Writer<'a> {
    head: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Begins a frame. `head` is cleared.
    pub(super) fn new(head: &'a mut Vec<u8>, tag: u8) -> Writer<'a> {
        head.clear();
        head.extend([0; super::LENGTH]);
        head.push(tag);
        Writer { head }
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.head.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.head.extend(value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.head.extend(value.to_le_bytes());
    }

    pub(super) fn kind(&mut self, kind: GpuKind) {
        // A kind that a later version adds is another one.
        let number = KINDS.iter().position(|known| *known == kind);
        self.u8(number.unwrap_or(KINDS.len() - 1) as u8);
    }

    /// Writes a length. What is too long for 32 bits is too long for every maximum.
    pub(super) fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.head.extend(text.as_bytes());
    }

    /// Ends the frame, which `tail` completes.
    pub(super) fn end(self, tail: &[u8]) -> &[u8] {
        let length = self.head.len() - super::LENGTH + tail.len();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.head[..super::LENGTH].copy_from_slice(&length.to_le_bytes());
        tail
    }
}
