//! Prints the fuel that each guest burns: `cargo run -p dynload-oracle --example guest_fuel [small | large]`.

use std::time::Instant;

use dynload_oracle::{Imports, Limits, Oracle, Schedule, Value, guests};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let large = std::env::args().nth(1).is_some_and(|size| size == "large");
    for guest in guests::ALL {
        let wasm = guests::wasm(guest.name)?;
        let mut oracle = Oracle::new(&wasm, Imports::new(), Schedule::default())?;
        oracle.instantiate(Limits::default())?;
        let argument = if large { guest.large } else { guest.small };
        let start = Instant::now();
        let outcome = oracle.call("run", &[Value::I32(argument)], Limits::default());
        println!(
            "{}({argument}): {:?}, {:?}, {:?}",
            guest.name,
            outcome.result,
            outcome.usage,
            start.elapsed()
        );
    }
    Ok(())
}
