//! QEMU's `mps2-an386`: a Cortex-M4.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use cortex_m::peripheral::{Peripherals, syst::SystClkSource};
use cortex_m_rt::{entry, exception};

use crate::memory;

/// The frequency of the processor.
const HERTZ: u32 = 25_000_000;
/// The serial line: its data, its state, of which bit 0 says that it is full, and its control.
const UART: *mut u32 = 0x4000_4000 as *mut u32;

/// Milliseconds since the start.
static TICKS: AtomicUsize = AtomicUsize::new(0);

#[exception]
fn SysTick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn now() -> Duration {
    Duration::from_millis(TICKS.load(Ordering::Relaxed) as u64)
}

pub(crate) fn write(bytes: &[u8]) {
    for byte in bytes {
        // SAFETY: these are the registers of the serial line, which only this function uses.
        unsafe {
            while UART.add(1).read_volatile() & 1 != 0 {}
            UART.write_volatile(u32::from(*byte));
        }
    }
}

pub(crate) fn exit(code: u32) -> ! {
    // ADP_Stopped_ApplicationExit, in the extended form that has a code (SYS_EXIT_EXTENDED).
    let block = [0x2_0026_u32, code];
    // SAFETY: the semihosting call reads the block, and the emulator ends.
    unsafe { core::arch::asm!("bkpt #0xab", in("r0") 0x20, in("r1") block.as_ptr()) };
    loop {
        core::hint::spin_loop();
    }
}

#[entry]
fn start() -> ! {
    // SAFETY: bit 0 of the control register enables the transmitter.
    unsafe { UART.add(2).write_volatile(1) };
    if let Some(mut peripherals) = Peripherals::take() {
        let timer = &mut peripherals.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(HERTZ / 1_000 - 1);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
    }
    memory::run()
}
