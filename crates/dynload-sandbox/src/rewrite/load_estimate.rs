//! An upper bound of the memory that loading a module takes, computed while the module is parsed.
//!
//! A few bytes can make the interpreter and the rewriter keep a hundred times as much. Each number was measured for both
//! together, for the most expensive form of an item, and has a margin; `tests/load_memory.rs` compares them with a counting
//! allocator.

use crate::{error::Refused, module::limits::Bound};
use core::sync::atomic::{AtomicUsize, Ordering};
use wasmparser::Operator;

/// A byte of the module: of the rewritten one, and of the copies.
pub(crate) const BYTE: u64 = 6;
/// An operator that computes a value.
pub(crate) const OPERATOR: u64 = 28;
/// An operator that loads or stores.
pub(crate) const ACCESS: u64 = 56;
/// An operator that works on many bytes or elements.
pub(crate) const BULK: u64 = 160;
/// A byte of code that the rewriter inserts.
pub(crate) const INSERTED: u64 = 24;
/// An operator of a constant expression: the interpreter keeps each on the heap.
pub(crate) const CONSTANT: u64 = 112;
/// A function, and the code at its entry that records peaks.
pub(crate) const FUNCTION: u64 = 400;
pub(crate) const PEAKS: u64 = 300;
/// The code of a function that reports its first use.
pub(crate) const REPORT: u64 = 600;
/// A group of locals, and each local.
pub(crate) const LOCALS: u64 = 32;
pub(crate) const LOCAL: u64 = 2;
/// A type, and each parameter and result of it.
pub(crate) const TYPE: u64 = 400;
pub(crate) const PARAMETER: u64 = 16;
/// An import, an export, a global, a segment.
pub(crate) const ITEM: u64 = 300;
/// An element of a segment.
pub(crate) const ELEMENT: u64 = 96;
/// A value that a block, a branch or a call carries.
pub(crate) const CARRIED: u64 = 64;
/// A target of a `br_table`.
const TARGET: u64 = 96;

/// Returns the memory for a control operator, or for one that grows a memory or a table.
pub(crate) fn control(operator: &Operator<'_>) -> u64 {
    use Operator as O;
    match operator {
        O::Nop => 0,
        O::If { .. } => 280,
        O::Else => 200,
        O::BrIf { .. } => 380,
        O::BrTable { targets } => 120 + TARGET * u64::from(targets.len()),
        O::Call { .. } | O::CallIndirect { .. } | O::ReturnCall { .. } | O::ReturnCallIndirect { .. } => 160,
        O::MemoryGrow { .. } | O::TableGrow { .. } => 440,
        _ => 72,
    }
}

/// The sum over a module, to which several threads add, and its limit.
#[derive(Debug)]
pub(crate) struct Estimate {
    limit: Bound,
    sum: AtomicUsize,
}

impl Estimate {
    pub(crate) fn new(limit: Bound) -> Estimate {
        Estimate {
            limit,
            sum: AtomicUsize::new(0),
        }
    }

    /// Adds to the sum.
    pub(crate) fn add(&self, bytes: u64) -> Result<(), Refused> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        // The sum may wrap around, but only after a call has returned an error, and that ends the loading.
        let before = self.sum.fetch_add(bytes, Ordering::Relaxed);
        self.check(before.saturating_add(bytes) as u64)
    }

    /// Returns the sum.
    pub(crate) fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed) as u64
    }

    /// Checks a part of the sum against the limit.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), Refused> {
        self.limit.check("bytes of memory for loading (estimated)", bytes)
    }
}
