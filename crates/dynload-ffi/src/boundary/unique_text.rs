//! Texts for C whose addresses are never used again.
//!
//! `dlopen` may return the handle of a module that was unloaded for the next one, even for the same path. So the address of the
//! path is what distinguishes them: each load has a text of its own. After the unload its memory is released, but its
//! address stays reserved and readable.

use std::sync::{Arc, Mutex};

use crate::boundary::sync::unpoisoned;
use crate::boundary::text::c_string;

/// A text for C. It can be read forever: after this is dropped, it is unchanged or empty.
#[derive(Debug)]
pub(crate) struct UniqueText {
    address: i64,
    /// Shared by the texts that are in it.
    _block: Arc<Block>,
}

/// The block that new texts are put into, and how many of its bytes are used.
static CURRENT: Mutex<Option<(Arc<Block>, usize)>> = Mutex::new(None);

/// The size of a block: some thousand paths. A longer text has a block of its own.
const BLOCK: usize = 256 << 10;

impl UniqueText {
    /// Copies a text, up to its first NUL.
    pub(crate) fn new(text: &[u8]) -> UniqueText {
        let text = c_string(text);
        let bytes = text.as_bytes_with_nul();
        let mut current = unpoisoned(CURRENT.lock());
        let room = current
            .take()
            .filter(|(block, used)| block.size - used >= bytes.len());
        let (block, used) = room.unwrap_or_else(|| (Arc::new(Block::new(bytes.len().max(BLOCK))), 0));
        block.write(used, bytes);
        let text = UniqueText {
            address: (block.start + used) as i64,
            _block: Arc::clone(&block),
        };
        *current = Some((block, used + bytes.len()));
        text
    }

    pub(crate) fn address(&self) -> i64 {
        self.address
    }
}

/// Memory for texts. When it is dropped, the memory is released, but not the addresses.
#[derive(Debug)]
struct Block {
    start: usize,
    size: usize,
}

#[cfg(unix)]
impl Block {
    fn new(size: usize) -> Block {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

        // A multiple of the page size of every system.
        let size = size.next_multiple_of(BLOCK);
        // SAFETY: a new mapping at an address that the system chooses overlaps nothing.
        let mapped = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        };
        match mapped {
            Ok(start) => Block {
                start: start as usize,
                size,
            },
            // As when an allocation fails.
            Err(_) => std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u8; BLOCK]>()),
        }
    }
}

#[cfg(unix)]
impl Drop for Block {
    fn drop(&mut self) {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

        // SAFETY: the range is that of the block's own mapping, and no text in it is alive. C code may still read it: it
        // stays mapped, and is empty. If this fails, the texts stay as they were.
        let _ = unsafe {
            mmap_anonymous(
                self.start as *mut _,
                self.size,
                ProtFlags::READ,
                MapFlags::PRIVATE | MapFlags::FIXED,
            )
        };
    }
}

#[cfg(not(unix))]
impl Block {
    /// The memory is never released.
    fn new(size: usize) -> Block {
        let bytes = vec![0_u8; size].leak();
        Block {
            start: bytes.as_mut_ptr() as usize,
            size,
        }
    }
}

impl Block {
    /// Writes a text to bytes of the block that no other text has.
    fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.size, "the text fits");
        let target = (self.start + at) as *mut u8;
        // SAFETY: the range is in the block (asserted above), and nothing else refers to it yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;
    use std::ffi::{CStr, c_char};

    use super::*;

    fn read(address: i64) -> Vec<u8> {
        // SAFETY: the address is that of a text of this module.
        unsafe { CStr::from_ptr(address as *const c_char) }
            .to_bytes()
            .to_vec()
    }

    #[test]
    fn equal_texts_have_different_addresses_that_stay_readable() {
        let mut seen = HashSet::new();
        let mut kept = Vec::new();
        for round in 0..100_000_u32 {
            let text = UniqueText::new(b"/plugins/libgreeter.so");
            assert!(seen.insert(text.address()));
            assert_eq!(read(text.address()), b"/plugins/libgreeter.so");
            if round % 1000 == 0 {
                kept.push(text);
            }
        }
        for address in seen {
            assert!([b"".as_slice(), b"/plugins/libgreeter.so"].contains(&read(address).as_slice()));
        }
        for text in kept {
            assert_eq!(read(text.address()), b"/plugins/libgreeter.so");
        }
    }

    #[test]
    fn a_long_text_has_a_block_of_its_own() {
        let long = vec![b'x'; BLOCK + 5];
        let text = UniqueText::new(&long);
        assert_eq!(read(text.address()), long);
    }
}
