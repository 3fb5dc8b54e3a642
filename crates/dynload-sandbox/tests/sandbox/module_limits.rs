//! The module limits: what compilers produce is within them, and an error says what to raise.

use dynload_sandbox::*;

fn engine(limits: ModuleLimits) -> Engine {
    Engine::new(EngineConfig::default().with_module_limits(limits))
}

fn load(text: &str) -> Result<Module, ModuleError> {
    Module::new(&Engine::default(), wat::parse_str(text).unwrap())
}

fn call(module: &Module, argument: i32) -> Option<i32> {
    let limits = Limits::DEFAULT.with_stack_bytes(1 << 30);
    let mut instance = Sandbox::new(limits).instantiate(module).unwrap();
    instance.call("f", &[Value::I32(argument)]).unwrap()[0].as_i32()
}

/// A `switch` over this many cases, as compilers translate it: a block around each.
fn switch(cases: usize) -> String {
    let labels: String = (0..cases).map(|label| format!("{label} ")).collect();
    let arms: String = (0..cases)
        .map(|case| format!("end i32.const {case} return\n"))
        .collect();
    format!(
        r#"(module (func (export "f") (param i32) (result i32) {} local.get 0 br_table {labels} {arms} unreachable))"#,
        "block ".repeat(cases)
    )
}

#[test]
fn a_switch_of_many_cases() {
    // A `br_table` has at most 65 520 labels, as in Wasmtime and V8.
    let module = load(&switch(65_000)).unwrap();
    for case in [0, 1, 1_000, 64_999] {
        assert_eq!(call(&module, case), Some(case));
    }
}

/// With a visit of every frame that a branch leaves, this takes minutes.
#[test]
fn branches_out_of_deep_nesting() {
    for (open, rest) in [("block", ""), ("loop", ""), ("local.get 0 if", "else")] {
        let depth = 100_000;
        let nested: String = (0..depth)
            .map(|label| format!("{open} local.get 0 br_if {label}\n"))
            .collect();
        let text = format!(
            r#"(module (func (export "f") (param i32) (result i32)
                block {nested} {} end i32.const 7))"#,
            format!("{rest} end ").repeat(depth)
        );
        assert_eq!(call(&load(&text).unwrap(), 0), Some(7), "{open}");
    }
}

/// Hidden locals are added to those of the function: here as many as the rewriter ever adds.
#[test]
fn the_largest_number_of_locals() {
    let types = ["i32", "i64", "f32", "f64"];
    let tables: String = types
        .iter()
        .map(|ty| {
            let values = format!("({ty}.const 1) ").repeat(16);
            format!(
                "(block (result {all}) (block (result {all}) {values} (br_table 0 1 (local.get 0))) ) {}\n",
                "drop ".repeat(16),
                all = format!("{ty} ").repeat(16)
            )
        })
        .collect();
    let text = |locals: usize| {
        format!(
            r#"(module (func (export "f") (param i32) (result i32) (local {}) {tables}
                (local.set {} (i32.const 5)) (local.get {}) (call $g)) (func $g (param i32) (result i32) local.get 0))"#,
            "i32 ".repeat(locals - 1),
            locals - 1,
            locals - 1,
        )
    };
    assert_eq!(call(&load(&text(29_900)).unwrap(), 0), Some(5));
    let error = load(&text(29_901)).unwrap_err().to_string();
    assert_eq!(
        error,
        "the module has 29901 locals in function 0 (`f`), and the interpreter supports at most 29900"
    );
    // A higher limit changes nothing.
    let raised = engine(ModuleLimits::default().with_locals(u64::MAX));
    let wasm = wat::parse_str(text(29_901)).unwrap();
    assert_eq!(Module::new(&raised, wasm).unwrap_err().to_string(), error);
}

/// In the interpreter, a vector takes the place of two other values.
#[cfg(all(feature = "simd", target_endian = "little"))]
#[test]
fn vectors_count_as_two_locals() {
    let text = |locals: usize| format!("(module (func (local {})))", "v128 ".repeat(locals));
    load(&text(14_950)).unwrap();
    let error = load(&text(14_951)).unwrap_err().to_string();
    assert!(error.contains("29902 locals in function 0"), "{error}");
}

#[test]
fn custom_sections_are_not_counted() {
    let mut wasm = wat::parse_str("(module)").unwrap();
    let limits = ModuleLimits::default()
        .with_bytes(wasm.len() as u64 + 100)
        .with_load_bytes(10_000);
    wasm.extend([0, 0x80, 0x80, 0x40, 5]);
    wasm.extend(b"debug");
    wasm.resize(wasm.len() + (1 << 20) - 6, 0);
    Module::new(&engine(limits), &wasm).unwrap();
}

#[test]
fn the_message_names_the_function_and_the_limit() {
    let limits = ModuleLimits::default().with_locals(10).with_body_bytes(100);
    let refused = |text: &str| {
        Module::new(&engine(limits), wat::parse_str(text).unwrap())
            .unwrap_err()
            .to_string()
    };
    let locals = "(local i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)";
    let raise = "to load it, raise the module limit `locals`";
    assert_eq!(
        refused(&format!("(module (func) (func $parse {locals}))")),
        format!("the module has 12 locals in function 1 (`parse`), and the limit is 10; {raise}")
    );
    assert_eq!(
        refused(&format!(r#"(module (func (export "run") {locals}))"#)),
        format!("the module has 12 locals in function 0 (`run`), and the limit is 10; {raise}")
    );
    assert_eq!(
        refused(&format!("(module (func {locals}))")),
        format!("the module has 12 locals in function 0, and the limit is 10; {raise}")
    );
    // A hostile name does not reach a terminal.
    let hostile = refused(&format!(r#"(module (func (export "\1b[2J") {locals}))"#));
    assert!(!hostile.contains('\u{1b}'), "{hostile}");
    assert_eq!(
        refused(&format!("(module (func {}))", "nop ".repeat(200))),
        "the module has 202 bytes of code in function 0, and the limit is 100; to load it, raise the module limit `body-bytes`"
    );
}

#[test]
fn every_limit_has_a_text_form() {
    for limit in ModuleLimit::ALL {
        assert_eq!(limit.to_string().parse(), Ok(*limit));
        assert_eq!(ModuleLimits::default().with(*limit, 7).get(*limit), 7);
    }
    let error = "local".parse::<ModuleLimit>().unwrap_err();
    assert_eq!(error.nearest, Some("locals"));
    assert_eq!(
        error.to_string(),
        "unknown module limit \"local\": did you mean `locals`?"
    );
    let error = "quantum".parse::<ModuleLimit>().unwrap_err().to_string();
    assert!(
        error.ends_with(
            "the known names are bytes, items, elements, constant-operators, memories, params, locals, \
        total-locals, body-bytes, carried-values, load-bytes, name-bytes"
        ),
        "{error}"
    );
}
