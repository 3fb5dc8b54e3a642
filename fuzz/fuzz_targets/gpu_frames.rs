//! Treats the input as the bytes of a GPU's worker, and as those of its host.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    dynload_fuzz::gpu_frames(bytes);
});
