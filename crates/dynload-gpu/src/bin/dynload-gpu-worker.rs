//! Executes the GPU commands of one sandboxed instance: see the crate `dynload-gpu`.
#![forbid(unsafe_code)]

#[cfg(unix)]
fn main() {
    dynload_gpu::run_worker();
}

#[cfg(not(unix))]
fn main() {}
