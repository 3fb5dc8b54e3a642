//! Lets functions report their first use ([`translation`](crate::translation)).

use super::{
    binary::{i64_const, indexed, op, unsigned},
    code::Function,
};
use crate::translation::{LARGE_BYTES, LARGEST, SMALL};
use alloc::{vec, vec::Vec};

/// The functions for which one hidden global records whether they were used.
pub(crate) const FUNCTIONS_PER_GLOBAL: u32 = 64;
/// The index of the host function for a first use in the hidden table.
const FIRST_USE: u8 = 1;

/// The bytes of code that take as long to translate as a function without code.
const ENTRY: usize = 32;

/// Which functions report, and where it is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reports {
    /// The bytes of the smallest function that reports.
    from: usize,
    /// The index of the first function that the module defines.
    first_function: u32,
    /// The first of the hidden globals, and their number. A bit is 1 until its function is used.
    first_global: u32,
    pub(crate) globals: u32,
}

/// Returns the indices of the functions that are too large to be translated within a call.
pub(crate) fn large(functions: &[Function<'_>]) -> Vec<u32> {
    let large = functions
        .iter()
        .filter(|(_, body)| body.range().len() >= LARGE_BYTES);
    large.map(|(function, _)| function.index).collect()
}

/// The report of one function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    global: u32,
    bit: u64,
    /// The index among the functions that the module defines.
    function: u32,
}

impl Reports {
    /// Returns which functions report so that the others have no more than `unreported` bytes together, or `None` if none has
    /// to. Each function counts as [`ENTRY`] bytes more than it has.
    pub(crate) fn new(functions: &[Function<'_>], unreported: usize, first_global: u32) -> Option<Reports> {
        let sizes = || functions.iter().map(|(_, body)| body.range().len() + ENTRY);
        if sizes().sum::<usize>() <= unreported {
            return None;
        }
        // The number of functions of each size that an unreported one can have.
        let mut counts = vec![0; unreported + 1];
        for size in sizes() {
            if let Some(count) = counts.get_mut(size) {
                *count += 1;
            }
        }
        let mut sum = 0;
        let too_many = |(size, count): (usize, &usize)| {
            sum += size * count;
            sum > unreported
        };
        let from = counts.iter().enumerate().position(too_many);
        Some(Reports {
            from: from.unwrap_or(unreported + 1),
            first_function: functions.first().map_or(0, |(function, _)| function.index),
            first_global,
            globals: (functions.len() as u32).div_ceil(FUNCTIONS_PER_GLOBAL),
        })
    }

    /// Returns the report of a function, if its body of `bytes` is large enough.
    pub(crate) fn of(&self, function: u32, bytes: usize) -> Option<Report> {
        let function = function - self.first_function;
        (bytes + ENTRY >= self.from).then_some(Report {
            global: self.first_global + function / FUNCTIONS_PER_GLOBAL,
            bit: 1 << (function % FUNCTIONS_PER_GLOBAL),
            function,
        })
    }
}

impl Report {
    /// Leaves the innermost block if the function was used before.
    pub(crate) fn leave_if_used(&self, out: &mut Vec<u8>) {
        indexed(out, op::GLOBAL_GET, self.global);
        i64_const(out, self.bit as i64);
        out.extend([op::I64_AND, op::I64_EQZ]);
        indexed(out, op::BR_IF, 0);
    }

    /// Records and reports the first use.
    pub(crate) fn report(&self, (ty, table): (u32, u32), out: &mut Vec<u8>) {
        indexed(out, op::GLOBAL_GET, self.global);
        i64_const(out, self.bit as i64);
        out.push(op::I64_XOR);
        indexed(out, op::GLOBAL_SET, self.global);
        i64_const(out, self.function.into());
        i64_const(out, 0);
        out.extend([op::I32_CONST, FIRST_USE]);
        indexed(out, op::CALL_INDIRECT, ty);
        unsigned(out, table.into());
    }
}

/// The costs of functions that are translated on first use.
#[derive(Debug, Default)]
pub(crate) struct Costs {
    /// The cost of each function that reports, and 0 for the others; empty if none does.
    pub(crate) reported: Vec<u32>,
    /// The cost of all functions that do not report.
    unreported: u64,
    /// The cost of the most expensive function that is not large.
    largest: u64,
    /// The indices of the large functions.
    pub(crate) large: Vec<u32>,
    /// Whether a function may have more operands than the interpreter supports.
    may_be_refused: bool,
}

impl Costs {
    /// Adds a function.
    pub(crate) fn add(&mut self, cost: u64, reports: Option<bool>, may_be_refused: bool) {
        self.may_be_refused |= may_be_refused;
        self.largest = self.largest.max(cost);
        if reports != Some(true) {
            self.unreported += cost;
        }
        if let Some(reports) = reports {
            let cost = u32::try_from(cost).unwrap_or(u32::MAX);
            self.reported.push(if reports { cost } else { 0 });
        }
    }

    /// Adds the large function with this index, which reports.
    pub(crate) fn add_large(&mut self, function: u32, may_be_refused: bool) {
        self.may_be_refused |= may_be_refused;
        self.large.push(function);
        self.reported.push(0);
    }

    /// Adds the functions that follow.
    #[cfg(feature = "std")]
    pub(crate) fn append(&mut self, mut others: Costs) {
        self.reported.append(&mut others.reported);
        self.unreported += others.unreported;
        self.largest = self.largest.max(others.largest);
        self.large.append(&mut others.large);
        self.may_be_refused |= others.may_be_refused;
    }

    /// Returns whether functions can be translated on first use: within the bound, and without an error that loading would
    /// have to report.
    pub(crate) fn allow_first_use(&self) -> bool {
        self.largest <= LARGEST && self.unreported <= SMALL && !self.may_be_refused
    }
}

#[cfg(test)]
mod tests {
    use crate::{EngineConfig, rewrite::module, rewritten::Rewritten, translation::SMALL_BYTES};
    use std::{format, string::String};

    /// Rewrites a module with these functions.
    fn rewritten(functions: &str) -> Rewritten {
        let wasm = wat::parse_str(format!("(module {functions})")).unwrap();
        module(&wasm, &EngineConfig::default()).unwrap().1
    }

    /// A function of about `bytes`.
    fn function(bytes: usize) -> String {
        format!("(func {})", "(drop (i32.const 1))".repeat(bytes / 3))
    }

    #[test]
    fn only_large_modules_report() {
        let small = rewritten(&function(SMALL_BYTES - 200));
        assert!(small.is_lazy && small.costs.is_empty());
        let large = rewritten(&function(SMALL_BYTES + 100));
        assert!(large.is_lazy && large.costs.len() == 1 && large.costs[0] > 0);
    }

    #[test]
    fn the_smallest_functions_do_not_report() {
        let functions = function(30).repeat(250) + &function(300).repeat(250);
        let Rewritten { is_lazy, costs, .. } = rewritten(&functions);
        assert!(is_lazy);
        let (small, large) = costs.split_at(250);
        assert!(small.iter().all(|cost| *cost == 0) && large.iter().all(|cost| *cost > 0));
    }

    #[test]
    fn what_takes_long_or_may_be_refused_is_translated_at_load() {
        let large = rewritten(&(function(200_000) + &function(1_000)));
        assert!(large.is_lazy && large.large == 1 && large.costs[0] == 0);
        let branches = format!("(func (local i32) {})", "(if (local.get 0) (then))".repeat(8_000));
        assert!(!rewritten(&branches).is_lazy);
        let locals = format!("(func (local {}))", "i64 ".repeat(20_000));
        assert!(!rewritten(&locals).is_lazy);
        // Together they have too little code to report, and take long.
        let locals = format!("(func (local {}))", "i64 ".repeat(1_000));
        assert!(!rewritten(&locals.repeat(500)).is_lazy);
    }
}
