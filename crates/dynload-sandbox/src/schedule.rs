//! The costs of operators, host functions and instances in fuel.
//!
//! The second column is fuel here, the third in Wasmtime 48 with its default costs.
//!
//! | item | dynload | Wasmtime |
//! | --- | --- | --- |
//! | `block` `loop` `else` `end` `nop` `drop` `return` `unreachable` | 0 | 0 |
//! | every other executed operator | 1 | 1 |
//! | entering a Wasm function | 1 | 1 |
//! | `memory.copy` `memory.fill` `memory.init` | 1 for each full [`BYTES_PER_FUEL`] bytes | 1 for each byte |
//! | a successful `memory.grow` | 1 for each full [`BYTES_PER_FUEL`] bytes | 0 |
//! | `table.copy` `table.fill` `table.init`, and a successful `table.grow` | 1 for each full [`ELEMENTS_PER_FUEL`] elements | 1 for each element |
//! | entering a function that declares more than [`FREE_LOCAL_BYTES`] of locals | 1 for each started [`BYTES_PER_FUEL`] bytes beyond that | 0 |
//! | data segments, at instantiation | 1 for each segment, and 1 for each full [`BYTES_PER_FUEL`] bytes of an active one | 0 |
//! | element segments, at instantiation | 1 for each segment, and 1 for each full [`ELEMENTS_PER_FUEL`] elements of one that is not declarative | 0 |
//! | constant expressions, at instantiation | 1 for each operator except the first of each expression | 0 |
//! | records of an instance | 1 for each full [`BYTES_PER_FUEL`] bytes beyond [`FREE_RECORD_BYTES`] | 0 |
//! | a host function | [`HOST_CALL`], and 1 for each full [`BYTES_PER_FUEL`] bytes that it reads or writes for the guest | 0 |
//!
//! So a call that returns, and uses none of the items from the fourth row on, burns the same amount of fuel in both. A
//! function with `memory.fill` of 65 536 bytes burns 1 029 here and 65 541 there; one with `memory.grow` by a page, 1 027 and
//! 3.
//!
//! The records of an instance are its imports, functions, globals, memories, tables, exports and segments, with
//! [`RECORD_BYTES`] each, and the names of its exports. The bytes beyond [`FREE_RECORD_BYTES`] also count against the memory
//! limit for the lifetime of the instance, and so do the references of passive element segments, with 8 bytes each.
//!
//! An operator that a taken branch skips costs nothing. The cost is the same in the first call and in later ones, for any size
//! of the slices in which fuel is granted, in debug and release builds, on every machine.

/// Bytes copied, filled, grown or zeroed for one unit of fuel.
pub const BYTES_PER_FUEL: u64 = 64;

/// Table elements copied, filled or grown for one unit of fuel.
pub const ELEMENTS_PER_FUEL: u64 = 16;

/// Bytes of declared locals (8 for each, 16 for a `v128`) that a function may zero for free.
pub const FREE_LOCAL_BYTES: u64 = 512;

/// The bytes that each import, function, global, memory, table, export and segment of an instance counts as.
pub const RECORD_BYTES: u64 = 128;

/// Bytes of records that an instance may have for free: those of about a thousand functions.
pub const FREE_RECORD_BYTES: u64 = 128 << 10;

/// The cost of calling a host function, on top of the call operator.
pub const HOST_CALL: u64 = 5;

/// Fuel that a call may burn before the clock is read for the first time.
///
/// It buys about ten microseconds of ordinary work, or a fraction of a millisecond of the most expensive operators: a deadline
/// may take effect that much late.
pub const UNTIMED_FUEL: u64 = 10_000;

/// Returns the fuel for entering a function with `bytes` of declared locals, beyond the 1 that every entry costs.
pub(crate) fn locals(bytes: u64) -> u64 {
    bytes.saturating_sub(FREE_LOCAL_BYTES).div_ceil(BYTES_PER_FUEL)
}
