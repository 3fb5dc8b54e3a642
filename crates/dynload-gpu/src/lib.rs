//! GPUs for sandboxed WebAssembly: each instance's compute shaders run in a worker process of its own.
//!
//! [`Workers`] is a [`Gpu`](dynload_sandbox::gpu::Gpu) for [`dynload_sandbox`]. The worker is the program
//! `dynload-gpu-worker`, which is built with the feature `wgpu`; the library needs neither the feature nor a driver.
//!
//! # Examples
//!
//! ```no_run
//! # #[cfg(unix)]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use dynload_gpu::Workers;
//! use dynload_sandbox::{Capabilities, Limits, Sandbox, Scopes, caps::GpuScope};
//! use std::sync::Arc;
//!
//! // Every GPU, and a driver that computes on the processor, which is open only where it is named.
//! let scope = GpuScope::new(["*".parse()?, "cpu".parse()?]);
//! let mut sandbox = Sandbox::new(Limits::DEFAULT)
//!     .with_capabilities(Capabilities::GPU)
//!     .with_scopes(Scopes::none().with_gpu(scope));
//! sandbox.set_gpu(Arc::new(Workers::new("/usr/libexec/dynload-gpu-worker")?.with_spares(1)));
//! # Ok(())
//! # }
//! # #[cfg(not(unix))]
//! # fn main() {}
//! ```
//!
//! # Why a process
//!
//! A driver inside of the host's process shares the host's fate with every shader. A shader of 200 bytes can occupy a device
//! for hours, and dropping the device waits for it. A compiler can take minutes for 12 lines, or overflow its stack and abort
//! the process. A worker is killed instead, and no other session notices.
//!
//! # Guarantees
//!
//! - No function of a session waits for its worker, except `wait`, for as long as it is told to. Dropping a session returns
//!   immediately; its worker is killed and waited for on a thread of [`Workers`].
//! - A worker serves one session, and starts with memory of zeros. It gets no variable, descriptor or terminal of the host.
//! - A worker that does not keep to the protocol ends its own session. It cannot make the host wait, allocate more than a
//!   frame, or use bytes after they were checked.
//! - All devices have the same limits, the default ones of WebGPU, and the same language: WGSL without its optional features
//!   and without `override`.
//!
//! # What is not promised
//!
//! - A loop in a shader is bounded by time alone: by the sandbox, which drops the session at the deadline of the call.
//! - Mesa's `llvmpipe` leaves all loops of an invocation after 65 535 iterations together, and goes on with wrong results.
//! - A guest can measure how busy a device is. Some devices delay other sessions until a shader that does not end is killed.
//! - A worker is not a sandbox against a shader that takes over the driver: it runs as the host's user.
//!
//! # Platforms
//!
//! Everything exists on Unix only so far. On 64-bit Linux the bytes of buffers pass through shared memory, elsewhere through a
//! socket, which takes about twice the processor time.
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
