//! The host services, from the guest's side: one binary with one module for each subject. They exist on Unix only so far.
#![cfg(unix)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests look at files and sockets from the host's side"
)]

#[path = "services/commands.rs"]
mod commands;
#[path = "services/console.rs"]
mod console;
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
#[path = "services/links.rs"]
mod links;
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
#[path = "services/symlinks.rs"]
mod symlinks;
#[path = "services/table.rs"]
mod table;
#[path = "services/threads.rs"]
mod threads;
#[path = "services/waiting.rs"]
mod waiting;

/// Instances can move between threads, and every type that threads can share is `Sync`.
const _: fn() = || {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    moves::<dynload_sandbox::Instance>();
    is_shared::<dynload_sandbox::Instance>();
    is_shared::<dynload_sandbox::Sandbox>();
    is_shared::<dynload_sandbox::Module>();
};
