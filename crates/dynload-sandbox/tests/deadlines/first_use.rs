//! Functions are translated when they are first called, and deadlines hold meanwhile.

use super::{ProcessorClock, limits, overshoot_of, within_bounds};
use dynload_sandbox::*;
use std::{fmt::Write, time::Duration};

/// The calls have less time than translating one of the modules takes.
const LIMIT: u64 = 4;

/// A module whose `run` takes some steps of a cheap loop, calls each of a number of functions once, and then never ends.
fn calls(functions: usize, burst: u32, function: &str) -> String {
    let mut text = format!("(module {}\n", format!("(func {function})\n").repeat(functions));
    let _ = write!(
        text,
        "(func (export \"run\") (local $n i32) (local.set $n (i32.const {burst}))
            (loop $cheap (br_if $cheap (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0)))) "
    );
    for i in 0..functions {
        let _ = write!(text, "(call {i})");
    }
    text + "(loop (br 0))))"
}

/// As `calls`, but through a table.
fn indirect_calls(functions: usize, function: &str) -> String {
    let indices: String = (0..functions).map(|i| format!("{i} ")).collect();
    format!(
        "(module {functions_text} (table {functions} funcref) (elem (i32.const 0) func {indices})
            (func (export \"run\") (local $i i32)
                (loop $all
                    (call_indirect (local.get $i))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $all (i32.lt_u (local.get $i) (i32.const {functions}))))
                (loop (br 0))))",
        functions_text = format!("(func {function})\n").repeat(functions),
    )
}

/// Code that takes the interpreter time, and hardly any when it runs.
fn unused(code: &str, times: usize) -> String {
    format!(
        "(local i32) (br_if 0 (i32.eqz (local.get 0))) {}",
        code.repeat(times)
    )
}

const SUM: &str = "(drop (i32.add (i32.load (i32.const 8)) (i32.const 1)))";

fn programs() -> Vec<(String, String)> {
    let mut programs = Vec::new();
    let mut add = |what: &str, text: String| programs.push((what.to_owned(), text));
    for burst in [1, 300_000] {
        for (functions, times) in [(10_000, 12), (1_000, 150), (100, 1_500), (20, 10_000)] {
            let what = format!("{functions} functions after {burst}");
            add(
                &what,
                calls(functions, burst, &unused("(drop (i32.const 1))", times)),
            );
        }
    }
    let large = unused("(drop (i32.const 1))", 1 << 20);
    add("a function of 4 MiB", calls(1, 1, &large));
    let large = unused("(block (br_if 0 (local.get 0)))", 60_000);
    add("large functions", calls(2, 1, &large));
    add("empty functions", calls(15_000, 1, ""));
    add(
        "functions that declare locals",
        calls(2_000, 1, &format!("(local {})", "i64 ".repeat(1_000))),
    );
    add(
        "functions with 29 000 locals",
        calls(60, 1, &format!("(local {})", "i64 ".repeat(29_000))),
    );
    add("indirect calls of tiny functions", indirect_calls(10_000, ""));
    add(
        "indirect calls",
        indirect_calls(5_000, &unused("(drop (i32.const 1))", 12)),
    );
    let loads = |module: String| module.replacen("(module", "(module (memory 1)", 1);
    add(
        "functions that load",
        loads(indirect_calls(1_000, &unused(SUM, 100))),
    );
    for code in [
        "(block (br_if 0 (i32.const 0)))",
        "(if (i32.const 1) (then))",
        "(loop)",
        "(drop (select (i32.const 1) (i32.const 2) (i32.eqz (i32.const 3))))",
        "(drop (block (result i64) (i64.const 1)))",
    ] {
        add(code, calls(300, 1, &unused(code, 200)));
        add(code, calls(5_000, 1, &unused(code, 10)));
    }
    let wide = format!(
        "(func $wide (param {0}) (result {0}) {1})",
        "i64 ".repeat(500),
        (0..500).map(|i| format!("(local.get {i})")).collect::<String>()
    );
    let values = "(i64.const 1)".repeat(500);
    let carrying = format!("{values} {} {}", "call $wide ".repeat(20), "drop ".repeat(500));
    add(
        "functions that carry values",
        indirect_calls(40, &unused(&carrying, 1))
            .strip_suffix(')')
            .unwrap_or_default()
            .to_owned()
            + &wide
            + ")",
    );
    programs
}

/// Checks the bounds for every program, loaded by `load`.
#[track_caller]
fn check(what: &str, load: impl Fn(&[u8]) -> Module) {
    let limit = Duration::from_millis(LIMIT);
    let sandbox = Sandbox::new(limits().with_time(limit)).with_clock(ProcessorClock);
    let late = programs().into_iter().map(|(what, text)| {
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{what}: {error}"));
        (overshoot_of(&sandbox, || load(&wasm), limit), what)
    });
    within_bounds(what, late.collect());
}

#[test]
fn deadlines_while_functions_are_translated() {
    check("translation", |wasm| {
        Module::new(&Engine::default(), wasm).unwrap()
    });
}

#[test]
fn deadlines_while_functions_are_validated_and_translated() {
    check("validation and translation", |wasm| {
        let engine = Engine::default();
        let prepared = Module::prepare(&engine, wasm).unwrap();
        Module::from_prepared(&engine, prepared).unwrap()
    });
}
