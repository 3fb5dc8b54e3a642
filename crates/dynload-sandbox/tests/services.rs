//! The host services, from the guest's side: one binary with one module for each subject. On Windows without those of Unix.
#![cfg(any(unix, windows))]
#![allow(
    clippy::disallowed_methods,
    reason = "tests look at files and sockets from the host's side"
)]

#[path = "services/commands.rs"]
mod commands;
#[path = "services/console.rs"]
mod console;
#[cfg(unix)]
#[path = "services/endings.rs"]
mod endings;
#[path = "services/escapes.rs"]
mod escapes;
#[path = "services/fake_gpu.rs"]
mod fake_gpu;
#[cfg(target_os = "linux")]
#[path = "services/file_endings.rs"]
mod file_endings;
#[path = "services/gpu.rs"]
mod gpu;
#[path = "services/gpu_endings.rs"]
mod gpu_endings;
#[path = "services/grants.rs"]
mod grants;
#[path = "services/guest.rs"]
mod guest;
#[path = "services/hostile.rs"]
mod hostile;
#[cfg(unix)]
#[path = "services/links.rs"]
mod links;
#[cfg(unix)]
#[path = "services/model.rs"]
mod model;
#[path = "services/network.rs"]
mod network;
#[path = "services/open_flags.rs"]
mod open_flags;
#[path = "services/overlap.rs"]
mod overlap;
#[path = "services/process.rs"]
mod process;
#[path = "services/rows.rs"]
mod rows;
#[cfg(target_os = "linux")]
#[path = "services/slashes.rs"]
mod slashes;
#[cfg(unix)]
#[path = "services/symlinks.rs"]
mod symlinks;
#[path = "services/table.rs"]
mod table;
#[path = "services/threads.rs"]
mod threads;
#[path = "services/waiting.rs"]
mod waiting;
#[cfg(windows)]
#[path = "services/windows.rs"]
mod windows;

/// Instances can move between threads, and every type that threads can share is `Sync`.
const _: fn() = || {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    moves::<dynload_sandbox::Instance>();
    is_shared::<dynload_sandbox::Instance>();
    is_shared::<dynload_sandbox::Sandbox>();
    is_shared::<dynload_sandbox::Module>();
};
