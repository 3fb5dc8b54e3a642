//! What everything costs in fuel.
//!
//! | what | fuel |
//! | --- | --- |
//! | `block` `loop` `else` `end` `nop` `drop` `return` `unreachable` | 0 |
//! | every other operator that is executed | 1 |
//! | entering a Wasm function | 1 |
//! | `memory.copy` `memory.fill` `memory.init`, and `memory.grow` that succeeds | 1 for each full [`BYTES_PER_FUEL`] bytes |
//! | `table.copy` `table.fill` `table.init`, and `table.grow` that succeeds | 1 for each full [`ELEMENTS_PER_FUEL`] elements |
//! | entering a function that declares more than [`FREE_LOCAL_BYTES`] of locals | 1 for each started [`BYTES_PER_FUEL`] bytes beyond |
//! | data segments, at instantiation | 1 for each segment, and for an active one 1 for each full [`BYTES_PER_FUEL`] bytes |
//! | element segments, at instantiation | 1 for each segment, and for one that is not declared 1 for each full [`ELEMENTS_PER_FUEL`] elements |
//! | constant expressions, at instantiation | 1 for each operator but the first of each |
//! | records of an instance | 1 for each full [`BYTES_PER_FUEL`] bytes beyond [`FREE_RECORD_BYTES`] |
//! | a host function | [`HOST_CALL`], and 1 for each full [`BYTES_PER_FUEL`] bytes it reads or writes for the guest |
//!
//! The first three rows are how Wasmtime counts: a program that touches none of the others burns the same number here
//! as it does there. The others charge for what would otherwise be work without a price.
//!
//! The records of an instance are its imports, functions, globals, memories, tables, exports and segments, each
//! [`RECORD_BYTES`], and the names of its exports. What is beyond [`FREE_RECORD_BYTES`] counts against the memory limit too,
//! and so do the references of passive element segments, 8 bytes each, as long as the instance lives.
//!
//! An operator that a taken branch skipped costs nothing. The price is the same cold and warm, whatever the size of the
//! slices in which fuel is handed out, in debug and release, on every machine.

/// Bytes copied, filled, grown or zeroed for one unit of fuel.
pub const BYTES_PER_FUEL: u64 = 64;

/// Table elements copied, filled or grown for one unit of fuel.
pub const ELEMENTS_PER_FUEL: u64 = 16;

/// Bytes of declared locals (8 for each, 16 for a `v128`) that a function may zero for nothing.
pub const FREE_LOCAL_BYTES: u64 = 512;

/// What each import, function, global, memory, table, export and segment of an instance counts as.
pub const RECORD_BYTES: u64 = 128;

/// Bytes of records that an instance may have for nothing: those of some thousand functions.
pub const FREE_RECORD_BYTES: u64 = 128 << 10;

/// What calling a host function costs on top of the call operator.
pub const HOST_CALL: u64 = 5;

/// Fuel that a call may burn before the clock is read for the first time.
///
/// Some ten microseconds of ordinary work, and a fraction of a millisecond of the dearest operators: the deadline of a call may
/// come that much late.
pub const UNTIMED_FUEL: u64 = 10_000;

/// Fuel for entering a function, beyond the 1 that every entry costs, for its `bytes` of declared locals.
pub(crate) fn locals(bytes: u64) -> u64 {
    bytes.saturating_sub(FREE_LOCAL_BYTES).div_ceil(BYTES_PER_FUEL)
}
