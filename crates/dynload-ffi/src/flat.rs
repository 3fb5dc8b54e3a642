//! The functions of the specification, under their own names, with structs passed by value in the platform's C ABI;
//! and additional functions that its users need.
//!
//! These are plain functions here. The shared and the static library give them their C names (`dynload-shared`,
//! `dynload-static`), such that a program can define the same names itself.
//!
//! # Safety
//!
//! If a function is `unsafe`, the numbers that represent addresses are 0 or addresses as documented: texts end with a
//! NUL, arrays have the length that is passed with them, callbacks have the named type and may be called from any
//! thread. Every other invalid argument is an error. Loading a native module, or building and loading one by hot
//! reload, runs its code, which can do whatever the process can.

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
