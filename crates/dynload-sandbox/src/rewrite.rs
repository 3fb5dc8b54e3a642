//! Rewrites a module, once, so that running it counts fuel, frames and stack bytes exactly.
//!
//! What the rewriter adds never refers to anything a guest can name:
//!
//! - hidden globals and locals come after the guest's own, so no index of the guest changes, and an index of the guest
//!   that reaches that far is invalid and is refused;
//! - hidden exports have names that are refused in a guest.
//!
//! Functions are validated once, by the interpreter, which gets them as they were but for what was added. Those in which
//! that could hide an error are validated here as well.
//!
//! What it adds: the price of each stretch of code as `nop`s, for which the interpreter is told to charge ([`flow`]
//! decides where, [`body`] puts them there); the frame counters at function entries and before calls
//! ([`frames`](crate::frames)). The start function becomes an export, so that it runs under the same limits as any call.

mod balance;
mod binary;
mod body;
mod code;
mod flow;
mod guard;
mod index_spaces;
mod literals;
mod load;
mod operators;
mod sections;
mod ways;

pub(crate) use sections::{InstanceCost, module, validate};

/// What every hidden export's name starts with.
const PREFIX: &str = "\0dynload.";
/// The frame counters.
pub(crate) const FRAMES: &str = "\0dynload.frames";
/// Fuel that was charged for nothing.
pub(crate) const REFUND: &str = "\0dynload.refund";
/// The highest stack counter seen.
pub(crate) const PEAK_STACK: &str = "\0dynload.peak_stack";
/// The highest depth counter seen.
pub(crate) const PEAK_DEPTH: &str = "\0dynload.peak_depth";
/// The table with the host function that is called before a growth.
pub(crate) const GROWTH: &str = "\0dynload.growth";
/// The start function.
pub(crate) const START: &str = "\0dynload.start";

/// Whether an export is the rewriter's and not the guest's.
pub(crate) fn is_hidden(export: &str) -> bool {
    export.starts_with(PREFIX)
}

/// The hidden globals: which there are (`T = ()`), their indices, or the interpreter's handles for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hidden<T> {
    pub(crate) frames: Option<T>,
    pub(crate) refund: Option<T>,
    pub(crate) peaks: Option<(T, T)>,
}

/// What the host has to know about a rewritten module.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rewritten {
    pub(crate) hidden: Hidden<()>,
    /// Whether any function leaves something in the frame counters.
    pub(crate) counts_frames: bool,
    /// Whether there is a start function, exported as [`START`].
    pub(crate) has_start: bool,
    /// Whether the host has to put a function into the table [`GROWTH`].
    pub(crate) grows: bool,
    /// What loading takes in memory, as it was estimated.
    pub(crate) load_bytes: u64,
    /// What making an instance takes.
    pub(crate) instance: InstanceCost,
}
