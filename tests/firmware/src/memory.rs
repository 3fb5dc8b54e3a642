//! The heap and the native stack of a board, and how much of them was used.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};

use embedded_alloc::LlffHeap;

use crate::{board, line::Line, scenario};

/// The size of the heap, in bytes.
const HEAP: usize = 104 << 10;

/// The allocator, and the largest number of bytes that were in use.
struct Allocator {
    heap: LlffHeap,
    peak: AtomicUsize,
}

// SAFETY: every block is one of the heap's.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantees are the heap's.
        let block = unsafe { self.heap.alloc(layout) };
        self.peak.fetch_max(self.heap.used(), Ordering::Relaxed);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's guarantees are the heap's.
        unsafe { self.heap.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator {
    heap: LlffHeap::empty(),
    peak: AtomicUsize::new(0),
};

/// Returns the largest number of bytes of the heap that were in use since the last call.
pub(crate) fn peak() -> usize {
    ALLOCATOR.peak.swap(ALLOCATOR.heap.used(), Ordering::Relaxed)
}

unsafe extern "C" {
    /// The end of the static variables, which is the lowest address of the stack.
    static mut __ebss: u32;
}

/// A word that the stack does not contain by chance.
const UNUSED: u32 = 0x5ac3_96e1;
/// The bytes below the caller's frame that are left alone while the stack is filled.
const MARGIN: usize = 256;

/// Returns the words between the static variables and this frame.
#[inline(never)]
fn below() -> &'static mut [MaybeUninit<u32>] {
    let here = 0_u32;
    let start = &raw mut __ebss;
    let bytes = (&raw const here).addr() - MARGIN - start.addr();
    // SAFETY: the memory up to the stack pointer belongs to no one.
    unsafe { core::slice::from_raw_parts_mut(start.cast(), bytes / 4) }
}

/// Runs the scenario and reports the sizes.
pub(crate) fn run() -> ! {
    static mut BLOCK: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP];
    // SAFETY: this function runs once, so the heap is the only user of the block.
    unsafe { ALLOCATOR.heap.init((&raw mut BLOCK).addr(), HEAP) }
    let stack = below();
    for word in stack.iter_mut() {
        // Volatile, or the compiler would remove it: nothing reads it as far as it knows.
        // SAFETY: the word is writable memory.
        unsafe { word.as_mut_ptr().write_volatile(UNUSED) };
    }
    let result = scenario::run();
    // SAFETY: every word was written above, or since then by a frame of the stack.
    let untouched = stack
        .iter()
        .take_while(|word| unsafe { word.as_ptr().read_volatile() } == UNUSED);
    let used = (stack.len() - untouched.count()) * 4;
    Line::new("# native stack ").number(used as u64).print();
    match result {
        Ok(()) => board::exit(0),
        Err(step) => {
            Line::new("failed: ").text(step).print();
            board::exit(1)
        }
    }
}

#[panic_handler]
fn panic(_why: &core::panic::PanicInfo<'_>) -> ! {
    board::write(b"failed: the program panicked\n");
    board::exit(101)
}
