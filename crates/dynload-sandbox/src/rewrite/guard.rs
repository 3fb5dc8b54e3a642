//! The code that counts frames: at a function's entry, before its calls, before its tail calls.

use super::binary::{i64_const, indexed, op};
use crate::frames::{FRAME, GUARDS, MAX};
use alloc::vec::Vec;

/// Indices of hidden globals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Globals {
    pub(crate) frames: u32,
    pub(crate) refund: u32,
    pub(crate) peaks: Option<(u32, u32)>,
}

/// What a frame of `bytes` adds to the counters.
pub(crate) fn constant(bytes: u64) -> i64 {
    // A frame larger than the counter holds exceeds every limit, as it should.
    FRAME + bytes.min(MAX + 1) as i64
}

/// Adds the frame and traps beyond a limit. With `local`, keeps the counters there for the calls of this function.
///
/// A function that calls nothing leaves the counters alone: nobody would see them.
pub(crate) fn enter(out: &mut Vec<u8>, globals: &Globals, frame: i64, local: Option<u32>) {
    let add = |out: &mut Vec<u8>| {
        indexed(out, op::GLOBAL_GET, globals.frames);
        i64_const(out, frame);
        out.push(op::I64_ADD);
    };
    // Not an `if`: the interpreter would charge for its arm, and name the fuel where it is the frame that is too much.
    out.extend([op::BLOCK, op::EMPTY]);
    add(out);
    if let Some(local) = local {
        indexed(out, op::LOCAL_TEE, local);
    }
    i64_const(out, GUARDS);
    out.push(op::I64_AND);
    out.push(op::I64_EQZ);
    indexed(out, op::BR_IF, 0);
    // Left for the host, which reads from the guard bits which limit it was.
    match local {
        Some(local) => indexed(out, op::LOCAL_GET, local),
        None => add(out),
    }
    indexed(out, op::GLOBAL_SET, globals.frames);
    out.extend([op::UNREACHABLE, op::END]);
    if let (Some((stack, depth)), Some(local)) = (globals.peaks, local) {
        peak(out, stack, |out| {
            indexed(out, op::LOCAL_GET, local);
            i64_const(out, i64::from(u32::MAX));
            out.push(op::I64_AND);
        });
        peak(out, depth, |out| {
            indexed(out, op::LOCAL_GET, local);
            i64_const(out, 32);
            out.push(op::I64_SHR_U);
        });
    }
}

/// Raises the global to the value, if that is more. Without a branch: a branch would be a site.
fn peak(out: &mut Vec<u8>, global: u32, value: impl Fn(&mut Vec<u8>)) {
    value(out);
    indexed(out, op::GLOBAL_GET, global);
    value(out);
    indexed(out, op::GLOBAL_GET, global);
    out.extend([op::I64_GT_U, op::SELECT]);
    indexed(out, op::GLOBAL_SET, global);
}

/// Shows the frames that are alive to a function that is about to be called.
pub(crate) fn before_call(out: &mut Vec<u8>, globals: &Globals, local: u32) {
    indexed(out, op::LOCAL_GET, local);
    indexed(out, op::GLOBAL_SET, globals.frames);
}

/// Takes the own frame away before a tail call takes its place.
pub(crate) fn before_tail_call(out: &mut Vec<u8>, globals: &Globals, frame: i64, local: u32) {
    indexed(out, op::LOCAL_GET, local);
    i64_const(out, -frame);
    out.push(op::I64_ADD);
    indexed(out, op::GLOBAL_SET, globals.frames);
}

/// Notes one unit of fuel that the interpreter charges for nothing.
pub(crate) fn refund(out: &mut Vec<u8>, globals: &Globals) {
    indexed(out, op::GLOBAL_GET, globals.refund);
    i64_const(out, 1);
    out.push(op::I64_ADD);
    indexed(out, op::GLOBAL_SET, globals.refund);
}
