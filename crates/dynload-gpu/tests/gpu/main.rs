//! Sessions with a real device, through workers: `cargo test -p dynload-gpu --features wgpu`.
//!
//! Without a Vulkan device the tests pass, and say that they have tested nothing, unless `DYNLOAD_REQUIRE_GPU` is set. On
//! Debian, `mesa-vulkan-drivers` and `libvulkan1` are one that uses the CPU. It stops the loops of an invocation after 65 535
//! iterations together, so the loops here are shorter.
#![cfg(unix)]

mod compute;
mod hostile;
mod local;
mod shaders;
mod subject;
mod worker;
