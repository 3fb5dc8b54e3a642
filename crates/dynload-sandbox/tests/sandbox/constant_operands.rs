//! The interpreter's translator folds constants, decides branches by them, and drops the code after an operator
//! that it knows to trap. Here, every operator with every kind of operand is on the path that is not taken,
//! with code after it: the cost of that code must not be charged to the path that is taken. The oracle provides
//! the expected results.
//!
//! The reasons were found in wasmi 2.0.0's translator; a new translator shows here as a different price.

use dynload_oracle::{self as oracle, Oracle, Schedule};
use dynload_sandbox::*;

/// Operands of a type: a local, and constants at the edges.
fn operands(ty: &str) -> Vec<String> {
    let (local, constants): (usize, &[&str]) = match ty {
        "i32" => (
            1,
            &[
                "0",
                "1",
                "-1",
                "0x80000000",
                "0x7fffffff",
                "31",
                "65535",
                "65536",
                "70000",
                "131072",
            ],
        ),
        "i64" => (
            2,
            &[
                "0",
                "1",
                "-1",
                "0x8000000000000000",
                "63",
                "65536",
                "131072",
                "0xffffffff",
                "0x100000000",
            ],
        ),
        "f32" => (3, &["0", "-0", "inf", "nan", "1e30", "-1.5"]),
        "f64" => (4, &["0", "-0", "-inf", "nan", "1e300", "2147483648"]),
        _ => {
            return vec![
                "(local.get 5)".into(),
                "(ref.null func)".into(),
                "(ref.func $f)".into(),
            ];
        }
    };
    let local = format!("(local.get {local})");
    let constants = constants.iter().map(|value| format!("({ty}.const {value})"));
    // An immutable global of the module itself is a constant too.
    let global = format!("(global.get ${ty})");
    std::iter::once(local).chain(constants).chain([global]).collect()
}

/// Operators, and the types of their operands.
fn operators() -> Vec<(String, Vec<&'static str>)> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for ty in ["i32", "i64"] {
        for name in [
            "add", "sub", "mul", "div_s", "div_u", "rem_s", "rem_u", "and", "or", "xor", "shl", "shr_s",
            "shr_u", "rotl", "rotr", "eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s",
            "ge_u",
        ] {
            all.push((format!("{ty}.{name}"), vec![ty, ty]));
        }
        for name in ["clz", "ctz", "popcnt", "eqz", "extend8_s", "extend16_s"] {
            all.push((format!("{ty}.{name}"), vec![ty]));
        }
        for from in ["f32", "f64"] {
            for name in ["trunc", "trunc_sat"] {
                for sign in ["s", "u"] {
                    all.push((format!("{ty}.{name}_{from}_{sign}"), vec![from]));
                }
            }
        }
        for load in ["load", "load8_s", "load8_u", "load16_s", "load16_u"] {
            for memarg in [
                "",
                " offset=65533",
                " offset=65536",
                " offset=0xffffffff",
                " 1",
                " 1 offset=131069",
            ] {
                all.push((format!("{ty}.{load}{memarg}"), vec!["i32"]));
            }
        }
        for store in ["store", "store8", "store16"] {
            for memarg in [
                "",
                " offset=65533",
                " offset=65536",
                " offset=0xffffffff",
                " 1",
                " 1 offset=131069",
            ] {
                all.push((format!("{ty}.{store}{memarg}"), vec!["i32", ty]));
            }
        }
    }
    for ty in ["f32", "f64"] {
        for name in [
            "add", "sub", "mul", "div", "min", "max", "copysign", "eq", "ne", "lt", "gt", "le", "ge",
        ] {
            all.push((format!("{ty}.{name}"), vec![ty, ty]));
        }
        for name in ["abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt"] {
            all.push((format!("{ty}.{name}"), vec![ty]));
        }
        for from in ["i32", "i64"] {
            for sign in ["s", "u"] {
                all.push((format!("{ty}.convert_{from}_{sign}"), vec![from]));
            }
        }
        for memarg in ["", " offset=65536", " 1 offset=131069"] {
            all.push((format!("{ty}.load{memarg}"), vec!["i32"]));
            all.push((format!("{ty}.store{memarg}"), vec!["i32", ty]));
        }
    }
    for (name, operands) in [
        ("i32.wrap_i64", vec!["i64"]),
        ("i64.extend_i32_s", vec!["i32"]),
        ("i64.extend_i32_u", vec!["i32"]),
        ("i64.extend32_s", vec!["i64"]),
        ("f32.demote_f64", vec!["f64"]),
        ("f64.promote_f32", vec!["f32"]),
        ("i32.reinterpret_f32", vec!["f32"]),
        ("i64.reinterpret_f64", vec!["f64"]),
        ("f32.reinterpret_i32", vec!["i32"]),
        ("f64.reinterpret_i64", vec!["i64"]),
        ("ref.is_null", vec!["funcref"]),
        ("select", vec!["i64", "i64", "i32"]),
        ("select (result funcref)", vec!["funcref", "funcref", "i32"]),
        ("memory.size", vec![]),
        ("memory.grow", vec!["i32"]),
        ("memory.grow 1", vec!["i32"]),
        ("memory.fill", vec!["i32", "i32", "i32"]),
        ("memory.copy", vec!["i32", "i32", "i32"]),
        ("memory.init $data", vec!["i32", "i32", "i32"]),
        ("data.drop $data", vec![]),
        ("table.get", vec!["i32"]),
        ("table.set", vec!["i32", "funcref"]),
        ("table.size", vec![]),
        ("table.grow", vec!["funcref", "i32"]),
        ("table.fill", vec!["i32", "funcref", "i32"]),
        ("table.copy", vec!["i32", "i32", "i32"]),
        ("table.init $elem", vec!["i32", "i32", "i32"]),
        ("elem.drop $elem", vec![]),
        ("call_indirect (type $i)", vec!["i32"]),
        ("return_call_indirect (type $i)", vec!["i32"]),
        ("local.set 1", vec!["i32"]),
        ("local.tee 2", vec!["i64"]),
        ("global.set $set", vec!["i32"]),
        ("br_if 1", vec!["i32"]),
        ("br_table 1", vec!["i32"]),
        ("br_table 1 1 1", vec!["i32"]),
        ("br_table 0 1", vec!["i32"]),
        ("if unreachable else nop end", vec!["i32"]),
        ("if else unreachable end", vec!["i32"]),
        ("if (result i64) i64.const 1 else i64.const 2 end", vec!["i32"]),
    ] {
        all.push((name.to_owned(), operands));
    }
    all
}

/// All combinations of operands for an operator; for three or more operands, only the first four choices of each.
fn combinations(types: &[&str]) -> Vec<String> {
    let mut all = vec![String::new()];
    for ty in types {
        let operands = operands(ty);
        let few = if types.len() > 2 { 4 } else { operands.len() };
        all = all
            .iter()
            .flat_map(|before| {
                operands
                    .iter()
                    .take(few)
                    .map(move |operand| format!("{before} {operand}"))
            })
            .collect();
    }
    all
}

#[test]
fn code_after_an_operator_is_not_charged_to_a_path_that_skips_it() {
    // Many operators per module, one function each: most of the time is spent on loading.
    let functions: Vec<String> = operators()
        .iter()
        .flat_map(|(operator, types)| {
            combinations(types)
                .into_iter()
                .map(move |operands| format!("{operands} {operator}"))
        })
        .collect();
    let engine = Engine::default();
    for portion in functions.chunks(500) {
        let mut text = String::from(
            r#"(module (memory 1 1) (memory 1 2) (table 2 4 funcref) (elem (i32.const 0) $f $f)
            (type $i (func (result i64)))
            (data $data "abc") (elem $elem func $f) (global $set (mut i32) (i32.const 0))
            (global $i32 i32 (i32.const 0)) (global $i64 i64 (i64.const 0)) (global $f32 f32 (f32.const 1)) (global $f64 f64 (f64.const 1))
            (func $f (result i64) (i64.const 5))
            "#,
        );
        for (n, operator) in portion.iter().enumerate() {
            // Results that the operator leaves on the stack end with the code after it: `unreachable` accepts them all.
            text += &format!(
                r#"(func (export "{n}") (param i32 i32 i64 f32 f64) (result i64) (local funcref)
                    (block (block (br_if 1 (local.get 0)) {operator}
                        (if (local.get 1) (then (drop (i32.const 1)) (drop (i32.const 1)) (return (i64.const 3))))
                        (drop (i64.const 7)) unreachable)
                        (return (i64.const 4)))
                    (i64.const 9))"#
            );
        }
        text += ")";
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
        let module = Module::new(&engine, &wasm).unwrap();
        let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
        let mut reference = Oracle::new(&wasm, oracle::Imports::new(), Schedule::default()).unwrap();
        reference.instantiate(oracle::Limits::default()).unwrap();
        let args = [
            Value::I32(1),
            Value::I32(0),
            Value::I64(0),
            Value::F32(0.0),
            Value::F64(0.0),
        ];
        let oracle_args = [
            oracle::Value::I32(1),
            oracle::Value::I32(0),
            oracle::Value::I64(0),
            oracle::Value::F32(0),
            oracle::Value::F64(0),
        ];
        for (n, operator) in portion.iter().enumerate() {
            let wanted = reference.call(&n.to_string(), &oracle_args, oracle::Limits::default());
            let found = instance.call(&n.to_string(), &args);
            assert_eq!(found.unwrap(), [Value::I64(9)], "{operator}");
            assert_eq!(instance.usage().fuel, wanted.usage.fuel, "{operator}");
        }
    }
}
