//! What wasmi 2.0.0 computes wrong and the sandbox computes right, with the oracle as the judge of both.
//!
//! Each gap has a test of the sandbox, and one that fails when the interpreter has been repaired: what the rewriter does about
//! it may go then.

use dynload_oracle::{self as oracle, Oracle};
use dynload_sandbox::*;

/// What the programs, functions `run` of three numbers, are called with.
const ARGS: [[i32; 3]; 5] = [[0, 10, 20], [1, 10, 20], [-1, 0, 5], [0, 0, 1], [5, 7, 0]];

/// What comes of a program, and the fuel it takes.
fn wanted(wasm: &[u8], args: [i32; 3]) -> (i32, u64) {
    let mut oracle = Oracle::new(wasm, oracle::Imports::new(), oracle::Schedule::default()).unwrap();
    oracle.instantiate(oracle::Limits::default()).unwrap();
    let outcome = oracle.call("run", &args.map(oracle::Value::I32), oracle::Limits::default());
    match outcome.result.unwrap()[..] {
        [oracle::Value::I32(result)] => (result, outcome.usage.fuel),
        ref other => panic!("{other:?}"),
    }
}

/// All programs give in the sandbox what they should, for what they should.
fn right_in_the_sandbox(programs: &[String]) {
    for wat in programs {
        let wasm = wat::parse_str(wat).unwrap();
        let module = Module::new(&Engine::default(), &wasm).unwrap();
        for args in ARGS {
            let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
            let found = instance.call("run", &args.map(Value::I32)).unwrap();
            let (result, fuel) = wanted(&wasm, args);
            assert!(
                matches!(found[..], [Value::I32(found)] if found == result),
                "{args:?}: {found:?} instead of {result}: {wat}"
            );
            assert_eq!(instance.usage().fuel, fuel, "{args:?}: {wat}");
        }
    }
}

/// Some of the programs give something else in the interpreter alone.
fn wrong_in_the_interpreter(programs: &[String]) {
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
            wrong += usize::from(found != wanted(&wasm, args).0);
        }
    }
    assert!(wrong > 0, "the interpreter computes all of them right");
}

fn run(body: &str) -> String {
    format!(r#"(module (func (export "run") (param i32 i32 i32) (result i32) {body}))"#)
}

/// A comparison of a local with zero is the condition of a `select`: the two are joined, and the condition is then looked
/// for in a place that something else has overwritten.
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
fn a_select_behind_a_comparison_with_zero() {
    right_in_the_sandbox(&selects());
}

#[test]
fn the_interpreter_still_needs_select_kept_apart() {
    wrong_in_the_interpreter(&selects());
}

/// A local lies below the parameters of a block, and not all of these are locals: it is copied where not every way leads,
/// or more than once.
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
            // The last parameter of the loop is taken at its start, and given back at its end.
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
    right_in_the_sandbox(&params());
}

#[test]
fn the_interpreter_still_needs_locals_copied_before_parameters() {
    wrong_in_the_interpreter(&params());
}

/// A `br_table` takes values along, references among them.
#[test]
fn a_br_table_takes_a_reference_along() {
    let program = r#"(module (table 1 funcref) (elem declare func $seven)
        (func $seven (result i32) (i32.const 7))
        (func (export "run") (param i32 i32 i32) (result i32)
            (table.set 0 (i32.const 0)
                (block $out (result funcref)
                    (drop (block $in (result funcref) (br_table $in $out (ref.func $seven) (local.get 0))))
                    (ref.func $seven)))
            (i32.add (local.get 1) (call_indirect (result i32) (i32.const 0)))))"#;
    right_in_the_sandbox(&[program.into()]);
}
