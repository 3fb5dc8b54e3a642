//! Emits the code that counts frames: at the entry of a function, before its calls, before its tail calls.

use super::{
    binary::{i64_const, indexed, op},
    first_use::Report,
};
use crate::metering::frames::{DEPTH_SHIFT, GUARDS, LAZY, STACK_MASK};
use alloc::vec::Vec;

/// The indices of the hidden globals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Globals {
    pub(crate) frames: u32,
    pub(crate) refund: u32,
    pub(crate) peaks: Option<(u32, u32)>,
}

impl Globals {
    /// Returns their number.
    pub(crate) fn count(&self) -> u32 {
        if self.peaks.is_some() { 4 } else { 2 }
    }
}

/// Adds the frame and traps beyond a limit. Stores the counters in `local`, if there is one, for the calls of this function.
///
/// A leaf function does not store them: nothing would read them. A function with a `report` calls the `host` before its first
/// use, unless a limit is exceeded.
pub(crate) fn enter(
    out: &mut Vec<u8>,
    globals: &Globals,
    frame: i64,
    local: Option<u32>,
    report: Option<Report>,
    host: (u32, u32),
) {
    let add = |out: &mut Vec<u8>| {
        indexed(out, op::GLOBAL_GET, globals.frames);
        i64_const(out, frame);
        out.push(op::I64_ADD);
    };
    let sum = |out: &mut Vec<u8>| match local {
        Some(local) => indexed(out, op::LOCAL_GET, local),
        None => add(out),
    };
    let branch_if_zero = |out: &mut Vec<u8>, mask: i64, label: u32| {
        i64_const(out, mask);
        out.extend([op::I64_AND, op::I64_EQZ]);
        indexed(out, op::BR_IF, label);
    };
    // Not an `if`: the interpreter would charge for its arm, and could report the fuel limit where the frame exceeds a limit.
    out.extend([op::BLOCK, op::EMPTY]);
    if report.is_some() {
        out.extend([op::BLOCK, op::EMPTY]);
    }
    add(out);
    if let Some(local) = local {
        indexed(out, op::LOCAL_TEE, local);
    }
    if report.is_some() {
        branch_if_zero(out, GUARDS | LAZY as i64, 1);
        sum(out);
    }
    branch_if_zero(out, GUARDS, 0);
    // For the host, which reads from the guard bits which limit was exceeded.
    sum(out);
    indexed(out, op::GLOBAL_SET, globals.frames);
    out.extend([op::UNREACHABLE, op::END]);
    if let Some(report) = report {
        report.leave_if_used(out);
        report.report(host, out);
        out.push(op::END);
    }
    if let (Some((stack, depth)), Some(local)) = (globals.peaks, local) {
        peak(out, stack, |out| {
            indexed(out, op::LOCAL_GET, local);
            i64_const(out, STACK_MASK as i64);
            out.push(op::I64_AND);
        });
        peak(out, depth, |out| {
            indexed(out, op::LOCAL_GET, local);
            i64_const(out, i64::from(DEPTH_SHIFT));
            out.push(op::I64_SHR_U);
        });
    }
}

/// Raises the global to the value, if that is larger. Without a branch, which would have to be charged.
fn peak(out: &mut Vec<u8>, global: u32, value: impl Fn(&mut Vec<u8>)) {
    value(out);
    indexed(out, op::GLOBAL_GET, global);
    value(out);
    indexed(out, op::GLOBAL_GET, global);
    out.extend([op::I64_GT_U, op::SELECT]);
    indexed(out, op::GLOBAL_SET, global);
}

/// Stores the counters for the function that is called next.
pub(crate) fn before_call(out: &mut Vec<u8>, globals: &Globals, local: u32) {
    indexed(out, op::LOCAL_GET, local);
    indexed(out, op::GLOBAL_SET, globals.frames);
}

/// Subtracts the function's own frame before a tail call replaces it.
pub(crate) fn before_tail_call(out: &mut Vec<u8>, globals: &Globals, frame: i64, local: u32) {
    indexed(out, op::LOCAL_GET, local);
    i64_const(out, -frame);
    out.push(op::I64_ADD);
    indexed(out, op::GLOBAL_SET, globals.frames);
}

/// Counts one unit of fuel that the interpreter charges although the cost is 0.
pub(crate) fn refund(out: &mut Vec<u8>, globals: &Globals) {
    indexed(out, op::GLOBAL_GET, globals.refund);
    i64_const(out, 1);
    out.push(op::I64_ADD);
    indexed(out, op::GLOBAL_SET, globals.refund);
}
