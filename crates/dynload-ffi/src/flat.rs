//! The functions of the specification, under their own names, with structs passed by value in the platform's C ABI;
//! and additional functions that its users need.
//!
//! These are plain functions here. The shared and the static library give them their C names (`dynload-shared`,
//! `dynload-static`), such that a program can define the same names itself.
//!
//! # Reading the documentation
//!
//! The text of each function is also that of `dynload.h`, so its examples are in C. They use the header's names:
//!
//! - `NAME_str` is the header's variant of the function `NAME` that accepts `const char *`. In Rust, pass the address
//!   of a C string: `c"text".as_ptr() as i64`.
//! - `dynload_host_function` and `dynload_console_function` are [`HostFunction`](crate::abi::HostFunction) and
//!   [`ConsoleFunction`](crate::abi::ConsoleFunction).
//! - `DYNLOAD_OK` and `DYNLOAD_ERROR_*` are the values of [`ErrorCode`](crate::ErrorCode). `CAP_*` are the bits of
//!   `Capabilities` in `dynload-caps`.
//!
//! # Handles
//!
//! A handle that is 0, made up, of another kind or destroyed is an error. The handle of a native module is the address
//! that `dlopen` returned, which the loader can return again after [`unload_module`]. So a
//! [`ModuleHandle`](crate::abi::ModuleHandle) is identified by its `handle` and its `path`, an address that is never
//! used again; the [primitives](crate::primitives) for modules take both. A reload does not free an address.
//!
//! # Safety
//!
//! If a function is `unsafe`, the numbers that represent addresses are 0 or addresses as documented: texts end with a
//! NUL, arrays have the length that is passed with them, callbacks have the named type and may be called from any
//! thread. Every other invalid argument is an error.
//!
//! Loading a native module runs its code, which can do whatever the process can: the caller promises that it may run.
//! For hot reload, the promise is made at [`hot_reloader_new`] or [`hot_reloader_with_config`], for everything that is
//! built from the source or loaded later. So [`hot_reloader_start`] is safe to call.

#![allow(
    clippy::missing_safety_doc,
    reason = "all of them have the contract of this module"
)]

mod capabilities;
mod errors;
mod files;
mod limits;
mod modules;
mod plugin_host;
mod plugins;
mod reload;
mod sandbox;
mod wasm;
mod wasm_bytes;

pub use capabilities::*;
pub use errors::*;
pub use files::*;
pub use limits::*;
pub use modules::*;
pub use plugin_host::*;
pub use plugins::*;
pub use reload::*;
pub use sandbox::*;
pub use wasm::*;
pub use wasm_bytes::*;
