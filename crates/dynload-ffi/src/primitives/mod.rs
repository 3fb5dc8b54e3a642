//! The primitives that the Vais compiler calls: nothing but `i64` in and out, everything named `vais_*`.
//!
//! A Vais program defines `sandbox_new` and the rest of the flat names itself, over these. So they never go through a flat name
//! for C, which would be the program's own.
//!
//! # Safety
//!
//! As for the [flat functions](crate::flat).

#![allow(
    clippy::missing_safety_doc,
    reason = "the contract of all of them is the one of this module"
)]

mod modules;
mod plugins;
mod reload;
mod sandbox;
mod wasm;

pub use modules::*;
pub use plugins::*;
pub use reload::*;
pub use sandbox::*;
pub use wasm::*;
