//! Bytes are a program that is hard on a meter: what it uses is what the oracle counts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    dynload_fuzz::meter(bytes);
});
