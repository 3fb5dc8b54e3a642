//! A rewritten module, as the host uses it: the names of what the rewriter added, and the properties of the module.

use alloc::{string::String, vec::Vec};

/// The prefix of the names of all hidden exports.
pub(crate) const PREFIX: &str = "\0dynload.";
/// The frame counters.
pub(crate) const FRAMES: &str = "\0dynload.frames";
/// The fuel to refund.
pub(crate) const REFUND: &str = "\0dynload.refund";
/// The peak of the stack counter.
pub(crate) const PEAK_STACK: &str = "\0dynload.peak_stack";
/// The peak of the depth counter.
pub(crate) const PEAK_DEPTH: &str = "\0dynload.peak_depth";
/// The table with the host functions that rewritten code calls.
pub(crate) const HOST: &str = "\0dynload.host";
/// The elements of this table: the host function before a growth, and the one for a first use.
pub(crate) const HOST_FUNCTIONS: u32 = 2;
/// The memory that a module gets instead of an imported one.
pub(crate) const OWN_MEMORY: &str = "\0dynload.memory";
/// The start function.
pub(crate) const START: &str = "\0dynload.start";

/// Returns the name of the `n`th function that is translated at load although the others are not.
pub(crate) fn large(n: u32) -> String {
    alloc::format!("{PREFIX}large.{n}")
}

/// Returns whether an export is hidden: added by the rewriter.
pub(crate) fn is_hidden(export: &str) -> bool {
    export.starts_with(PREFIX)
}

/// The hidden globals: which of them are exported (`T = ()`), or the interpreter's handles for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Hidden<T> {
    pub(crate) frames: Option<T>,
    pub(crate) refund: Option<T>,
    pub(crate) peaks: Option<(T, T)>,
}

/// The properties of a rewritten module that the host depends on.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) hidden: Hidden<()>,
    /// Whether a function stores the frame counters.
    pub(crate) counts_frames: bool,
    /// Whether there is a start function, exported as [`START`].
    pub(crate) has_start: bool,
    /// Whether the host has to put the function that is called before a growth into the table [`HOST`].
    pub(crate) grows: bool,
    /// The costs of the functions that report their first use, and 0 for the others; empty if none does.
    pub(crate) costs: Vec<u32>,
    /// The number of functions that are translated at load although the others are not. They are exported as [`large`].
    pub(crate) large: u32,
    /// Whether the interpreter can translate functions when they are first used.
    pub(crate) is_lazy: bool,
    /// Whether functions may have 128-bit vectors.
    pub(crate) has_vectors: bool,
    /// The memory that loading takes: an upper bound.
    pub(crate) load_bytes: u64,
    /// The cost of creating an instance.
    pub(crate) instance: InstanceCost,
}

impl Rewritten {
    /// Returns whether rewritten code calls functions of the host, through the table [`HOST`].
    pub(crate) fn calls_host(&self) -> bool {
        self.grows || !self.costs.is_empty()
    }
}

/// The cost of creating an instance.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct InstanceCost {
    /// Fuel for segments, constant expressions and records.
    pub(crate) fuel: u64,
    /// The bytes of references and records that the instance keeps for its lifetime.
    pub(crate) kept_bytes: u64,
    /// The initial bytes of memories and tables.
    pub(crate) initial_bytes: u64,
}
