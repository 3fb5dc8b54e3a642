//! Bytes are a module: load it and run it under tiny limits.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    dynload_fuzz::load_and_run(bytes);
});
