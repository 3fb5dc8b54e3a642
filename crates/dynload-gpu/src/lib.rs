//! GPUs for sandboxed WebAssembly: each instance's compute shaders run in a worker process of its own.
//!
//! [`Workers`] is a [`Gpu`](dynload_sandbox::gpu::Gpu) for [`dynload_sandbox`]. The worker is the program
//! `dynload-gpu-worker`, which is built with the feature `wgpu`; the library needs neither the feature nor a driver.
//!
//! # Why a process
//!
//! A driver inside of the host's process shares the host's fate with every shader. A shader of 200 bytes can occupy a device
//! for hours, and dropping the device waits for it. A compiler can take minutes for 12 lines, or overflow its stack and abort
//! the process. A worker is killed instead, and no other session notices.
//!
//! Everything exists on Unix only so far.
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(unix)]
mod client;
#[cfg(all(feature = "wgpu", unix))]
mod devices;
#[cfg(unix)]
mod error;
#[cfg(all(feature = "wgpu", unix))]
mod local;
#[cfg(unix)]
#[doc(hidden)]
pub mod protocol;
#[cfg(all(feature = "wgpu", unix))]
mod serve;
#[cfg(unix)]
mod window;
#[cfg(all(feature = "wgpu", unix))]
mod worker;
#[cfg(unix)]
mod workers;

#[cfg(unix)]
pub use error::StartError;
#[cfg(all(feature = "wgpu", unix))]
#[cfg_attr(docsrs, doc(cfg(feature = "wgpu")))]
pub use local::{LimitTooLow, Local};
#[cfg(all(feature = "wgpu", unix))]
#[doc(hidden)]
pub use worker::run_worker;
#[cfg(unix)]
pub use workers::Workers;
