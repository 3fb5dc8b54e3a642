//! QEMU's `virt`: a RISC-V processor without floating point.

use core::time::Duration;

use riscv_rt::entry;

use crate::memory;

/// The time in units of 100 ns, in two halves.
const TIME: *const u32 = 0x0200_bff8 as *const u32;
/// The serial line.
const UART: *mut u8 = 0x1000_0000 as *mut u8;
/// Ends the emulator: 0x5555 for success, or 0x3333 and a code in the upper half.
const FINISHER: *mut u32 = 0x0010_0000 as *mut u32;

pub(crate) fn now() -> Duration {
    // SAFETY: these are the registers of the timer. Reading them has no effect.
    let half = |n| unsafe { TIME.add(n).read_volatile() };
    loop {
        let (high, low) = (half(1), half(0));
        if half(1) == high {
            let units = u64::from(high) << 32 | u64::from(low);
            return Duration::new(units / 10_000_000, (units % 10_000_000) as u32 * 100);
        }
    }
}

pub(crate) fn write(bytes: &[u8]) {
    for byte in bytes {
        // SAFETY: these are the registers of the serial line, which only this function uses. Bit 5 of the state says that it
        // accepts a byte.
        unsafe {
            while UART.add(5).read_volatile() & 0x20 == 0 {}
            UART.write_volatile(*byte);
        }
    }
}

pub(crate) fn exit(code: u32) -> ! {
    let word = if code == 0 { 0x5555 } else { code << 16 | 0x3333 };
    // SAFETY: this is the register that ends the emulator.
    unsafe { FINISHER.write_volatile(word) };
    loop {
        core::hint::spin_loop();
    }
}

#[entry]
fn start() -> ! {
    memory::run()
}
