//! Granting and revoking.

use std::hint::black_box;

use dynload_ffi::flat::{sandbox_destroy, sandbox_grant, sandbox_new, sandbox_revoke};
use dynload_sandbox::Capabilities;

use super::Found;
use crate::engines::{DYNLOAD, dynload};
use crate::race::Race;
use crate::{Effort, Outcome};

const TIMES: u32 = 100_000;

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let sandbox = dynload::sandbox();
    let flat = sandbox_new();
    let time = Capabilities::TIME.bits() as i64;
    let rows = Race::new("grant and revoke")
        .side(DYNLOAD, TIMES, || {
            for _ in 0..TIMES {
                black_box(&sandbox).grant(Capabilities::TIME);
                black_box(&sandbox).revoke(Capabilities::TIME);
            }
        })
        .side("dynload-ffi", TIMES, || {
            for _ in 0..TIMES {
                black_box(sandbox_grant(black_box(flat), time));
                black_box(sandbox_revoke(black_box(flat), time));
            }
        })
        .run(effort.of(15, 5), DYNLOAD);
    sandbox_destroy(flat);
    Ok(Found { rows, curves: vec![] })
}
