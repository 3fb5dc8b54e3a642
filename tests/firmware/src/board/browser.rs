//! A JavaScript engine: a sandbox inside of a sandbox. `browser.mjs` provides the functions.

use core::time::Duration;

#[link(wasm_import_module = "board")]
unsafe extern "C" {
    safe fn now_us() -> f64;
    fn print(bytes: *const u8, len: usize);
    safe fn quit(code: u32);
}

pub(crate) fn now() -> Duration {
    Duration::from_micros(now_us() as u64)
}

pub(crate) fn write(bytes: &[u8]) {
    // SAFETY: the address and the length are those of a slice, which the function only reads.
    unsafe { print(bytes.as_ptr(), bytes.len()) }
}

pub(crate) fn exit(code: u32) -> ! {
    quit(code);
    core::arch::wasm32::unreachable()
}
