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
//! A handle that is 0, made up, of another kind or destroyed is an error, except one of a native module: that handle is
//! the address that `dlopen` returned, and after [`unload_module`] the loader can return the same address for another
//! library. A [`ModuleHandle`](crate::abi::ModuleHandle) is identified by its `handle` and its `path`, so a stale one
//! is an error unless a module was loaded from the same path at the same address: then it is the handle of that module.
//! The [primitives](crate::primitives) for modules compare the address alone. A reload does not free an address.
//!
//! # Safety
//!
//! If a function is `unsafe`, the numbers that represent addresses are 0 or addresses as documented: texts end with a
//! NUL, arrays have the length that is passed with them, callbacks have the named type and may be called from any
//! thread. Every other invalid argument is an error, except a stale handle of a native module as described above.
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
mod plugins;
mod reload;
mod sandbox;
mod wasm;

pub use capabilities::*;
pub use errors::*;
pub use files::*;
pub use limits::*;
pub use modules::*;
pub use plugins::*;
pub use reload::*;
pub use sandbox::*;
pub use wasm::*;
