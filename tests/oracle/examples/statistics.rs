//! Prints statistics of random programs: `cargo run -p dynload-oracle --example statistics [programs]`.

use dynload_oracle::random::{self, Options};
use dynload_oracle::{Imports, Limits, Oracle, Schedule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(1000), |n| n.parse())?;
    let (mut fuel, mut steps, mut bytes, mut depth, mut surcharge) = (vec![], vec![], vec![], vec![], vec![]);
    for seed in 0..count {
        let program = random::program_with(seed, &Options::default());
        let mut oracle = Oracle::new(&program.wasm, Imports::new(), Schedule::default())?;
        oracle.instantiate(Limits::default())?;
        bytes.push(program.wasm.len() as u64);
        for call in &program.calls {
            let usage = oracle.call(&call.name, &call.args, Limits::default()).usage;
            fuel.push(usage.fuel);
            steps.push(usage.steps);
            depth.push(usage.peak_call_depth);
            surcharge.push(usage.surcharge);
        }
    }
    for (what, mut list) in [
        ("fuel", fuel),
        ("steps", steps),
        ("module bytes", bytes),
        ("depth", depth),
        ("surcharge", surcharge),
    ] {
        list.sort_unstable();
        let at = |percent: usize| list[(list.len() - 1) * percent / 100];
        println!(
            "{what}: 10% {} 50% {} 90% {} 99% {} most {}",
            at(10),
            at(50),
            at(90),
            at(99),
            at(100)
        );
    }
    Ok(())
}
