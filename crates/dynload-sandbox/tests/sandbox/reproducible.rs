//! With a fuel limit, without TIME and with seeded entropy, the same module and arguments have the same results
//! and usage.

use crate::subject::values;
use dynload_oracle::random;
use dynload_sandbox::*;
use values::{bits, to_sandbox};

/// Everything about a run that must be reproducible. Wall time depends on the machine.
#[derive(Debug, PartialEq)]
struct Run {
    results: Vec<Result<Vec<u64>, String>>,
    fuel: Vec<u64>,
    peaks: Vec<(u64, Option<u64>, Option<u64>)>,
    output: Vec<u8>,
}

/// Runs `calls` in its own engine.
fn run(wasm: &[u8], calls: &[(String, Vec<Value>)], fuel: u64, slice: Option<u64>, seed: u64) -> Run {
    let module = Module::new(&Engine::new(EngineConfig::default().with_profile(true)), wasm).unwrap();
    let limits = Limits::DEFAULT
        .with_fuel(fuel)
        .with_time(std::time::Duration::from_secs(600));
    let mut sandbox = Sandbox::new(limits)
        .with_capabilities(Capabilities::RANDOM | Capabilities::CONSOLE)
        .with_entropy(SeededEntropy(seed));
    if let Some(slice) = slice {
        sandbox = sandbox.with_fuel_slice(slice);
    }
    let mut run = Run {
        results: Vec::new(),
        fuel: Vec::new(),
        peaks: Vec::new(),
        output: Vec::new(),
    };
    let mut instance = match sandbox.instantiate(&module) {
        Ok(instance) => instance,
        Err(error) => {
            run.results.push(Err(error.to_string()));
            return run;
        }
    };
    for (export, args) in calls {
        let result = instance.call(export, args);
        let failed = result.is_err();
        run.results.push(
            result
                .map(|values| values.iter().map(bits).collect())
                .map_err(|error| error.to_string()),
        );
        let usage = instance.usage();
        run.fuel.push(usage.fuel);
        run.peaks.push((
            usage.peak_memory_bytes,
            usage.peak_stack_bytes,
            usage.peak_call_depth,
        ));
        if failed {
            instance.reset().unwrap();
        }
    }
    run.output = instance.take_output(Stream::Out);
    run
}

#[test]
fn the_same_run_twice() {
    for seed in 0..60 {
        // With traps, and with a limit that stops about every second program.
        let program = random::program_with(
            seed,
            &random::Options {
                traps: true,
                ..random::Options::default()
            },
        );
        let calls: Vec<(String, Vec<Value>)> = program
            .calls
            .iter()
            .map(|call| (call.name.clone(), call.args.iter().map(to_sandbox).collect()))
            .collect();
        let fuel = if seed % 2 == 0 { 50_000 } else { 900 };
        let first = run(&program.wasm, &calls, fuel, None, 1);
        assert_eq!(first, run(&program.wasm, &calls, fuel, None, 1), "seed {seed}");
        // Slices depend on how fast the machine is; measurements do not. (The fuel burned by a
        // stopped call does, because code is paid for a stretch at a time.)
        let other = run(&program.wasm, &calls, fuel, Some(17), 1);
        assert_eq!(first.results, other.results, "seed {seed} in slices");
    }
}

#[test]
fn random_numbers_depend_on_the_seed() {
    let wasm = wat::parse_str(
        r#"(module (import "vais" "random" (func $random (result i64)))
            (import "vais" "random_range" (func $range (param i64 i64) (result i64)))
            (func (export "next") (result i64) (i64.add (i64.mul (call $random) (i64.const 31))
                (call $range (i64.const -5) (i64.const 1000)))))"#,
    )
    .unwrap();
    let calls = vec![("next".to_owned(), Vec::new()); 20];
    let first = run(&wasm, &calls, 100_000, None, 42);
    assert_eq!(first, run(&wasm, &calls, 100_000, None, 42));
    assert!(first.results.iter().all(Result::is_ok), "{first:?}");
    assert_ne!(
        first.results[0], first.results[1],
        "numbers differ from each other"
    );
    assert_ne!(
        first.results,
        run(&wasm, &calls, 100_000, None, 43).results,
        "and from those of another seed"
    );
}

/// Operations that return a NaN, whose bits the specification leaves to implementations. ([Wasm spec, NaN
/// propagation](https://webassembly.github.io/spec/core/exec/numerics.html#nan-propagation))
#[cfg(feature = "deterministic")]
#[test]
fn every_nan_is_canonical() {
    const OPERATIONS: [&str; 14] = [
        "(f64.div (f64.const 0) (local.get 0))",
        "(f64.sqrt (f64.const -1))",
        "(f64.add (local.get 0) (local.get 1))",
        "(f64.sub (local.get 0) (local.get 1))",
        "(f64.mul (local.get 1) (local.get 0))",
        "(f64.min (local.get 0) (local.get 1))",
        "(f64.max (local.get 1) (local.get 0))",
        "(f64.ceil (local.get 1))",
        "(f64.floor (local.get 1))",
        "(f64.trunc (local.get 1))",
        "(f64.nearest (local.get 1))",
        "(f64.promote_f32 (f32.demote_f64 (local.get 1)))",
        "(f64.sub (f64.const inf) (f64.const inf))",
        "(f64.mul (f64.const inf) (local.get 0))",
    ];
    let nans = [
        f64::NAN.to_bits(),
        0xfff8_0000_0000_0000,
        0x7ff8_0000_0000_0001,
        0x7ff0_0000_dead_beef,
    ];
    for operation in OPERATIONS {
        let wat = format!(r#"(module (func (export "run") (param f64 f64) (result f64) {operation}))"#);
        let wasm = wat::parse_str(&wat).unwrap();
        for nan in nans {
            let args = vec![Value::F64(0.0), Value::F64(f64::from_bits(nan))];
            let found = run(&wasm, &[("run".to_owned(), args)], 1_000, None, 1);
            assert_eq!(
                found.results,
                [Ok(vec![0x7ff8_0000_0000_0000])],
                "{operation} of {nan:#x}"
            );
        }
    }
}
