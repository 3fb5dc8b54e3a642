//! Single operations in a loop, and guests that repeat a single operation.

use std::hint::black_box;

use dynload_bench_modules as modules;

use super::Found;
use super::programs::{self, Workload};
use crate::engines::{RUNNERS, WASMI};
use crate::race::Race;
use crate::{Effort, Outcome};

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let indirect = modules::indirect_calls(16);
    let workloads: [(&str, &str, i32); 3] = [
        ("a call through a table", &indirect, 500_000),
        ("a call of the host", modules::HOST_CALLS, 100_000),
        ("growing memory by a page", modules::growing(), 500),
    ];
    let mut found = Found::default();
    for (what, text, times) in workloads {
        let wasm = modules::assemble(text);
        let mut race = Race::new(what);
        // Memory cannot shrink, so each turn needs its own instance. Where loading takes longer than all the growth, the result
        // would be meaningless.
        let fresh = text == modules::growing();
        for runner in RUNNERS
            .iter()
            .filter(|runner| !fresh || !runner.name.starts_with("Wasmtime"))
        {
            let mut program = Some((runner.load)(&wasm)?);
            let wasm = &wasm;
            race = race.side(runner.name, times.unsigned_abs(), move || {
                let mut run = program
                    .take()
                    .or_else(|| (runner.load)(wasm).ok())
                    .expect("it loads");
                black_box(run(times).expect("it runs"));
                if !fresh {
                    program = Some(run);
                }
            });
        }
        found.rows.extend(race.run(effort.of(11, 3), WASMI));
    }
    for guest in modules::GUESTS.iter().filter(|guest| guest.language == "wat") {
        let workload = Workload {
            name: guest.name,
            wasm: modules::guest(guest.name)?,
            argument: guest.large,
        };
        found.rows.extend(programs::run(effort, &workload));
    }
    Ok(found)
}
