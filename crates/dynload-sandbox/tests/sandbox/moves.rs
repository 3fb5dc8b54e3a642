//! Programs that move operands around, compared with the oracle: results and fuel of a cold call, of a warm call, and of a
//! call after another export has left a pattern in the operand slots.

use dynload_oracle::{self as oracle, Oracle, Schedule, random::moves};
use dynload_sandbox::*;
use std::time::Duration;

fn programs() -> u64 {
    if std::env::var_os("DYNLOAD_PROVE").is_some() {
        20_000
    } else {
        1_000
    }
}

/// Results in a form that the oracle and the sandbox share.
fn text(values: impl IntoIterator<Item = (u32, u64)>) -> Vec<(u32, u64)> {
    values.into_iter().collect()
}

fn compare(seed: u64, options: moves::Options) {
    let wat = moves::program(seed, options);
    let what = |detail: &str| format!("seed {seed}, {options:?}: {detail}");
    let wasm = wat::parse_str(&wat).unwrap_or_else(|error| panic!("{}", what(&error.to_string())));
    println!("seed {seed}, {options:?}");
    let engine = Engine::new(EngineConfig::default().with_memory64(options.memory64));
    let module = Module::new(&engine, &wasm).unwrap_or_else(|error| panic!("{}", what(&error.to_string())));
    let sandbox = Sandbox::new(Limits::DEFAULT.with_time(Duration::from_millis(600_000)));
    for args in moves::ARGUMENTS {
        let mut reference = Oracle::new(&wasm, oracle::Imports::new(), Schedule::default()).unwrap();
        reference.instantiate(oracle::Limits::default()).unwrap();
        let wanted = reference.call(moves::RUN, &moves::arguments(args), oracle::Limits::default());
        let wanted_results = wanted.result.as_ref().ok().map(|values| {
            text(values.iter().map(|value| match value {
                oracle::Value::I32(value) => (32, *value as u32 as u64),
                oracle::Value::I64(value) => (64, *value as u64),
                other => panic!("{other:?}"),
            }))
        });
        let args = args.map(Value::I32);
        for before in [None, Some(moves::RUN), Some(moves::FILL)] {
            // A run that stores to memory changes the next run.
            if before == Some(moves::RUN) && wat.contains(".store") {
                continue;
            }
            let mut instance = sandbox.instantiate(&module).unwrap();
            if before.is_some_and(|export| instance.call(export, &args).is_err()) {
                continue;
            }
            let temperature = format!("after {before:?}");
            let found = instance.call(moves::RUN, &args);
            let fuel = instance.usage().fuel;
            let found_results = found.as_ref().ok().map(|values| {
                text(values.iter().map(|value| match value {
                    Value::I32(value) => (32, *value as u32 as u64),
                    Value::I64(value) => (64, *value as u64),
                    other => panic!("{other:?}"),
                }))
            });
            assert_eq!(found_results, wanted_results, "{}", what(&temperature));
            if found.is_ok() {
                assert_eq!(fuel, wanted.usage.fuel, "{}", what(&temperature));
            }
        }
    }
}

#[test]
fn operands_reach_their_destination() {
    for seed in 0..programs() {
        compare(seed, moves::Options::default());
    }
}

#[test]
fn operands_reach_their_destination_with_64_bit_memories() {
    let options = moves::Options {
        memory64: true,
        ..moves::Options::default()
    };
    for seed in 0..programs() / 4 {
        compare(1_000_000 + seed, options);
    }
}

#[cfg(all(feature = "simd", target_endian = "little"))]
#[test]
fn operands_reach_their_destination_with_vectors() {
    for seed in 0..programs() / 2 {
        let memory64 = seed % 4 == 0;
        compare(
            2_000_000 + seed,
            moves::Options {
                memory64,
                vectors: true,
            },
        );
    }
}
