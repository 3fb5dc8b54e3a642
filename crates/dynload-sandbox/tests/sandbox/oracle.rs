//! The meter, compared with an interpreter that counts differently and shares no code with it.

use crate::subject::{sandbox as subject, values};
use dynload_oracle::{self as oracle, Oracle, Schedule, random};
use dynload_sandbox::*;
use subject::{sandbox, wide};
use values::{bits, to_sandbox};

/// The number of random programs: few by default, many with `DYNLOAD_PROVE=1`.
fn programs() -> u64 {
    if std::env::var_os("DYNLOAD_PROVE").is_some() {
        20_000
    } else {
        400
    }
}

/// Half of the programs report first uses, as those of large modules do.
fn engine(wasm: &[u8]) -> Engine {
    let translation = if wasm.len().is_multiple_of(2) {
        Translation::OnFirstUse
    } else {
        Translation::OnReportedFirstUse
    };
    Engine::new(
        EngineConfig::default()
            .with_profile(true)
            .with_translation(translation),
    )
}

/// Runs a program's calls on both and compares results and usage; if `tight`, then runs the first call at L and L-1.
fn compare(name: &str, wasm: &[u8], calls: &[random::Call], tight: bool) {
    let mut reference = Oracle::new(wasm, random::imports(), Schedule::default()).unwrap();
    let instantiated = reference.instantiate(oracle::Limits::default());
    let module = Module::new(&engine(wasm), wasm).unwrap_or_else(|error| panic!("{name}: {error}"));
    let Ok(instantiated) = instantiated else {
        assert!(
            sandbox(wide(), None).instantiate(&module).is_err(),
            "{name}: instantiation"
        );
        return;
    };
    for slice in [None, Some(1), Some(7), Some(1_000), Some(1_000_000)] {
        let mut instance = sandbox(wide(), slice).instantiate(&module).unwrap();
        assert_eq!(instance.usage().fuel, instantiated.fuel, "{name}: instantiation");
        if slice.is_some() && !tight {
            break;
        }
        let mut again = Oracle::new(wasm, random::imports(), Schedule::default()).unwrap();
        again.instantiate(oracle::Limits::default()).unwrap();
        for call in calls {
            let wanted = again.call(&call.name, &call.args, oracle::Limits::default());
            let args: Vec<Value> = call.args.iter().map(to_sandbox).collect();
            let found = instance.call(&call.name, &args);
            let usage = instance.usage();
            let what = format!("{name}: {}({:?}) in slices of {slice:?}", call.name, call.args);
            match (&wanted.result, &found) {
                (Ok(wanted), Ok(found)) => {
                    let wanted: Vec<u64> = wanted.iter().map(|value| bits(&to_sandbox(value))).collect();
                    assert_eq!(
                        found.iter().map(bits).collect::<Vec<_>>(),
                        wanted,
                        "{what}: results"
                    );
                }
                (Err(_), Err(_)) => break,
                _ => panic!("{what}: {:?} against {found:?}", wanted.result),
            }
            assert_eq!(usage.fuel, wanted.usage.fuel, "{what}: fuel");
            assert_eq!(
                usage.peak_call_depth,
                Some(wanted.usage.peak_call_depth),
                "{what}: depth"
            );
            assert_eq!(
                usage.peak_stack_bytes,
                Some(wanted.usage.peak_stack_bytes),
                "{what}: stack"
            );
            assert_eq!(
                usage.peak_memory_bytes, wanted.usage.peak_memory_bytes,
                "{what}: memory"
            );
        }
    }
    if tight {
        tightness(name, wasm, &module, calls);
    }
}

/// A limit of what the first call needs lets it finish; one less stops it, and the error names that limit.
fn tightness(name: &str, wasm: &[u8], module: &Module, calls: &[random::Call]) {
    let Some(call) = calls.first() else { return };
    let mut reference = Oracle::new(wasm, random::imports(), Schedule::default()).unwrap();
    let start = reference.instantiate(oracle::Limits::default()).unwrap();
    let wanted = reference.call(&call.name, &call.args, oracle::Limits::default());
    if wanted.result.is_err() {
        return;
    }
    let args: Vec<Value> = call.args.iter().map(to_sandbox).collect();
    let used = wanted.usage;
    let cases = [
        (Limit::Fuel, used.fuel, start.fuel),
        (Limit::CallDepth, used.peak_call_depth, start.peak_call_depth),
        (Limit::Stack, used.peak_stack_bytes, start.peak_stack_bytes),
    ];
    for (limit, needed, at_start) in cases {
        // If instantiation needs more, the call never reaches its limit.
        if needed == 0 || at_start >= needed {
            continue;
        }
        for slice in [None, Some(1), Some(7), Some(1_000), Some(1_000_000)] {
            // A call that is stopped at every operator takes a long time.
            if used.fuel > 20_000 && slice.is_some_and(|slice| slice < 1_000) && programs() < 1_000 {
                continue;
            }
            for (value, fits) in [(needed, true), (needed - 1, false)] {
                let limits = match limit {
                    Limit::Fuel => wide().with_fuel(value),
                    Limit::CallDepth => wide().with_call_depth(value),
                    _ => wide().with_stack_bytes(value),
                };
                let mut instance = sandbox(limits, slice).instantiate(module).unwrap();
                for temperature in ["cold", "warm"] {
                    let result = instance.call(&call.name, &args);
                    let found = result.as_ref().err().and_then(|error| error.limit());
                    let expected = (!fits).then_some(limit);
                    let what = format!("{name}: {} with {limit} {value}, slices of {slice:?}", call.name);
                    assert_eq!(found, expected, "{what}, {temperature}: {result:?}");
                    if let Err(error) = result
                        && let ErrorKind::LimitExceeded { value: named, .. } = error.kind()
                    {
                        assert_eq!(*named, value, "{name}: the error names the limit's value");
                    }
                    instance.reset().unwrap();
                }
            }
        }
    }
    memory_is_tight(name, wasm, module, call, used.peak_memory_bytes);
    if start.fuel == 0 {
        two_limits(name, wasm, module, call, &used);
    }
}

/// Of two limits that are each one too low, the error names the one that is exceeded first.
fn two_limits(name: &str, wasm: &[u8], module: &Module, call: &random::Call, used: &oracle::Usage) {
    let args: Vec<Value> = call.args.iter().map(to_sandbox).collect();
    let (fuel, depth, stack) = (used.fuel, used.peak_call_depth, used.peak_stack_bytes);
    for (fuel, depth, stack) in [
        (fuel - 1, depth - 1, stack),
        (fuel, depth - 1, stack),
        (fuel - 1, depth, stack.saturating_sub(1)),
        (fuel, depth, stack.saturating_sub(1)),
        (fuel, depth - 1, stack.saturating_sub(1)),
        (fuel - 1, depth - 1, stack.saturating_sub(1)),
        (fuel + 1, depth - 1, stack),
    ] {
        let bounded = oracle::Limits {
            fuel: Some(fuel),
            call_depth: Some(depth),
            stack_bytes: Some(stack),
            ..oracle::Limits::default()
        };
        let mut reference = Oracle::new(wasm, random::imports(), Schedule::default()).unwrap();
        if reference.instantiate(bounded).is_err() {
            continue;
        }
        let wanted = match reference.call(&call.name, &call.args, bounded).result {
            Err(oracle::Trap::OutOfFuel) => Some(Limit::Fuel),
            Err(oracle::Trap::CallDepth) => Some(Limit::CallDepth),
            Err(oracle::Trap::StackBytes) => Some(Limit::Stack),
            Err(other) => panic!("{name}: {other:?}"),
            Ok(_) => None,
        };
        let limits = wide()
            .with_fuel(fuel)
            .with_call_depth(depth)
            .with_stack_bytes(stack);
        for slice in [None, Some(7)] {
            let mut instance = sandbox(limits, slice).instantiate(module).unwrap();
            let found = instance.call(&call.name, &args);
            let found = found.as_ref().err().and_then(|error| error.limit());
            let what = format!(
                "{name}: {} with {fuel} fuel, {depth} frames, {stack} bytes",
                call.name
            );
            assert_eq!(found, wanted, "{what}");
        }
    }
}

/// With the memory that a call needs, it behaves as before; with a byte less, it behaves as the oracle does
/// with a byte less: it is not instantiated, or a growth returns -1.
fn memory_is_tight(name: &str, wasm: &[u8], module: &Module, call: &random::Call, needed: u64) {
    let args: Vec<Value> = call.args.iter().map(to_sandbox).collect();
    for limit in [Some(needed), needed.checked_sub(1)].into_iter().flatten() {
        let bounded = oracle::Limits {
            memory_bytes: Some(limit),
            ..oracle::Limits::default()
        };
        let mut reference = Oracle::new(wasm, random::imports(), Schedule::default()).unwrap();
        let instantiated = reference.instantiate(bounded);
        let instance = sandbox(wide().with_memory_bytes(limit), None).instantiate(module);
        let what = format!("{name}: {} with {limit} of {needed} bytes", call.name);
        let mut instance = match (instantiated, instance) {
            (Ok(_), Ok(instance)) => instance,
            (Err(_), Err(error)) => {
                assert_eq!(error.limit(), Some(Limit::Memory), "{what}: {error}");
                continue;
            }
            (oracle, sandbox) => panic!("{what}: {oracle:?} against {:?}", sandbox.map(|_| ())),
        };
        let wanted = reference.call(&call.name, &call.args, bounded);
        let found = instance.call(&call.name, &args);
        let usage = instance.usage();
        assert!(usage.peak_memory_bytes <= limit, "{what}: {usage:?}");
        match (&wanted.result, &found) {
            (Ok(wanted), Ok(found)) => {
                let wanted: Vec<u64> = wanted.iter().map(|value| bits(&to_sandbox(value))).collect();
                assert_eq!(
                    found.iter().map(bits).collect::<Vec<_>>(),
                    wanted,
                    "{what}: results"
                );
            }
            (Err(_), Err(_)) => continue,
            (oracle, sandbox) => panic!("{what}: {oracle:?} against {sandbox:?}"),
        }
        assert_eq!(usage.fuel, wanted.usage.fuel, "{what}: fuel");
        assert_eq!(
            usage.peak_memory_bytes, wanted.usage.peak_memory_bytes,
            "{what}: memory"
        );
    }
}

#[test]
fn random_programs_use_what_the_oracle_counts() {
    for seed in 0..programs() {
        let program = random::program(seed);
        compare(
            &format!("seed {seed}"),
            &program.wasm,
            &program.calls,
            seed % 8 == 0,
        );
    }
}

#[test]
fn random_programs_with_host_functions_that_call_back() {
    for seed in 0..programs() / 2 {
        let options = random::Options {
            imports: true,
            two_memories: true,
            ..random::Options::default()
        };
        let program = random::program_with(seed, &options);
        compare(
            &format!("host seed {seed}"),
            &program.wasm,
            &program.calls,
            seed % 8 == 0,
        );
    }
}

#[test]
fn real_programs_use_what_the_oracle_counts() {
    for guest in oracle::guests::ALL {
        let wasm = oracle::guests::wasm(guest.name).unwrap();
        let call = random::Call {
            name: "run".into(),
            args: vec![oracle::Value::I32(guest.small)],
        };
        compare(guest.name, &wasm, &[call.clone(), call], true);
    }
}

#[test]
fn a_trap_is_a_trap_on_both() {
    for seed in 0..programs() {
        let options = random::Options {
            traps: true,
            ..random::Options::default()
        };
        let program = random::program_with(seed, &options);
        compare(&format!("trap seed {seed}"), &program.wasm, &program.calls, false);
    }
}

#[cfg(all(feature = "simd", target_endian = "little"))]
#[test]
fn random_programs_with_vectors() {
    let mut called = 0;
    for seed in 0..programs() {
        let options = random::Options {
            vectors: true,
            ..random::Options::default()
        };
        let program = random::program_with(seed, &options);
        let module = Module::new(&engine(&program.wasm), &program.wasm).unwrap();
        // A vector does not cross the boundary; inside, vectors are everywhere.
        let callable = |name: &str| {
            let signature = module
                .exports()
                .find(|export| export.name == name)
                .and_then(|export| export.ty.func().cloned());
            signature.is_some_and(|signature| signature.is_callable())
        };
        let calls: Vec<random::Call> = program
            .calls
            .iter()
            .filter(|call| callable(&call.name))
            .cloned()
            .collect();
        called += calls.len();
        compare(
            &format!("vector seed {seed}"),
            &program.wasm,
            &calls,
            seed % 8 == 0,
        );
    }
    assert!(called as u64 > programs() / 4, "only {called} calls");
}

/// A call of two frames and four fuel: the cost of the meter's own code used to be reported as the fuel limit.
#[test]
fn the_limit_that_is_exceeded_first_is_named() {
    let wasm = wat::parse_str(
        r#"(module (func $g (result i32) (i32.const 7)) (func (export "f") (result i32) (call $g)))"#,
    )
    .unwrap();
    let module = Module::new(&engine(&wasm), wasm).unwrap();
    for (fuel, depth, limit) in [
        (4, 2, None),
        (4, 1, Some(Limit::CallDepth)),
        (5, 1, Some(Limit::CallDepth)),
        (3, 1, Some(Limit::CallDepth)),
        (3, 2, Some(Limit::Fuel)),
        (1, 1, Some(Limit::Fuel)),
    ] {
        let limits = wide().with_fuel(fuel).with_call_depth(depth);
        let mut instance = sandbox(limits, None).instantiate(&module).unwrap();
        let found = instance.call("f", &[]);
        let found = found.as_ref().err().and_then(|error| error.limit());
        assert_eq!(found, limit, "{fuel} fuel, {depth} frames");
    }
}

/// At instantiation, memories come before segments.
#[test]
fn the_memory_limit_is_named_before_the_fuel_limit() {
    let wasm = wat::parse_str(r#"(module (memory 1) (data (i32.const 0) "x"))"#).unwrap();
    let module = Module::new(&engine(&wasm), wasm).unwrap();
    for (memory, fuel, limit) in [
        (65_536, 1, None),
        (65_535, 1, Some(Limit::Memory)),
        (65_535, 0, Some(Limit::Memory)),
        (65_536, 0, Some(Limit::Fuel)),
    ] {
        let limits = wide().with_fuel(fuel).with_memory_bytes(memory);
        let found = sandbox(limits, None).instantiate(&module);
        let found = found.as_ref().err().and_then(|error| error.limit());
        assert_eq!(found, limit, "{memory} bytes, {fuel} fuel");
    }
}

// wasmi 2.0.0 loses values that a `br_table` carries: two programs that showed it.
#[test]
fn a_br_table_keeps_the_values_that_it_carries() {
    let program = random::program(9849);
    compare("seed 9849", &program.wasm, &program.calls, false);
    let options = random::Options {
        imports: true,
        two_memories: true,
        ..random::Options::default()
    };
    let program = random::program_with(8699, &options);
    compare("host seed 8699", &program.wasm, &program.calls, false);
}
