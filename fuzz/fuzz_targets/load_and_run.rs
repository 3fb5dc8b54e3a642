//! Treats the input as a module: loads it and runs it under tiny limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    dynload_fuzz::load_and_run(bytes);
});
