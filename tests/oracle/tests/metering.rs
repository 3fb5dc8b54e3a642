//! The oracle's counts, against values worked out by hand.

use dynload_oracle::{
    Caller, Error, FuncType, Imports, Limits, Oracle, Outcome, Schedule, Trap, Usage, ValType, Value,
};

const FREE: Limits = Limits {
    fuel: None,
    call_depth: None,
    stack_bytes: None,
    memory_bytes: None,
    steps: None,
};

/// The prices in these tests, independent of the sandbox's.
const PRICES: Schedule = Schedule {
    function_entry: 1,
    host_entry: 5,
    memory_bytes_per_fuel: 64,
    elements_per_fuel: 16,
    grow_bytes_per_fuel: 64,
    segment_bytes_per_fuel: 64,
    segment: 1,
    record_bytes: 128,
    free_record_bytes: 1_024,
    constant_operator: 1,
    element_bytes: 8,
    free_local_slots: 64,
    local_slots_per_fuel: 8,
};

/// Calls `run` of a module without imports.
#[track_caller]
fn run(wat: &str, args: &[Value]) -> Outcome {
    run_with(wat, args, Imports::new(), FREE)
}

#[track_caller]
fn run_with(wat: &str, args: &[Value], imports: Imports<'_>, limits: Limits) -> Outcome {
    let wasm = wat::parse_str(wat).expect("the test's module parses");
    // Leaked, because the bytes must live as long as the imports.
    let wasm: &'static [u8] = wasm.leak();
    let mut oracle = Oracle::new(wasm, imports, PRICES).expect("the test's module is valid");
    oracle.instantiate(FREE).expect("the test's module instantiates");
    oracle.call("run", args, limits)
}

#[track_caller]
fn usage(wat: &str) -> Usage {
    let outcome = run(wat, &[]);
    outcome.result.expect("the call returns");
    outcome.usage
}

#[track_caller]
fn fuel(wat: &str) -> u64 {
    usage(wat).fuel
}

#[test]
fn entering_a_function_costs_one() {
    assert_eq!(fuel("(module (func (export \"run\")))"), 1);
}

#[test]
fn free_operators_are_free() {
    let wat = "(module (func (export \"run\") nop (block (loop (nop))) (drop (i32.const 1)) return))";
    assert_eq!(fuel(wat), 1 + 1);
}

#[test]
fn a_trapping_operator_has_been_executed() {
    let outcome = run(
        "(module (func (export \"run\") i32.const 1 i32.const 0 i32.div_s drop i32.const 1 drop))",
        &[],
    );
    assert_eq!(outcome.result, Err(Trap::IntegerDivideByZero));
    assert_eq!(outcome.usage.fuel, 1 + 3);
    let outcome = run(
        "(module (func (export \"run\") i32.const 1 drop unreachable))",
        &[],
    );
    assert_eq!(
        (outcome.result, outcome.usage.fuel),
        (Err(Trap::Unreachable), 1 + 1)
    );
}

#[test]
fn code_skipped_by_a_branch_costs_nothing() {
    let wat = r#"(module (func (export "run") (param i32)
        (block (br_if 0 (local.get 0)) (drop (i32.const 1)) (drop (i32.const 2)))
        (if (local.get 0) (then nop) (else (drop (i32.const 3))))))"#;
    // local.get, br_if, local.get, if
    assert_eq!(run(wat, &[Value::I32(1)]).usage.fuel, 1 + 4);
    // the same, plus three constants
    assert_eq!(run(wat, &[Value::I32(0)]).usage.fuel, 1 + 7);
}

#[test]
fn calls_cost_the_operator_and_the_entry() {
    let wat = r#"(module (table funcref (elem $f)) (func $f)
        (func (export "run") call $f (call_indirect (i32.const 0)) (return_call $f)))"#;
    // entries: run, $f three times; operators: call, i32.const, call_indirect, return_call
    assert_eq!(fuel(wat), 4 + 4);
}

#[test]
fn imported_calls_cost_the_operator_and_the_price_of_a_host_call() {
    let wat = r#"(module (import "h" "f" (func $f)) (func (export "run") call $f call $f))"#;
    let imports = Imports::new().func("h", "f", FuncType::new([], []), |_, _| Ok(vec![]));
    assert_eq!(run_with(wat, &[], imports, FREE).usage.fuel, 1 + 2 * (1 + 5));
}

#[test]
fn bulk_operators_cost_one_for_64_bytes() {
    let fill = |len: u32| {
        let body = format!("(memory.fill (i32.const 0) (i32.const 7) (i32.const {len}))");
        usage(&format!("(module (memory 1) (func (export \"run\") {body}))"))
    };
    for (len, surcharge) in [(0, 0), (63, 0), (64, 1), (127, 1), (128, 2), (65_536, 1024)] {
        assert_eq!(
            (fill(len).surcharge, fill(len).fuel),
            (surcharge, 1 + 4 + surcharge),
            "{len} bytes"
        );
    }
    let grow = |n: u32| {
        let body = format!("(drop (table.grow (ref.null func) (i32.const {n})))");
        usage(&format!(
            "(module (table 0 funcref) (func (export \"run\") {body}))"
        ))
        .surcharge
    };
    assert_eq!([0, 15, 16, 32].map(grow), [0, 0, 1, 2]);
}

#[test]
fn a_bulk_operator_out_of_bounds_is_charged_first() {
    let wat = "(module (memory 1) (func (export \"run\") (memory.fill (i32.const 1) (i32.const 7) (i32.const 65536))))";
    let outcome = run(wat, &[]);
    assert_eq!(outcome.result, Err(Trap::MemoryOutOfBounds));
    assert_eq!(outcome.usage.surcharge, 1024);
}

#[test]
fn growing_memory_costs_when_it_succeeds() {
    let grow = |delta: u32| {
        let body = format!("(drop (memory.grow (i32.const {delta})))");
        usage(&format!("(module (memory 1 3) (func (export \"run\") {body}))"))
    };
    assert_eq!(
        [0, 1, 2, 3].map(|delta| grow(delta).surcharge),
        [0, 1024, 2048, 0]
    );
}

#[test]
fn many_locals_cost() {
    let surcharge =
        |locals: &str| usage(&format!("(module (func (export \"run\") (local {locals})))")).surcharge;
    let count = |n: usize, ty: &str| surcharge(&[ty].repeat(n).join(" "));
    assert_eq!([64, 65, 72, 73].map(|n| count(n, "i32")), [0, 1, 1, 2]);
    assert_eq!([32, 33, 36, 37].map(|n| count(n, "v128")), [0, 1, 1, 2]);
}

#[test]
fn segments_cost_at_instantiation() {
    let wat = format!(
        r#"(module (memory 1) (table 20 funcref) (data (i32.const 0) "{}") (data "{}") (data (i32.const 9) "123")
            (elem (i32.const 0) func {}) (func $f) (func $start (drop (i32.const 1))) (start $start))"#,
        "x".repeat(130),
        "x".repeat(1000),
        "$f ".repeat(17),
    );
    let wasm = wat::parse_str(wat).expect("the module parses");
    let mut oracle = Oracle::new(&wasm, Imports::new(), PRICES).expect("the module is valid");
    let usage = oracle.instantiate(FREE).expect("the module instantiates");
    // Four segments; 130 / 64, nothing for the passive one, 3 / 64, 17 / 16; the start function. The eight records are free.
    assert_eq!((usage.surcharge, usage.fuel), (4 + 2 + 1, 4 + 2 + 1 + 2));
    assert_eq!(usage.peak_memory_bytes, 65_536 + 20 * 8);
    let short = Limits {
        fuel: Some(8),
        ..FREE
    };
    let mut oracle = Oracle::new(&wasm, Imports::new(), PRICES).expect("the module is valid");
    assert!(matches!(
        oracle.instantiate(short),
        Err(Error::Stopped(Trap::OutOfFuel))
    ));
}

#[test]
fn records_and_constant_expressions_cost_at_instantiation() {
    // Thirteen records, of which eight are free; a passive segment of three; two operators after the first.
    let wat = r#"(module (func $f) (elem funcref (ref.func $f) (ref.func $f) (ref.func $f))
        (global i32 (i32.add (i32.const 1) (i32.const 2))) (global i32 (i32.const 1)) (global i32 (i32.const 1))
        (global i32 (i32.const 1)) (global i32 (i32.const 1)) (global i32 (i32.const 1)) (global i32 (i32.const 1))
        (global i32 (i32.const 1)) (global i32 (i32.const 1)) (func (export "names")))"#;
    let wasm = wat::parse_str(wat).expect("the module parses");
    let mut oracle = Oracle::new(&wasm, Imports::new(), PRICES).expect("the module is valid");
    let usage = oracle.instantiate(FREE).expect("the module instantiates");
    let records = (13 - 8) * 128 + 5;
    assert_eq!(usage.fuel, 1 + records / 64 + 2);
    assert_eq!(usage.peak_memory_bytes, records + 3 * 8);
}

#[test]
fn frames_count_parameters_locals_and_the_highest_operand_stack() {
    let frame = |func: &str| {
        let wasm = wat::parse_str(format!("(module (memory 1) {func})")).expect("the module parses");
        Oracle::new(&wasm, Imports::new(), PRICES)
            .expect("the module is valid")
            .frame_bytes()[0]
    };
    assert_eq!(frame("(func)"), 0);
    assert_eq!(
        frame("(func (param i32 v128) (local f32 v128 funcref))"),
        8 + 16 + 8 + 16 + 8
    );
    assert_eq!(
        frame("(func (drop (i32.add (i32.const 1) (i32.add (i32.const 2) (i32.const 3)))))"),
        24
    );
    assert_eq!(frame("(func (result i32 i64) i32.const 1 i64.const 2)"), 16);
    assert_eq!(
        frame("(func (drop (v128.const i64x2 0 0)) (drop (i32.const 1)))"),
        16
    );
    // Parameters of a block are not counted twice.
    assert_eq!(frame("(func i32.const 1 (block (param i32) drop))"), 8);
    // A call can have more results than arguments.
    assert_eq!(
        frame("(func (call 1) drop drop drop) (func (result i32 i32 i32) unreachable)"),
        24
    );
}

#[test]
fn dead_code_does_not_count_for_the_operand_stack() {
    let frame = |func: &str| {
        let wasm = wat::parse_str(format!("(module {func})")).expect("the module parses");
        Oracle::new(&wasm, Imports::new(), PRICES)
            .expect("the module is valid")
            .frame_bytes()[0]
    };
    assert_eq!(frame("(func return i32.const 1 i32.const 2 drop drop)"), 0);
    assert_eq!(
        frame("(func (block br 0 i32.const 1 (block i32.const 2 drop) drop))"),
        0
    );
    // After the end of the block, the validation algorithm treats code as live again.
    assert_eq!(frame("(func (block unreachable) (drop (i32.const 1)))"), 8);
    // The second arm is live although the end of the first one is dead.
    assert_eq!(
        frame("(func (param i32) local.get 0 if return else i64.const 1 i64.const 1 drop drop end)"),
        8 + 16
    );
}

const COUNTDOWN: &str = r#"(module (func $f (export "run") (param i32)
    (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))))))"#;

#[test]
fn depth_and_stack_count_frames_alive_at_the_same_time() {
    let usage = run(COUNTDOWN, &[Value::I32(9)]).usage;
    assert_eq!(
        (usage.peak_call_depth, usage.peak_stack_bytes),
        (10, 10 * (8 + 16))
    );
}

#[test]
fn tail_calls_replace_the_frame() {
    let wat = r#"(module (func $f (export "run") (param i32)
        (if (local.get 0) (then (return_call $g (i32.sub (local.get 0) (i32.const 1))))))
        (func $g (param i32) (local i64 i64) (return_call $f (local.get 0))))"#;
    let usage = run(wat, &[Value::I32(100)]).usage;
    assert_eq!((usage.peak_call_depth, usage.peak_stack_bytes), (1, 8 + 16 + 8));
}

fn reentering<'a>() -> Imports<'a> {
    Imports::new().func(
        "h",
        "again",
        FuncType::new([ValType::I32], []),
        |caller: &mut Caller<'_, '_>, args| {
            caller.burn(3)?;
            caller.call("run", args)
        },
    )
}

const REENTER: &str = r#"(module (import "h" "again" (func $again (param i32)))
    (func (export "run") (param i32) (if (local.get 0) (then (call $again (i32.sub (local.get 0) (i32.const 1)))))))"#;

#[test]
fn frames_above_a_host_function_count_too() {
    let outcome = run_with(REENTER, &[Value::I32(9)], reentering(), FREE);
    let usage = outcome.usage;
    assert_eq!(
        (usage.peak_call_depth, usage.peak_stack_bytes),
        (10, 10 * (8 + 16))
    );
    // Each of nine: local.get, if, local.get, i32.const, i32.sub, call, and 5 + 3 for the host; the last: local.get,
    // if; entries.
    assert_eq!((usage.fuel, usage.surcharge), (9 * (6 + 8) + 2 + 10, 72));
    let limits = Limits {
        call_depth: Some(9),
        ..FREE
    };
    assert_eq!(
        run_with(REENTER, &[Value::I32(9)], reentering(), limits).result,
        Err(Trap::CallDepth)
    );
}

#[test]
fn frames_are_released_when_a_host_function_catches_a_trap() {
    let wat = r#"(module (import "h" "try" (func $try)) (func (export "boom") unreachable) (func (export "run") call $try))"#;
    let imports = Imports::new().func(
        "h",
        "try",
        FuncType::new([], []),
        |caller: &mut Caller<'_, '_>, _| {
            for _ in 0..5 {
                assert_eq!(caller.call("boom", &[]), Err(Trap::Unreachable));
            }
            Ok(vec![])
        },
    );
    assert_eq!(run_with(wat, &[], imports, FREE).usage.peak_call_depth, 2);
}

#[test]
fn memory_is_the_sum_over_memories_and_tables() {
    let wat = r#"(module (memory 1) (memory 2) (table 3 funcref) (func (export "run") (result i32)
        (drop (memory.grow 1 (i32.const 1))) (table.grow (ref.null func) (i32.const 5))))"#;
    let start = 3 * 65_536 + 3 * 8;
    let outcome = run(wat, &[]);
    assert_eq!(outcome.result, Ok(vec![Value::I32(3)]));
    assert_eq!(outcome.usage.peak_memory_bytes, start + 65_536 + 40);
    // One byte less: the table's growth is denied and the program continues.
    let limits = Limits {
        memory_bytes: Some(start + 65_536 + 39),
        ..FREE
    };
    let outcome = run_with(wat, &[], Imports::new(), limits);
    assert_eq!(outcome.result, Ok(vec![Value::I32(-1)]));
    assert_eq!(outcome.usage.peak_memory_bytes, start + 65_536);
    let wasm = wat::parse_str(wat).expect("the module parses");
    let mut oracle = Oracle::new(&wasm, Imports::new(), PRICES).expect("the module is valid");
    let limits = Limits {
        memory_bytes: Some(start - 1),
        ..FREE
    };
    assert!(matches!(
        oracle.instantiate(limits),
        Err(Error::Stopped(Trap::MemoryLimit))
    ));
}
