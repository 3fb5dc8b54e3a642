//! Callbacks that the library calls and that call back into it.

use std::sync::atomic::Ordering;

use dynload_ffi::abi::*;
use dynload_ffi::flat::*;

use crate::step;
use crate::world::{Dice, World, number};

/// A host function.
pub(crate) unsafe extern "C" fn callback(
    userdata: i64,
    instance: i64,
    args: *const i64,
    nargs: i64,
    results: *mut i64,
    nresults: i64,
) -> i64 {
    // SAFETY: the world outlives the test's threads, and these are the arrays of a host function.
    unsafe {
        let world = &*(userdata as *const World);
        world.called_back.fetch_add(1, Ordering::Relaxed);
        let inst = WasmInstance {
            handle: instance,
            sandbox: 0,
        };
        let mut sum = 1;
        for n in 0..nargs as usize {
            sum ^= *args.add(n);
        }
        // Calls back into the guest, then accesses its memory, then calls random functions.
        let mut dice = Dice(sum as u64 | 1);
        wasm_call1(inst, c"inner".as_ptr() as i64, sum);
        let mut buffer = [0_u8; 8];
        wasm_memory_read(inst, number(&mut dice), buffer.as_mut_ptr() as i64, 8);
        for _ in 0..dice.below(4) {
            step(world, &mut dice, true);
        }
        for n in 0..nresults as usize {
            *results.add(n) = sum;
        }
        i64::from(dice.below(8) == 0)
    }
}

/// A console.
pub(crate) unsafe extern "C" fn console(userdata: i64, _stream: i64, bytes: *const u8, len: i64) {
    // SAFETY: the world outlives the test's threads, and these are the bytes of the guest.
    let (world, bytes) = unsafe {
        (
            &*(userdata as *const World),
            std::slice::from_raw_parts(bytes, len as usize),
        )
    };
    let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
    step(world, &mut Dice(sum | 1), true);
}
