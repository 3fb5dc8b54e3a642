//! What a board support package would provide: memory, a clock, a serial line, and a panic handler.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use dynload_sandbox::Clock;

/// The size of all available memory, in bytes.
const ARENA: usize = 16 << 20;

/// A bump allocator over the arena that never frees: enough for one program that runs once.
struct Arena {
    bytes: UnsafeCell<[u8; ARENA]>,
    used: AtomicUsize,
}

// SAFETY: the bytes are reached only through `alloc`, which hands out each of them at most once.
unsafe impl Sync for Arena {}

// SAFETY: a block is within the arena, is aligned as requested (the address is rounded up), and does not overlap any other
// block, because `used` only grows, past each block.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.bytes.get().cast::<u8>();
        let mut at = 0;
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                let padding = (base as usize + used).wrapping_neg() % layout.align();
                at = used.checked_add(padding)?;
                at.checked_add(layout.size()).filter(|end| *end <= ARENA)
            });
        match taken {
            // SAFETY: `at` is within the arena, as was just checked.
            Ok(_) => unsafe { base.add(at) },
            Err(_) => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[global_allocator]
static MEMORY: Arena = Arena {
    bytes: UnsafeCell::new([0; ARENA]),
    used: AtomicUsize::new(0),
};

/// A clock that advances by a microsecond whenever it is read.
#[derive(Default)]
pub(crate) struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

mod c {
    #[link(name = "c")]
    unsafe extern "C" {
        pub(super) fn write(file: i32, bytes: *const u8, len: usize) -> isize;
        pub(super) fn _exit(code: i32) -> !;
    }
}

/// Sends bytes over the serial line.
pub(crate) fn write(bytes: &[u8]) {
    // SAFETY: the address and the length are those of a slice. A failure has nowhere to be reported.
    let _ = unsafe { c::write(1, bytes.as_ptr(), bytes.len()) };
}

#[panic_handler]
fn panic(_why: &core::panic::PanicInfo<'_>) -> ! {
    write(b"the program panicked\n");
    // SAFETY: ends the process; the caller has no obligations.
    unsafe { c::_exit(101) }
}

/// Satisfies the linker: the `core` of the toolchain was compiled to unwind and refers to this symbol. This program aborts
/// instead, so it is never called.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Satisfies the linker, like [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    panic!()
}
