//! The functions of the specification, by their names, with the structs passed by value in the platform's C ABI; and those
//! that its users need and it leaves out.
//!
//! These are plain functions here. The shared and the static library give them their names for C
//! (`dynload-shared`, `dynload-static`), in a way that lets a program define the same names itself.
//!
//! # Safety
//!
//! Where a function is `unsafe`, the numbers that stand for addresses are 0 or the addresses of what the documentation says:
//! texts end with a NUL, arrays have the length that is passed along, callbacks have the type that is named and may be called
//! from any thread. Everything else may be wrong in any way and is an error. Loading a native module, or building and loading
//! one by hot reload, runs its code, which can do whatever the process can.

#![allow(
    clippy::missing_safety_doc,
    reason = "the contract of all of them is the one of this module"
)]

mod capabilities;
mod errors;
mod limits;
mod modules;
mod plugins;
mod reload;
mod sandbox;
mod utilities;
mod wasm;

pub use capabilities::*;
pub use errors::*;
pub use limits::*;
pub use modules::*;
pub use plugins::*;
pub use reload::*;
pub use sandbox::*;
pub use utilities::*;
pub use wasm::*;
