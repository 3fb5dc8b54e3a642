//! Generates a program that is hard to meter from the input, and compares its resource use with the oracle's.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    dynload_fuzz::meter(bytes);
});
