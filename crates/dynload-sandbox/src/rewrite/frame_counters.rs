//! Emits the code that counts frames: at the entry of a function, before its calls, before its tail calls.

use super::binary::{i64_const, indexed, op};
use crate::metering::frames::{DEPTH_SHIFT, GUARDS, STACK_MASK};
use alloc::vec::Vec;

/// The indices of the hidden globals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Globals {
    pub(crate) frames: u32,
    pub(crate) refund: u32,
    pub(crate) peaks: Option<(u32, u32)>,
}

/// Adds the frame and traps beyond a limit. Stores the counters in `local`, if there is one, for the calls of this function.
///
/// A leaf function does not store them: nothing would read them.
pub(crate) fn enter(out: &mut Vec<u8>, globals: &Globals, frame: i64, local: Option<u32>) {
    let add = |out: &mut Vec<u8>| {
        indexed(out, op::GLOBAL_GET, globals.frames);
        i64_const(out, frame);
        out.push(op::I64_ADD);
    };
    // Not an `if`: the interpreter would charge for its arm, and could report the fuel limit where the frame exceeds a limit.
    out.extend([op::BLOCK, op::EMPTY]);
    add(out);
    if let Some(local) = local {
        indexed(out, op::LOCAL_TEE, local);
    }
    i64_const(out, GUARDS);
    out.push(op::I64_AND);
    out.push(op::I64_EQZ);
    indexed(out, op::BR_IF, 0);
    // For the host, which reads from the guard bits which limit was exceeded.
    match local {
        Some(local) => indexed(out, op::LOCAL_GET, local),
        None => add(out),
    }
    indexed(out, op::GLOBAL_SET, globals.frames);
    out.extend([op::UNREACHABLE, op::END]);
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
