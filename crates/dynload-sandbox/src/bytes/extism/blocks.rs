//! The blocks of bytes that a guest allocates at its host.

use crate::{error::DeniedGrowth, metering::memory_meter::MemoryMeter, schedule};
use alloc::{boxed::Box, collections::BTreeMap, vec};
use core::ops::Range;

/// The offset of the first block, so that none has the offset 0; and the least distance between two.
const GAP: u64 = 16;

/// How many blocks are removed between two checks of the deadline.
const STEP: usize = 1024;

/// Blocks by their offset. All of them count as memory of the instance, each with a record.
#[derive(Debug)]
pub(crate) struct Blocks {
    blocks: BTreeMap<u64, Box<[u8]>>,
    next: u64,
    bytes: u64,
}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks {
            blocks: BTreeMap::new(),
            next: GAP,
            bytes: 0,
        }
    }
}

/// Returns the bytes that a block of this length counts as.
fn counted(len: u64) -> u64 {
    len.saturating_add(schedule::RECORD_BYTES)
}

impl Blocks {
    /// Adds a block of zeros and returns its offset, if the limit allows it.
    pub(crate) fn zeros(&mut self, len: u64, memory: &mut MemoryMeter) -> Result<u64, DeniedGrowth> {
        memory.hold(counted(len))?;
        // The limit is at most `isize::MAX`.
        Ok(self.insert(vec![0; len as usize].into()))
    }

    /// Adds a block with these bytes and returns its offset, if the limit allows it.
    pub(crate) fn copy(&mut self, bytes: &[u8], memory: &mut MemoryMeter) -> Result<u64, DeniedGrowth> {
        memory.hold(counted(bytes.len() as u64))?;
        Ok(self.insert(bytes.into()))
    }

    /// Adds a block and returns its offset, if the limit allows it.
    pub(crate) fn add(&mut self, block: Box<[u8]>, memory: &mut MemoryMeter) -> Result<u64, DeniedGrowth> {
        memory.hold(counted(block.len() as u64))?;
        Ok(self.insert(block))
    }

    fn insert(&mut self, block: Box<[u8]>) -> u64 {
        let (offset, len) = (self.next, block.len() as u64);
        self.next += len.next_multiple_of(GAP) + GAP;
        self.bytes += len;
        self.blocks.insert(offset, block);
        offset
    }

    /// Removes the block at this offset, if there is one.
    pub(crate) fn remove(&mut self, offset: u64, memory: &mut MemoryMeter) -> Option<Box<[u8]>> {
        let block = self.blocks.remove(&offset)?;
        self.bytes -= block.len() as u64;
        memory.release(counted(block.len() as u64));
        Some(block)
    }

    /// Removes as many blocks as take much less than a millisecond. Returns whether none is left; then their offsets may be
    /// used again.
    pub(crate) fn remove_some(&mut self, memory: &mut MemoryMeter) -> bool {
        for _ in 0..STEP {
            let Some((_, block)) = self.blocks.pop_first() else {
                break;
            };
            self.bytes -= block.len() as u64;
            memory.release(counted(block.len() as u64));
        }
        let is_done = self.blocks.is_empty();
        if is_done {
            self.next = GAP;
        }
        is_done
    }

    /// Returns the block at this offset.
    pub(crate) fn get(&self, offset: u64) -> Option<&[u8]> {
        self.blocks.get(&offset).map(|block| &**block)
    }

    /// Returns the sum of the lengths of all blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns `len` bytes at an offset, if all of them are in one block.
    pub(crate) fn slice(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let (start, block) = self.blocks.range(..=offset).next_back()?;
        block.get(range(offset - start, len)?)
    }

    /// As [`slice`](Blocks::slice), for writing.
    pub(crate) fn slice_mut(&mut self, offset: u64, len: u64) -> Option<&mut [u8]> {
        let (start, block) = self.blocks.range_mut(..=offset).next_back()?;
        block.get_mut(range(offset - start, len)?)
    }
}

fn range(start: u64, len: u64) -> Option<Range<usize>> {
    let end = start.checked_add(len)?;
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}
