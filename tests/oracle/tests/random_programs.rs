//! The generator's guarantees: programs are valid, terminate, need no import, do not trap, compute no NaN, and do enough work.

use dynload_oracle::random::{self, Options};
use dynload_oracle::{Imports, Limits, Oracle, Schedule, Trap};

fn limits() -> Limits {
    Limits {
        steps: Some(20_000_000),
        ..Limits::default()
    }
}

#[track_caller]
fn check(seed: u64, options: &Options) -> u64 {
    let program = random::program_with(seed, options);
    let imports = if options.imports {
        random::imports()
    } else {
        Imports::new()
    };
    let mut oracle = Oracle::new(&program.wasm, imports, Schedule::default())
        .unwrap_or_else(|error| panic!("seed {seed} is not valid: {error:?}"));
    let trapped = |trap: &Trap| panic!("seed {seed} trapped: {trap:?}");
    match oracle.instantiate(limits()) {
        Ok(_) => {}
        Err(error) if options.traps => assert!(!matches!(error, dynload_oracle::Error::Invalid(_))),
        Err(error) => panic!("seed {seed} does not instantiate: {error:?}"),
    }
    let mut fuel = 0;
    for call in &program.calls {
        let outcome = oracle.call(&call.name, &call.args, limits());
        match &outcome.result {
            Ok(results) => assert!(
                !results.iter().any(|value| value.is_nan()),
                "seed {seed} returned a NaN"
            ),
            Err(Trap::StepCap) => panic!("seed {seed} does not terminate"),
            Err(trap) if !options.traps => trapped(trap),
            Err(_) => {}
        }
        fuel += outcome.usage.fuel;
    }
    fuel
}

#[test]
fn programs_with_all_features_are_valid_and_terminate() {
    let options = Options {
        imports: true,
        tail_calls: true,
        bulk: true,
        vectors: true,
        two_memories: true,
        traps: true,
        size: 400,
    };
    for seed in 0..500 {
        check(seed, &options);
    }
}

#[test]
fn programs_with_no_optional_features_are_valid_and_terminate() {
    let options = Options {
        tail_calls: false,
        bulk: false,
        size: 30,
        ..Options::default()
    };
    for seed in 0..500 {
        check(seed, &options);
    }
}

#[test]
fn programs_from_arbitrary_bytes_are_valid() {
    for seed in 0..300_u64 {
        // A fuzzer starts with few bytes, which are far from random.
        let bytes: Vec<u8> = (0..seed * 7).map(|i| ((i * (seed + 1)) >> 3) as u8).collect();
        let program = random::program_from(&bytes, &Options::default());
        let mut oracle = Oracle::new(&program.wasm, Imports::new(), Schedule::default())
            .unwrap_or_else(|error| panic!("the program from the bytes of {seed} is not valid: {error:?}"));
        oracle.instantiate(limits()).expect("the program instantiates");
        for call in &program.calls {
            let outcome = oracle.call(&call.name, &call.args, limits());
            assert!(outcome.result.is_ok(), "bytes of {seed}: {outcome:?}");
        }
    }
}

#[test]
fn the_same_seed_produces_the_same_program() {
    assert_eq!(random::program(77), random::program(77));
    assert_ne!(random::program(77).wasm, random::program(78).wasm);
}

/// A call succeeds with limits equal to its reported usage, and fails with any of them reduced by one.
#[test]
fn limits_are_tight() {
    let mut stopped = [0; 3];
    for seed in 0..150 {
        let program = random::program(seed);
        let call = &program.calls[0];
        let run = |limits: Limits| {
            let mut oracle = Oracle::new(&program.wasm, Imports::new(), Schedule::default()).expect("valid");
            oracle
                .instantiate(Limits::default())
                .expect("the program instantiates");
            oracle.call(&call.name, &call.args, limits)
        };
        let free = run(Limits::default());
        let usage = free.usage;
        let exact = Limits {
            fuel: Some(usage.fuel),
            call_depth: Some(usage.peak_call_depth),
            stack_bytes: Some(usage.peak_stack_bytes),
            memory_bytes: None,
            steps: Some(usage.steps),
        };
        assert_eq!(run(exact), free, "seed {seed}");
        let short = [
            (
                Limits {
                    fuel: Some(usage.fuel - 1),
                    ..exact
                },
                Trap::OutOfFuel,
            ),
            (
                Limits {
                    call_depth: Some(usage.peak_call_depth - 1),
                    ..exact
                },
                Trap::CallDepth,
            ),
            (
                Limits {
                    stack_bytes: Some(usage.peak_stack_bytes - 1),
                    ..exact
                },
                Trap::StackBytes,
            ),
        ];
        for (count, (limits, trap)) in stopped.iter_mut().zip(short) {
            assert_eq!(run(limits).result, Err(trap), "seed {seed}");
            *count += 1;
        }
    }
    assert_eq!(stopped, [150; 3]);
}

#[test]
fn default_programs_are_valid_and_terminate() {
    let fuel: Vec<u64> = (0..1500).map(|seed| check(seed, &Options::default())).collect();
    let busy = fuel.iter().filter(|fuel| **fuel > 500).count();
    assert!(busy > 500, "only {busy} programs burn more than 500 fuel");
}
