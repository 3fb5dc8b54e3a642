//! What operating systems do differently: files, and the host's own console.
//!
//! Both sides have the same functions. Sockets, and waiting for them, are the same everywhere ([`rustix`]).

#[cfg_attr(unix, path = "system/unix/console.rs")]
#[cfg_attr(windows, path = "system/windows/console.rs")]
pub(crate) mod console;
#[cfg_attr(unix, path = "system/unix/files.rs")]
#[cfg_attr(windows, path = "system/windows/files.rs")]
pub(super) mod files;
#[cfg_attr(unix, path = "system/unix/pipes.rs")]
#[cfg_attr(windows, path = "system/windows/pipes.rs")]
pub(super) mod pipes;
