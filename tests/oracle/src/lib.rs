//! An independent reference for what the sandbox meters.
//!
//! [`Oracle`] runs a module with a plain interpreter that walks over the decoded operators one by one and counts as it
//! goes: fuel, call depth, stack bytes, memory. It is slow and simple on purpose, and shares no code with the
//! sandbox, which rewrites modules and leaves the counting to the rewritten code. Both must report the same numbers.
//!
//! [`random`] generates programs that are hard to meter; [`guests`] has real ones.
//!
//! # What is counted
//! - **Fuel**: 1 for each operator executed except `block`, `loop`, `else`, `end`, `nop`, `drop`, `return` and `unreachable`,
//!   which are free; 1 for entering a function. An operator that traps counts as executed. Surcharges are added, see
//!   [`Schedule`].
//! - **Call depth**: Wasm frames alive at the same time. A tail call replaces its caller's frame. Host functions have no
//!   frame; Wasm functions they call do.
//! - **Stack bytes**: over those frames, 8 bytes for each i32, i64, f32, f64 and reference and 16 for each v128 in parameters,
//!   declared locals, and the highest operand stack of the function. The latter is the maximum number of bytes on the operand
//!   stack after any operator at a point where the validation algorithm of the specification has no open control frame
//!   marked `unreachable`.
//! - **Memory**: bytes of all memories, and 8 for each element of all tables.
//!
//! Entering a function checks depth, then stack bytes, then fuel.

#![forbid(unsafe_code)]

mod bulk;
mod code;
mod error;
mod float;
pub mod guests;
mod host;
mod instantiate;
mod interpreter;
#[cfg(unix)]
pub mod languages;
mod memory;
mod meter;
mod module;
mod numeric;
mod operands;
mod oracle;
pub mod random;
mod schedule;
mod store;
mod value;
mod vector;

pub use error::{Error, Trap};
pub use host::{Caller, Host, HostFunc, Import, Imports};
pub use meter::{Limits, Usage};
pub use module::{ExternType, GlobalType, ImportType, MemoryType, Module, TableType};
pub use oracle::{Oracle, Outcome};
pub use schedule::Schedule;
pub use store::{Extern, InstanceId, Store};
pub use value::{FuncType, ValType, Value};
