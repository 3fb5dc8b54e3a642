//! Programs that wasmi 2.0.0 computes wrong and the sandbox computes right, both compared with the oracle.
//!
//! Each bug has a test of the sandbox, and a test that fails when wasmi has been fixed. Then the workaround can be removed.

use dynload_oracle::{self as oracle, Oracle};
use dynload_sandbox::*;

/// The arguments for the programs, which are functions `run` of three numbers.
const ARGS: [[i32; 3]; 5] = [[0, 10, 20], [1, 10, 20], [-1, 0, 5], [0, 0, 1], [5, 7, 0]];

/// Returns the result of a program and the fuel that it costs, from the oracle.
fn expected(wasm: &[u8], args: [i32; 3]) -> (i32, u64) {
    let mut oracle = Oracle::new(wasm, oracle::Imports::new(), oracle::Schedule::default()).unwrap();
    oracle.instantiate(oracle::Limits::default()).unwrap();
    let outcome = oracle.call("run", &args.map(oracle::Value::I32), oracle::Limits::default());
    match outcome.result.unwrap()[..] {
        [oracle::Value::I32(result)] => (result, outcome.usage.fuel),
        ref other => panic!("{other:?}"),
    }
}

/// Asserts that all programs return the right results in the sandbox, and cost the right fuel.
fn assert_right_in_sandbox(programs: &[String]) {
    for wat in programs {
        let wasm = wat::parse_str(wat).unwrap();
        let module = Module::new(&Engine::default(), &wasm).unwrap();
        for args in ARGS {
            let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
            let found = instance.call("run", &args.map(Value::I32)).unwrap();
            let (result, fuel) = expected(&wasm, args);
            assert!(
                matches!(found[..], [Value::I32(found)] if found == result),
                "{args:?}: {found:?} instead of {result}: {wat}"
            );
            assert_eq!(instance.usage().fuel, fuel, "{args:?}: {wat}");
        }
    }
}

/// Asserts that some of the programs return wrong results in wasmi itself.
fn assert_wrong_in_wasmi(programs: &[String]) {
    let engine = wasmi::Engine::default();
    let mut wrong = 0;
    for wat in programs {
        let wasm = wat::parse_str(wat).unwrap();
        let mut store = wasmi::Store::new(&engine, ());
        let module = wasmi::Module::new(&engine, &wasm).unwrap();
        let instance = wasmi::Instance::new(&mut store, &module, &[]).unwrap();
        let run = instance.get_typed_func::<(i32, i32, i32), i32>(&store, "run");
        let run = run.unwrap();
        for args in ARGS {
            let found = run.call(&mut store, args.into()).unwrap();
            wrong += usize::from(found != expected(&wasm, args).0);
        }
    }
    assert!(wrong > 0, "wasmi computes all of them right");
}

fn run(body: &str) -> String {
    format!(r#"(module (func (export "run") (param i32 i32 i32) (result i32) {body}))"#)
}

/// The condition of a `select` is a comparison of a local with zero: the two are fused, and the condition is then read from a
/// cell that has been overwritten.
fn selects() -> Vec<String> {
    let mut programs = Vec::new();
    for condition in [
        "(i32.eqz (local.get 0))",
        "(i32.eq (local.get 0) (i32.const 0))",
        "(i32.ne (local.get 0) (i32.const 0))",
        "(i32.eq (i32.const 0) (local.get 0))",
    ] {
        for select in ["select", "select (result i32)"] {
            for (first, second) in [
                ("(local.get 1)", "(local.get 2)"),
                ("(local.tee 0 (local.get 1))", "(local.get 2)"),
                ("(local.get 1)", "(local.tee 0 (local.get 2))"),
                ("(i32.add (local.get 1) (local.get 2))", "(local.get 0)"),
            ] {
                programs.push(run(&format!("{first} {second} {condition} {select}")));
            }
        }
        programs.push(run(&format!(
            "(local i32) (local.set 0 (select (local.get 1) (local.get 2) {condition}))
             (i32.add (local.get 0) (select (local.get 0) (local.get 1) {condition}))"
        )));
    }
    programs
}

#[test]
fn a_select_after_a_comparison_with_zero() {
    assert_right_in_sandbox(&selects());
}

#[test]
fn wasmi_still_fuses_select_and_comparison() {
    assert_wrong_in_wasmi(&selects());
}

/// A local is below the parameters of a block, and not all of these are locals: it is copied on a path that does not always
/// run, or more than once.
fn params() -> Vec<String> {
    let mut programs = Vec::new();
    for (params, drops) in [
        ("(i32.const 5)", 1),
        ("(i32.add (local.get 0) (local.get 2))", 1),
        ("(local.get 2)", 1),
        ("(i32.const 5) (local.get 2)", 2),
        ("(local.get 2) (i32.const 5) (i32.eqz (local.get 0))", 3),
    ] {
        let ty = "i32 ".repeat(drops);
        let ty = format!("(param {ty}) (result {ty})");
        let drops = "drop ".repeat(drops);
        programs.extend([
            run(&format!(
                "local.get 1 {params} (local.get 0) if {ty} (local.get 2) if end end {drops}"
            )),
            run(&format!(
                "local.get 1 {params} (local.get 0) if {ty} else (local.get 2) if end end {drops}"
            )),
            run(&format!(
                "local.get 1 {params} block {ty} (br_if 0 (local.get 0)) block end end {drops}"
            )),
            // The parameters of the loop pass through every iteration, and are its results.
            run(&format!(
                "(local i32) (local.set 3 (i32.const 3)) local.get 1 {params} loop {ty}
                 (local.set 1 (i32.add (local.get 1) (i32.const 1)))
                 (br_if 0 (local.tee 3 (i32.sub (local.get 3) (i32.const 1)))) end {drops}"
            )),
        ]);
    }
    programs
}

#[test]
fn a_local_below_the_parameters_of_a_block() {
    assert_right_in_sandbox(&params());
}

#[test]
fn wasmi_still_misses_locals_below_parameters() {
    assert_wrong_in_wasmi(&params());
}

/// A `br_table` carries values, and one of them is a reference.
#[test]
fn a_br_table_carries_a_reference() {
    let program = r#"(module (table 1 funcref) (elem declare func $seven)
        (func $seven (result i32) (i32.const 7))
        (func (export "run") (param i32 i32 i32) (result i32)
            (table.set 0 (i32.const 0)
                (block $out (result funcref)
                    (drop (block $in (result funcref) (br_table $in $out (ref.func $seven) (local.get 0))))
                    (ref.func $seven)))
            (i32.add (local.get 1) (call_indirect (result i32) (i32.const 0)))))"#;
    assert_right_in_sandbox(&[program.into()]);
}

/// Values of a `br_table` above other operands were read from cells that were never written: freed memory of the host.
fn tables() -> Vec<String> {
    let mut programs = Vec::new();
    for (blocks, targets) in [(2, 2), (2, 1), (40, 40), (513, 513), (900, 3_000), (7, 70_000)] {
        let labels: String = (0..targets).map(|n| format!("{} ", n % blocks)).collect();
        let two = "(block (result i32 i32) ".repeat(blocks);
        let ends = ")".repeat(blocks);
        programs.push(run(&format!(
            "{two} (local.get 1) (local.get 0) (i32.const 30) (i32.and (local.get 2) (i32.const 1)) br_table {labels} 0 {ends} drop"
        )));
        // The operand below is not a local, and the values are.
        programs.push(run(&format!(
            "(i32.add (local.get 0) (local.get 1)) {two} (local.get 0) (local.get 2) (local.get 1) (local.get 0) br_table {labels} 0 {ends}
             drop i32.add"
        )));
    }
    programs
}

#[test]
fn a_br_table_with_values_above_other_operands() {
    assert_right_in_sandbox(&tables());
}

#[test]
fn wasmi_still_reads_br_table_values_from_the_wrong_cells() {
    assert_wrong_in_wasmi(&tables());
}

/// Operators between a comparison and its `select` that do not prevent the fusion.
fn selects_with_something_between() -> Vec<String> {
    let x = "(i32.add (local.get 0) (i32.const 5)) (i32.const 20)";
    let conditions = [
        "(i64.eqz (i64.extend_i32_u (i32.ne (local.get 0) (i32.const 0))))",
        "(i64.eq (i64.extend_i32_u (i32.ne (local.get 0) (i32.const 0))) (i64.const 0))",
        "(i64.ne (i64.extend_i32_u (i32.eqz (local.get 0))) (i64.const 0))",
        "(i32.eqz (local.get 0)) nop",
        "(i32.eqz (local.get 0)) nop nop local.get 0 local.set 0",
        "(i32.eqz (local.get 0)) (local.tee 0 (local.get 0)) local.set 0",
        "(i32.eqz (local.get 0)) local.get 1 local.get 1 local.get 2 select local.set 1",
        "(i32.eqz (local.get 0)) i32.const 1 drop",
    ];
    conditions
        .iter()
        .map(|condition| run(&format!("{x} {condition} select")))
        .collect()
}

#[test]
fn a_select_after_a_comparison_and_operators_that_emit_nothing() {
    assert_right_in_sandbox(&selects_with_something_between());
}

#[test]
fn wasmi_still_fuses_a_select_with_a_comparison_further_up() {
    assert_wrong_in_wasmi(&selects_with_something_between());
}

/// Address and value are the same local, which is in a register.
fn far_stores() -> Vec<String> {
    let mut programs = Vec::new();
    for store in ["i32.store", "i32.store8", "i32.store16"] {
        for far in ["offset=70000", "1", "1 offset=70000"] {
            programs.push(format!("({store} {far} (local.get 1) (local.get 1))"));
            programs.push(format!("(local.get 1) (local.tee 1 (local.get 1)) {store} {far}"));
            programs.push(format!("(local.get 1) nop (local.get 1) nop {store} {far}"));
        }
    }
    for store in ["i64.store", "i64.store8", "i64.store16", "i64.store32"] {
        for far in ["offset=65536", "1"] {
            programs.push(format!(
                "({store} {far} (local.get 1) (i64.extend_i32_u (local.get 1)))"
            ));
        }
    }
    let load = "(i32.add (i32.load offset=70000 (local.get 1)) (i32.load 1 (local.get 1)))";
    let module = |store: String| {
        format!(
            r#"(module (memory 2) (memory 2) (func (export "run") (param i32 i32 i32) (result i32)
                (local.set 1 (i32.and (i32.add (local.get 0) (i32.const 1)) (i32.const 0xff))) {store} {load}))"#
        )
    };
    programs.into_iter().map(module).collect()
}

#[test]
fn a_store_of_its_own_address() {
    assert_right_in_sandbox(&far_stores());
}

#[test]
fn wasmi_still_lacks_a_store_with_one_register() {
    // Translates immediately, not at the first call.
    let engine = wasmi::Engine::new(wasmi::Config::default().compilation_mode(wasmi::CompilationMode::Eager));
    let panics = far_stores().iter().any(|wat| {
        let wasm = wat::parse_str(wat).unwrap();
        let load = std::panic::AssertUnwindSafe(|| wasmi::Module::new(&engine, wasm).is_ok());
        std::panic::catch_unwind(load).is_err()
    });
    assert!(panics, "wasmi accepts all of them");
}

/// Code that the interpreter knows to be unreachable: its cost must not be charged with the code before it.
#[test]
fn code_after_an_operator_that_always_traps_is_not_charged() {
    let after = "if return end unreachable";
    let many = format!("if {} return end unreachable", "(drop (i32.const 1))".repeat(100));
    let mut programs = Vec::new();
    for after in [after, &many] {
        for traps in [
            "(i32.load (i32.const 70000))",
            "(i32.load (i32.const 65536))",
            "(i32.load (i32.const 65533))",
            "(i32.load offset=70000 (i32.const 0))",
            "(i32.load offset=0xffffffff (i32.const -1))",
            "(i32.load 1 (i32.const 131073))",
            "(i32.store (i32.const 70000) (local.get 1)) (local.get 1)",
            "(i32.store8 offset=65530 (i32.const 7) (i32.const 1)) (local.get 1)",
            "(i64.store 1 (i32.const 200000) (i64.const 1)) (local.get 1)",
            "(f64.store (i32.const -1) (f64.const 1)) (local.get 1)",
            "(i32.div_u (local.get 1) (i32.const 0))",
            "(i32.rem_s (i32.const 0) (i32.const 0))",
            "(i32.div_s (i32.const 0x80000000) (i32.const -1))",
            "(i32.trunc_f32_s (f32.const nan))",
            "(i32.wrap_i64 (i64.rem_u (i64.extend_i32_u (local.get 1)) (i64.const 0)))",
            "(i32.const 0) (loop (param i32) (result i32) (i32.div_u (local.get 1)))",
            "(i32.const 70000) (loop (param i32) (result i32) i32.load)",
        ] {
            programs.push(format!(
                r#"(module (memory 1 1) (memory 2 2) (func (export "run") (param i32 i32 i32) (result i32)
                    (block (br_if 0 (i32.ne (local.get 0) (i32.const 5))) {traps} {after}) (local.get 1)))"#,
                after = after.replace("return", "(return (local.get 2))")
            ));
        }
    }
    // With a first argument of 5 the program traps; with any other it does not get that far.
    for wat in &programs {
        let wasm = wat::parse_str(wat).unwrap();
        let module = Module::new(&Engine::default(), &wasm).unwrap();
        for args in ARGS.into_iter().filter(|args| args[0] != 5) {
            let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
            instance.call("run", &args.map(Value::I32)).unwrap();
            assert_eq!(instance.usage().fuel, expected(&wasm, args).1, "{wat}");
        }
    }
}

/// The parameter is a constant at the entry of the loop, and the loop has no branch to it.
#[test]
fn a_loop_without_a_branch_to_it_hides_constants() {
    let arms = "(then (i32.add (local.get 0) (i32.add (local.get 1) (local.get 2)))) (else (i32.const 7))";
    assert_right_in_sandbox(&[
        run(&format!(
            "(i32.const 0) (loop (param i32) (result i32) (if (result i32) {arms}))"
        )),
        run(&format!(
            "(i32.const 1) (loop (param i32) (result i32) (if (result i32) {arms}))"
        )),
        run("(i32.const 3) (i32.const 4) (loop (param i32 i32) (result i32) i32.add)"),
        run("(local.get 1) (i32.const 0) (loop (param i32 i32) (result i32) (local.get 2) select)"),
    ]);
}

/// A constant address beyond 2^32 is valid in a memory that is large enough: it does not always trap.
#[test]
fn a_constant_address_of_a_64_bit_memory() {
    // The interpreter writes every byte of a new memory, so this one is large only on request.
    let is_large = std::env::var_os("DYNLOAD_PROVE").is_some();
    let pages = if is_large { 65_537 } else { 1 };
    let engine = Engine::new(EngineConfig::default().with_memory64(true));
    let wasm = wat::parse_str(format!(
        r#"(module (memory i64 {pages}) (func (export "run") (param i32) (result i32)
            (block (br_if 0 (local.get 0))
                (i32.store8 (i64.const 0x100000000) (i32.const 7)) (return (i32.load8_u (i64.const 0x100000000))))
            (i32.const 9)))"#
    ));
    let module = Module::new(&engine, wasm.unwrap()).unwrap();
    let limits = Limits::DEFAULT.with_memory_bytes(u64::MAX);
    let mut instance = Sandbox::new(limits).instantiate(&module).unwrap();
    assert_eq!(instance.call("run", &[Value::I32(1)]).unwrap(), [Value::I32(9)]);
    assert_eq!(instance.usage().fuel, 4);
    let beyond = instance.call("run", &[Value::I32(0)]);
    if is_large {
        assert_eq!(beyond.unwrap(), [Value::I32(7)]);
        assert_eq!(instance.usage().fuel, 8);
    } else {
        assert!(matches!(
            beyond.unwrap_err().kind(),
            ErrorKind::Trap(Trap::MemoryOutOfBounds)
        ));
    }
}
