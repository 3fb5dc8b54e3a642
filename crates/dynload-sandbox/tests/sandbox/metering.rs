//! Readings of the meter, on programs small enough to count by hand: every row of the schedule, frames, memory.
//!
//! Each program runs cold and warm, in slices of several sizes, with and without profiling, with each kind of translation,
//! and at a limit of exactly what it needs and of one less.

use crate::subject::sandbox::configs;
use dynload_sandbox::*;

const SLICES: [Option<u64>; 5] = [None, Some(1), Some(7), Some(1_000), Some(1_000_000)];

fn module(config: EngineConfig, wat: &str) -> Module {
    let engine = Engine::new(config);
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
    Module::new(&engine, wasm).unwrap_or_else(|error| panic!("{error}: {wat}"))
}

/// A sandbox with the host functions of the programs below.
fn sandbox(limits: Limits, slice: Option<u64>) -> Sandbox {
    let mut sandbox = Sandbox::new(limits);
    sandbox.func_wrap("env", "nothing", Capabilities::NONE, |_, ()| Ok(()));
    sandbox.func_wrap(
        "env",
        "bytes",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, (bytes,): (i32,)| caller.charge_bytes(bytes as u64),
    );
    sandbox.func_wrap(
        "env",
        "charge",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, (fuel,): (i32,)| caller.charge(fuel as u64),
    );
    sandbox.func_wrap(
        "env",
        "back",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, ()| caller.call("back", &[]).map(|_| ()),
    );
    match slice {
        Some(slice) => sandbox.with_fuel_slice(slice),
        None => sandbox,
    }
}

fn arguments(args: &[i32]) -> Vec<Value> {
    args.iter().map(|arg| Value::I32(*arg)).collect()
}

/// Calls `run` with `args`, and checks that it burns `fuel` in every configuration.
#[track_caller]
fn burns(wat: &str, args: &[i32], fuel: u64) {
    let args = arguments(args);
    for config in configs() {
        let module = module(config, wat);
        for slice in SLICES {
            let mut instance = sandbox(Limits::DEFAULT, slice).instantiate(&module).unwrap();
            for temperature in ["cold", "warm"] {
                let result = instance.call("run", &args);
                let found = instance.usage().fuel;
                let what = format!("{temperature}, slices of {slice:?}, {config:?}: {result:?}\n{wat}");
                assert_eq!(found, fuel, "{what}");
                // Programs that change their own cost (a table that has grown) or trap run once.
                if result.is_err() || wat.contains(".grow") {
                    break;
                }
            }
        }
        tight(&module, &args, fuel);
    }
}

/// A limit of `fuel` is enough for a call that returns, one less is not.
#[track_caller]
fn tight(module: &Module, args: &[Value], fuel: u64) {
    let start = sandbox(Limits::DEFAULT, None)
        .instantiate(module)
        .unwrap()
        .usage()
        .fuel;
    for slice in SLICES {
        let enough = sandbox(Limits::DEFAULT.with_fuel(fuel), slice).instantiate(module);
        if start > fuel || enough.unwrap().call("run", args).is_err() {
            return;
        }
        let limits = Limits::DEFAULT.with_fuel(fuel - 1);
        match sandbox(limits, slice).instantiate(module) {
            Ok(mut instance) => {
                let error = instance.call("run", args).unwrap_err();
                assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::LimitExceeded { limit: Limit::Fuel, value, requested: None, .. }
                            if *value == fuel - 1
                    ),
                    "slices of {slice:?}: {error}"
                );
                assert!(
                    error.usage().fuel < fuel,
                    "the burned fuel is within the limit: {:?}",
                    error.usage()
                );
            }
            Err(error) => assert!(start == fuel && error.limit() == Some(Limit::Fuel), "{error}"),
        }
    }
}

#[test]
fn entering_a_function_costs_1_and_structure_nothing() {
    burns(r#"(module (func (export "run")))"#, &[], 1);
    burns(
        r#"(module (func (export "run") block end loop nop end return))"#,
        &[],
        1,
    );
    burns(
        r#"(module (func (export "run") nop nop nop block nop end))"#,
        &[],
        1,
    );
    burns(r#"(module (func (export "run") i32.const 1 drop))"#, &[], 2);
    burns(r#"(module (func (export "run") unreachable))"#, &[], 1);
    burns(
        r#"(module (func (export "run") return i32.const 1 i32.const 2 i32.add drop))"#,
        &[],
        1,
    );
    burns(
        r#"(module (func (export "run") unreachable i32.const 1 drop))"#,
        &[],
        1,
    );
}

#[test]
fn every_other_operator_costs_1() {
    for (operators, fuel) in [
        ("local.get 0 drop", 1),
        ("local.get 0 local.set 0", 2),
        ("local.get 0 local.tee 0 drop", 2),
        ("global.get 0 global.set 0", 2),
        (
            "i32.const 1 i64.const 2 f32.const 3 f64.const 4 drop drop drop drop",
            4,
        ),
        ("i32.const 1 i32.const 2 i32.add drop", 3),
        ("i32.const 0 i32.load drop", 2),
        ("i32.const 0 i64.const 0 i64.store32", 3),
        ("i32.const 1 i32.const 2 local.get 0 select drop", 4),
        ("f32.const 1 f32.const 2 local.get 0 select (result f32) drop", 4),
        ("memory.size drop", 1),
        ("table.size 0 drop", 1),
        ("ref.null func ref.is_null drop", 2),
        ("ref.func $run drop", 1),
        ("i32.const 0 table.get 0 drop", 2),
        ("i32.const 0 ref.null func table.set 0", 3),
        ("data.drop 0 elem.drop 0", 2),
        ("f64.const 1.5 i32.trunc_sat_f64_s i32.extend8_s drop", 3),
    ] {
        let wat = format!(
            r#"(module (memory 1) (table 4 funcref) (global (mut i32) (i32.const 0)) (data "x") (elem func $run)
                (func $run (export "run") (param i32) {operators}))"#
        );
        burns(&wat, &[7], 1 + fuel);
        burns(&wat, &[0], 1 + fuel);
    }
}

#[test]
fn branches_pay_for_the_path_taken() {
    let arms = r#"(module (func (export "run") (param i32)
        (if (local.get 0) (then (drop (i32.const 1))) (else (drop (i32.const 1)) (drop (i32.const 1))))))"#;
    burns(arms, &[1], 1 + 2 + 1);
    burns(arms, &[0], 1 + 2 + 2);
    let one_arm =
        r#"(module (func (export "run") (param i32) (if (local.get 0) (then (drop (i32.const 1))))))"#;
    burns(one_arm, &[1], 1 + 2 + 1);
    burns(one_arm, &[0], 1 + 2);
    let empty_arms = r#"(module (func (export "run") (param i32) (if (local.get 0) (then) (else))))"#;
    burns(empty_arms, &[1], 1 + 2);
    burns(empty_arms, &[0], 1 + 2);
    let with_result = r#"(module (func (export "run") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.eqz (i32.const 2))))))"#;
    burns(with_result, &[1], 1 + 2 + 1);
    burns(with_result, &[0], 1 + 2 + 2);
    let skips = r#"(module (func (export "run") (param i32)
        (block (br_if 0 (local.get 0)) (drop (i32.const 1)) (drop (i32.const 1)))
        (drop (i32.const 3))))"#;
    burns(skips, &[1], 1 + 2 + 1);
    burns(skips, &[0], 1 + 2 + 2 + 1);
    let leaves = r#"(module (func (export "run") (param i32)
        (block (block (br_if 1 (local.get 0)) (drop (i32.const 1))) (drop (i32.const 2))) (drop (i32.const 3))))"#;
    burns(leaves, &[1], 1 + 2 + 1);
    burns(leaves, &[0], 1 + 2 + 3);
    let returns = r#"(module (func (export "run") (param i32)
        (if (local.get 0) (then return)) (drop (i32.const 1)) (drop (i32.const 1))))"#;
    burns(returns, &[1], 1 + 2);
    burns(returns, &[0], 1 + 2 + 2);
    let table = r#"(module (func (export "run") (param i32)
        (block (block (block (br_table 0 1 2 (local.get 0))) (drop (i32.const 1))) (drop (i32.const 1)))))"#;
    for (index, fuel) in [(0, 2), (1, 1), (2, 0), (3, 0), (-1, 0)] {
        burns(table, &[index], 1 + 2 + fuel);
    }
}

#[test]
fn loops_pay_for_each_iteration() {
    let down = r#"(module (func (export "run") (param i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;
    for turns in [1, 2, 10, 1_000] {
        burns(down, &[turns], 1 + 5 * turns as u64);
    }
    let once = r#"(module (func (export "run") (loop (drop (i32.const 1)))))"#;
    burns(once, &[], 2);
    // The last iteration leaves before the increment.
    let up = r#"(module (func (export "run") (param i32) (local i32)
        (block (loop
            (br_if 1 (i32.eq (local.get 0) (local.get 1)))
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br 0)))))"#;
    burns(up, &[10], 1 + 10 * 9 + 4);
}

/// Prices are moved to where they are charged together. A stopped call must not leave much unpaid, or a guest
/// would run for free, and unseen by the clock.
#[test]
fn a_stopped_call_has_paid_for_most_of_its_work() {
    const FRAMES: u64 = 500;
    const WORK: u64 = 5_000;
    // Two long arms of the same length, each of which calls the function again before its end.
    let work = "(drop (i32.const 1))".repeat(WORK as usize);
    let arms = format!(
        r#"(module (func $run (export "run") (param i32)
            (block $end
                (block $other
                    (br_if $other (local.get 0))
                    {work} (call $run (i32.const 1)) (br $end))
                {work} (call $run (i32.const 0)))
            (drop (i32.const 1))))"#
    );
    // An iteration is paid for at the start of the next one.
    let turns = format!(
        r#"(module (func $run (export "run") (param i32)
            (block $end
                (loop $again
                    (br_if $end (i32.eq (local.get 0) (i32.const 7)))
                    {work} (call $run (i32.const 1))
                    (br_if $end (i32.eq (local.get 0) (i32.const 8)))
                    {work} (br $again)))))"#
    );
    for wat in [arms, turns] {
        let limits = Limits::PERMISSIVE.with_call_depth(FRAMES);
        let mut instance = sandbox(limits, None)
            .instantiate(&module(EngineConfig::default(), &wat))
            .unwrap();
        let error = instance.call("run", &arguments(&[0])).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::CallDepth));
        let (fuel, did) = (instance.usage().fuel, FRAMES * WORK);
        assert!(fuel >= did - FRAMES * 128, "{fuel} for {did}");
    }
}

#[test]
fn constant_conditions_are_charged_as_written() {
    for (condition, then) in [(1, true), (0, false)] {
        let wat = format!(
            r#"(module (func (export "run") (if (i32.const {condition})
                (then (drop (i32.const 1)) (drop (i32.const 1))) (else (drop (i32.const 1))))))"#
        );
        burns(&wat, &[], 1 + 2 + if then { 2 } else { 1 });
        let wat = format!(
            r#"(module (global i32 (i32.const {condition})) (func (export "run")
                (block (br_if 0 (global.get 0)) (drop (i32.const 1)))))"#
        );
        burns(&wat, &[], 1 + 2 + u64::from(!then));
    }
}

#[test]
fn calls_cost_the_operator_and_the_entry() {
    let callee = "(func $f)";
    burns(
        &format!(r#"(module {callee} (func (export "run") call $f))"#),
        &[],
        3,
    );
    burns(
        &format!(r#"(module {callee} (func (export "run") return_call $f))"#),
        &[],
        3,
    );
    let table = "(type $t (func)) (table funcref (elem $f))";
    let indirect = r#"(func (export "run") i32.const 0 call_indirect (type $t))"#;
    burns(&format!("(module {table} {callee} {indirect})"), &[], 4);
    let indirect = r#"(func (export "run") i32.const 0 return_call_indirect (type $t))"#;
    burns(&format!("(module {table} {callee} {indirect})"), &[], 4);
}

#[test]
fn bulk_memory_costs_1_for_64_bytes() {
    for operator in ["memory.fill", "memory.copy", "memory.init 0"] {
        let wat = format!(
            r#"(module (memory 2) (data "{}") (func (export "run") (param i32)
                (i32.const 0) (i32.const 0) (local.get 0) {operator}))"#,
            "x".repeat(70_000)
        );
        for bytes in [0, 1, 63, 64, 65, 127, 128, 65_536, 70_000] {
            burns(&wat, &[bytes], 1 + 4 + bytes as u64 / 64);
        }
    }
}

#[test]
fn bulk_tables_cost_1_for_16_elements() {
    let functions = "$f ".repeat(100);
    for (operator, value) in [
        ("table.fill 0", "ref.null func"),
        ("table.copy 0 0", "i32.const 0"),
        ("table.init 0 0", "i32.const 0"),
    ] {
        let wat = format!(
            r#"(module (table 100 funcref) (func $f) (elem func {functions}) (func (export "run") (param i32)
                (i32.const 0) ({value}) (local.get 0) {operator}))"#
        );
        for elements in [0, 1, 15, 16, 17, 31, 32, 100] {
            burns(&wat, &[elements], 1 + 4 + elements as u64 / 16);
        }
    }
}

#[test]
fn growth_costs_what_it_adds_if_it_succeeds() {
    let memory =
        r#"(module (memory 1 8) (func (export "run") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    for (pages, fuel) in [(0, 0), (1, 1_024), (7, 7 * 1_024), (8, 0), (-1, 0)] {
        burns(memory, &[pages], 1 + 2 + fuel);
    }
    let bytes = r#"(module (memory 100 4096 (pagesize 1)) (func (export "run") (param i32) (result i32)
        (memory.grow (local.get 0))))"#;
    for (more, fuel) in [(0, 0), (1, 0), (63, 0), (64, 1), (3_996, 62), (3_997, 0), (-1, 0)] {
        burns(bytes, &[more], 1 + 2 + fuel);
    }
    let table = r#"(module (table 1 1000 funcref) (func (export "run") (param i32) (result i32)
        (table.grow (ref.null func) (local.get 0))))"#;
    for (elements, fuel) in [
        (0, 0),
        (15, 0),
        (16, 1),
        (160, 10),
        (999, 62),
        (1_000, 0),
        (-1, 0),
    ] {
        burns(table, &[elements], 1 + 3 + fuel);
    }
    // A growth that the memory limit denies costs nothing extra either.
    let module = module(EngineConfig::default(), memory);
    for (limit, result, fuel) in [(2 << 16, 1, 1_027), ((2 << 16) - 1, -1, 3)] {
        let limits = Limits::DEFAULT.with_memory_bytes(limit);
        let mut instance = sandbox(limits, None).instantiate(&module).unwrap();
        assert_eq!(
            instance.call("run", &[Value::I32(1)]).unwrap(),
            [Value::I32(result)]
        );
        assert_eq!(instance.usage().fuel, fuel);
    }
}

#[test]
fn locals_beyond_512_bytes_cost_1_for_64() {
    for (locals, fuel) in [
        (0, 0),
        (1, 0),
        (64, 0),
        (65, 1),
        (72, 1),
        (73, 2),
        (1_000, 117),
        (9_000, 1_117),
    ] {
        let locals = format!("(local {})", "i32 ".repeat(locals));
        burns(
            &format!(r#"(module (func (export "run") {locals}))"#),
            &[],
            1 + fuel,
        );
        // Each entry pays.
        let wat = format!(r#"(module (func $f {locals}) (func (export "run") call $f call $f))"#);
        burns(&wat, &[], 1 + 2 * (2 + fuel));
    }
    #[cfg(all(feature = "simd", target_endian = "little"))]
    for (locals, fuel) in [(32, 0), (33, 1), (36, 1), (37, 2)] {
        let wat = format!(
            r#"(module (func (export "run") (local {})))"#,
            "v128 ".repeat(locals)
        );
        burns(&wat, &[], 1 + fuel);
    }
}

/// Checks the fuel that instantiation burns.
#[track_caller]
fn instantiation_burns(wat: &str, fuel: u64) {
    for config in configs() {
        let module = module(config, wat);
        for slice in SLICES {
            let mut instance = sandbox(Limits::DEFAULT, slice).instantiate(&module).unwrap();
            assert_eq!(instance.usage().fuel, fuel, "slices of {slice:?}");
            let enough = sandbox(Limits::DEFAULT.with_fuel(fuel), slice);
            assert!(enough.instantiate(&module).is_ok());
            if fuel > 0 {
                let short = sandbox(Limits::DEFAULT.with_fuel(fuel - 1), slice);
                assert_eq!(short.instantiate(&module).unwrap_err().limit(), Some(Limit::Fuel));
            }
        }
    }
}

#[test]
fn segments_cost_at_instantiation() {
    for (bytes, fuel) in [(0, 0), (63, 0), (64, 1), (640, 10), (60_000, 937)] {
        let data = "x".repeat(bytes);
        instantiation_burns(
            &format!(r#"(module (memory 1) (data (i32.const 0) "{data}"))"#),
            1 + fuel,
        );
        instantiation_burns(&format!(r#"(module (memory 1) (data "{data}"))"#), 1);
    }
    // Each segment is rounded separately.
    let data = format!(r#"(data (i32.const 0) "{}")"#, "x".repeat(63));
    instantiation_burns(&format!("(module (memory 1) {data} {data})"), 2);
    for (elements, fuel) in [(0, 0), (15, 0), (16, 1), (33, 2)] {
        let functions = "$f ".repeat(elements);
        for (segment, fuel) in [
            (format!("(elem (i32.const 0) {functions})"), fuel),
            (format!("(elem func {functions})"), fuel),
            (format!("(elem declare func {functions})"), 0),
        ] {
            instantiation_burns(
                &format!("(module (table 100 funcref) (func $f) {segment})"),
                1 + fuel,
            );
        }
    }
}

#[test]
fn records_cost_at_instantiation() {
    // 1 024 records are free; names of exports count per byte.
    for (functions, name, fuel) in [
        (1_022, 128, 0),
        (1_022, 192, 1),
        (1_023, 127, 1),
        (3_000, 0, 3_954),
    ] {
        let name = "x".repeat(name);
        let functions = "(func) ".repeat(functions - 1);
        instantiation_burns(&format!(r#"(module (func (export "{name}")) {functions})"#), fuel);
    }
}

#[test]
fn constant_expressions_cost_per_operator() {
    instantiation_burns("(module (global i32 (i32.const 1)))", 0);
    instantiation_burns("(module (global i32 (i32.add (i32.const 1) (i32.const 2))))", 2);
    instantiation_burns(
        r#"(module (memory 1) (data (offset (i32.mul (i32.const 1) (i32.sub (i32.const 2) (i32.const 1)))) "x"))"#,
        1 + 4,
    );
    instantiation_burns(
        "(module (func $f) (table 9 funcref) (elem (table 0) (offset (i32.add (i32.const 1) (i32.const 2))) funcref (ref.func $f)))",
        1 + 2,
    );
}

#[test]
fn the_start_function_is_a_call() {
    instantiation_burns("(module (func $start nop) (start $start))", 1);
    let wat = r#"(module (memory 1) (data (i32.const 0) "0123456789012345678901234567890123456789012345678901234567890123")
        (func $f) (func $start (drop (i32.const 1)) call $f) (start $start) (func (export "run")))"#;
    instantiation_burns(wat, 2 + 1 + 1 + 2);
    burns(wat, &[], 1);
}

#[test]
fn host_functions_cost_5_plus_what_they_charge() {
    let call = |import: &str, args: &str| {
        format!(
            r#"(module (import "env" "{import}" (func $f {})) (func (export "run") {args} call $f))"#,
            if args.is_empty() { "" } else { "(param i32)" }
        )
    };
    burns(&call("nothing", ""), &[], 1 + 1 + 5);
    for (bytes, fuel) in [(0, 0), (63, 0), (64, 1), (6_400, 100)] {
        burns(
            &call("bytes", &format!("i32.const {bytes}")),
            &[],
            1 + 2 + 5 + fuel,
        );
    }
    burns(&call("charge", "i32.const 12345"), &[], 1 + 2 + 5 + 12_345);
    // A call back enters a function.
    let back = r#"(module (import "env" "back" (func $back)) (func (export "back") (drop (i32.const 1)))
        (func (export "run") call $back))"#;
    burns(back, &[], 1 + 1 + 5 + 2);
}

/// Calls `run` and checks depth and stack bytes; both limits are tight.
#[track_caller]
fn uses_frames(wat: &str, args: &[i32], depth: u64, bytes: u64) {
    let args = arguments(args);
    let measured = module(EngineConfig::default().with_profile(true), wat);
    let mut instance = sandbox(Limits::DEFAULT, None).instantiate(&measured).unwrap();
    for _ in 0..2 {
        instance.call("run", &args).unwrap();
        let usage = instance.usage();
        assert_eq!(
            (usage.peak_call_depth, usage.peak_stack_bytes),
            (Some(depth), Some(bytes)),
            "{wat}"
        );
    }
    for config in configs() {
        let module = module(config, wat);
        let stopped = |limits: Limits| {
            let mut instance = match sandbox(limits, None).instantiate(&module) {
                Ok(instance) => instance,
                Err(error) => return Some((error.limit(), error.to_string())),
            };
            let cold = instance.call("run", &args).err();
            let warm = match &cold {
                Some(_) => instance.reset().and_then(|()| instance.call("run", &args)).err(),
                None => instance.call("run", &args).err(),
            };
            assert_eq!(
                cold.as_ref().map(Error::limit),
                warm.as_ref().map(Error::limit),
                "cold and warm"
            );
            cold.map(|error| (error.limit(), error.to_string()))
        };
        assert_eq!(stopped(Limits::DEFAULT.with_call_depth(depth)), None);
        assert_eq!(stopped(Limits::DEFAULT.with_stack_bytes(bytes)), None);
        let (limit, message) =
            stopped(Limits::DEFAULT.with_call_depth(depth - 1)).expect("one frame too many");
        assert_eq!(limit, Some(Limit::CallDepth), "{message}");
        let frames = if depth == 2 { "frame" } else { "frames" };
        assert!(
            message.ends_with(&format!("call depth limit of {} {frames}", depth - 1)),
            "{message}"
        );
        if bytes > 0 {
            let (limit, message) =
                stopped(Limits::DEFAULT.with_stack_bytes(bytes - 1)).expect("one byte too many");
            assert_eq!(limit, Some(Limit::Stack), "{message}");
            assert!(
                message.contains(&format!("stack limit of {} bytes", bytes - 1)),
                "{message}"
            );
        }
    }
}

#[test]
fn frames_are_parameters_locals_and_the_highest_operand_stack() {
    uses_frames(r#"(module (func (export "run")))"#, &[], 1, 0);
    uses_frames(r#"(module (func (export "run") (param i32)))"#, &[1], 1, 8);
    uses_frames(
        r#"(module (func (export "run") (param i32) (local i64 f64 funcref)))"#,
        &[1],
        1,
        32,
    );
    uses_frames(
        r#"(module (func (export "run") i32.const 1 i64.const 2 drop drop i32.const 3 drop))"#,
        &[],
        1,
        16,
    );
    // Operands in code that is never reached do not count.
    uses_frames(
        r#"(module (func (export "run") return i32.const 1 i32.const 2 drop drop))"#,
        &[],
        1,
        0,
    );
    // The operands of an arm count whether it is taken or not: they are known when the module is loaded.
    let arm = r#"(module (func (export "run") (param i32)
        (if (local.get 0) (then (i32.const 1) (i32.const 2) (i32.const 3) drop drop drop))))"#;
    uses_frames(arm, &[0], 1, 8 + 24);
    uses_frames(arm, &[1], 1, 8 + 24);
    #[cfg(all(feature = "simd", target_endian = "little"))]
    {
        uses_frames(r#"(module (func (export "run") (local v128)))"#, &[], 1, 16);
        let wat = r#"(module (func (export "run") v128.const i64x2 1 2 i32.const 1 drop drop))"#;
        uses_frames(wat, &[], 1, 24);
    }
}

#[test]
fn frames_of_live_calls_add_up() {
    // Two calls in sequence, of which the larger counts.
    let wat = r#"(module (func $a (local i64)) (func $b (local i64 i64)) (func (export "run") call $a call $b call $a))"#;
    uses_frames(wat, &[], 2, 16);
    let recursion = r#"(module (func $f (export "run") (param i32)
        (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))))"#;
    for calls in [1, 10, 900] {
        uses_frames(recursion, &[calls - 1], calls as u64, calls as u64 * (8 + 16));
    }
    let indirect = r#"(module (type $t (func (param i32))) (table funcref (elem $f))
        (func $f (export "run") (param i32) (if (local.get 0)
            (then (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))))"#;
    uses_frames(indirect, &[9], 10, 10 * (8 + 16));
}

#[test]
fn a_tail_call_replaces_its_caller() {
    let wat = r#"(module (func $f (export "run") (param i32)
        (if (local.get 0) (then (return_call $f (i32.sub (local.get 0) (i32.const 1)))))))"#;
    uses_frames(wat, &[5_000], 1, 24);
    // A smaller frame replaced by a larger one, below one that stays, and after a call.
    let wat = r#"(module (func $large (local i64 i64 i64)) (func $small call $large return_call $large)
        (func (export "run") (local i64) call $small))"#;
    uses_frames(wat, &[], 3, 8 + 24);
    let indirect = r#"(module (type $t (func (param i32))) (table funcref (elem $f)) (func $f (export "run") (param i32)
        (if (local.get 0) (then (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))))))"#;
    uses_frames(indirect, &[5_000], 1, 24);
}

#[test]
fn frames_are_counted_across_the_host() {
    let wat = r#"(module (import "env" "back" (func $back)) (func $inner (local i64 i64))
        (func (export "back") (local i64) call $inner) (func (export "run") (local i64 i64 i64) call $back call $inner))"#;
    uses_frames(wat, &[], 3, 24 + 8 + 16);
}

#[test]
fn the_start_function_uses_frames_too() {
    let module = module(
        EngineConfig::default().with_profile(true),
        "(module (func $f (local i64)) (func $s (local i64) call $f) (start $s))",
    );
    for (limits, exceeded) in [
        (Limits::DEFAULT.with_call_depth(2).with_stack_bytes(16), None),
        (Limits::DEFAULT.with_call_depth(1), Some(Limit::CallDepth)),
        (Limits::DEFAULT.with_stack_bytes(15), Some(Limit::Stack)),
    ] {
        match sandbox(limits, None).instantiate(&module) {
            Ok(mut instance) => {
                assert_eq!(exceeded, None);
                let usage = instance.usage();
                assert_eq!(
                    (usage.peak_call_depth, usage.peak_stack_bytes),
                    (Some(2), Some(16))
                );
            }
            Err(error) => {
                assert_eq!(error.limit(), exceeded);
                assert_eq!(error.invocation(), &Invocation::Start);
            }
        }
    }
}

/// Checks the bytes that an instance has from the start; the limit is tight.
#[track_caller]
fn uses_memory(wat: &str, bytes: u64) {
    let module = module(EngineConfig::default(), wat);
    let mut instance = sandbox(Limits::DEFAULT.with_memory_bytes(bytes), None)
        .instantiate(&module)
        .unwrap();
    assert_eq!(
        (instance.usage().memory_bytes, instance.usage().peak_memory_bytes),
        (bytes, bytes)
    );
    if bytes > 0 {
        let error = sandbox(Limits::DEFAULT.with_memory_bytes(bytes - 1), None)
            .instantiate(&module)
            .unwrap_err();
        match error.kind() {
            ErrorKind::LimitExceeded {
                limit: Limit::Memory,
                value,
                requested,
                ..
            } => {
                assert_eq!(*value, bytes - 1);
                assert!(requested.is_some_and(|requested| requested >= bytes), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn memory_is_the_sum_over_memories_and_tables() {
    uses_memory("(module)", 0);
    uses_memory("(module (memory 1))", 65_536);
    uses_memory("(module (memory 1) (memory 0) (memory 3))", 4 * 65_536);
    uses_memory("(module (table 10 funcref))", 80);
    uses_memory(
        "(module (table 10 funcref) (table 5 externref) (memory 1))",
        65_536 + 120,
    );
    // The table that the rewriter adds does not count.
    let grows = "(func (param i32) (drop (table.grow (ref.null func) (local.get 0))))";
    uses_memory(&format!("(module (table 10 funcref) {grows})"), 80);
}

#[test]
fn growth_counts_and_denied_growth_is_reported() {
    let module = module(
        EngineConfig::default(),
        r#"(module (memory 1) (memory $second 1) (table 8 funcref)
            (func (export "first") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "second") (param i32) (result i32) (memory.grow $second (local.get 0)))
            (func (export "table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
            (func (export "fail") (param i32) (drop (memory.grow (local.get 0))) unreachable))"#,
    );
    let limit = 5 * 65_536 + 64;
    let mut instance = sandbox(Limits::DEFAULT.with_memory_bytes(limit), None)
        .instantiate(&module)
        .unwrap();
    let mut call = |export: &str, by: i32| match instance.call(export, &[Value::I32(by)]).unwrap()[..] {
        [Value::I32(result)] => (result, instance.usage().memory_bytes),
        ref other => panic!("{other:?}"),
    };
    assert_eq!(call("first", 2), (1, 4 * 65_536 + 64));
    assert_eq!(call("second", 2), (-1, 4 * 65_536 + 64));
    assert_eq!(call("second", 1), (1, limit));
    assert_eq!(call("table", 1), (-1, limit));
    assert_eq!(call("first", 0), (3, limit));
    assert_eq!(call("table", 0), (8, limit));
    let error = instance.call("fail", &[Value::I32(3)]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(Trap::Unreachable)));
    let denied = error.denied_growth().expect("the growth was denied");
    assert_eq!((denied.requested, denied.limit), (limit + 3 * 65_536, limit));
    assert!(
        error.to_string().contains(&format!("the limit is {limit}")),
        "{error}"
    );
}

#[test]
fn a_growth_that_was_denied_earlier_is_not_blamed() {
    let module = module(
        EngineConfig::default(),
        r#"(module (memory 1) (func (export "grow") (result i32) (memory.grow (i32.const 1000)))
            (func (export "fail") unreachable))"#,
    );
    let mut instance = sandbox(Limits::DEFAULT.with_memory_bytes(1 << 16), None)
        .instantiate(&module)
        .unwrap();
    assert_eq!(instance.call("grow", &[]).unwrap(), [Value::I32(-1)]);
    assert_eq!(instance.call("fail", &[]).unwrap_err().denied_growth(), None);
}

#[test]
fn recursion_is_counted() {
    let module = module(
        EngineConfig::default().with_profile(true),
        r#"(module (func $fib (export "fib") (param i64) (result i64)
            (if (result i64) (i64.lt_s (local.get 0) (i64.const 2))
                (then (local.get 0))
                (else (i64.add
                    (call $fib (i64.sub (local.get 0) (i64.const 1)))
                    (call $fib (i64.sub (local.get 0) (i64.const 2))))))))"#,
    );
    let mut instance = sandbox(Limits::DEFAULT, None).instantiate(&module).unwrap();
    assert_eq!(instance.call("fib", &[Value::I64(10)]).unwrap(), [Value::I64(55)]);
    let usage = instance.usage();
    // 177 calls: entry, three operators, the `if`; 89 leaves: 1; 88 others: 9.
    assert_eq!(usage.fuel, 177 * 5 + 89 + 88 * 9);
    assert_eq!(usage.peak_call_depth, Some(10));
    // A parameter and three operands each.
    assert_eq!(usage.peak_stack_bytes, Some(10 * 8 * 4));
}

#[test]
fn profiling_is_off_by_default() {
    let mut instance = sandbox(Limits::DEFAULT, None)
        .instantiate(&module(EngineConfig::default(), "(module)"))
        .unwrap();
    let usage = instance.usage();
    assert_eq!((usage.peak_call_depth, usage.peak_stack_bytes), (None, None));
}
