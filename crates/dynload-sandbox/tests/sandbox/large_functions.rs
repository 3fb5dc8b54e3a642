//! Functions that are translated when the module is loaded although the others are not.

use crate::subject::sandbox::{configs, sandbox, wide};
use dynload_sandbox::*;

/// A module with a function of 60 KiB that adds 1 to its parameter, and `extra` parts.
fn module(extra: &str) -> Vec<u8> {
    let unused = "(drop (i32.const 1))".repeat(20_000);
    let text = format!(
        r#"(module {extra}
            (func $large (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then {unused}))
                (i32.add (local.get 0) (i32.const 1))))"#
    );
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn they_run_and_are_metered_as_always() {
    let wasm = module(
        r#"(import "env" "mix" (func $mix (param i32 i32) (result i32)))
           (memory 1) (data (i32.const 0) "abc") (global $started (mut i32) (i32.const 0))
           (start $start) (func $start (global.set $started (i32.add (global.get $started) (i32.const 1))))
           (func (export "run") (param i32) (result i32 i32)
                (call $mix (call $large (local.get 0)) (i32.load8_u (i32.const 0))) (global.get $started))"#,
    );
    let mut usages = Vec::new();
    for config in configs() {
        let module = Module::new(&Engine::new(config), &wasm).unwrap();
        assert_eq!(module.exports().count(), 1);
        let mut instance = sandbox(wide(), None).instantiate(&module).unwrap();
        for argument in [5, 0, 5] {
            let results = instance.call("run", &[Value::I32(argument)]).unwrap();
            // The start function ran once in this instance.
            assert_eq!(
                results,
                [Value::I32((argument + 1) * 31 + i32::from(b'a')), Value::I32(1)]
            );
            usages.push((argument, instance.usage().fuel));
        }
    }
    for (argument, fuel) in &usages {
        assert_eq!(usages[usize::from(*argument == 0)].1, *fuel);
    }
}

/// They become exports, which `ref.func` accepts; the guest's own module declares nothing.
#[test]
fn an_undeclared_reference_to_one_is_invalid() {
    let error = Module::new(&Engine::default(), module("(func (drop (ref.func $large)))")).unwrap_err();
    assert!(matches!(error, ModuleError::Invalid { .. }), "{error}");
    let declared = "(elem declare func $large) (func (drop (ref.func $large)))";
    Module::new(&Engine::default(), module(declared)).unwrap();
}

/// Translating them needs an instance. Where there can be none, everything is translated at load.
#[test]
fn a_module_that_cannot_be_instantiated_is_loaded() {
    for (extra, missing) in [
        (r#"(import "env" "memory" (memory 1))"#, true),
        (r#"(memory 1) (data (i32.const 65536) "beyond its end")"#, false),
    ] {
        let module = Module::new(&Engine::default(), module(extra)).unwrap();
        let error = sandbox(wide(), None).instantiate(&module).unwrap_err();
        let is_missing = matches!(error.kind(), ErrorKind::MissingImports(_));
        assert_eq!(is_missing, missing, "{error}");
    }
}

/// The memory of that instance counts.
#[test]
fn loading_takes_the_memory_of_an_instance() {
    let config = EngineConfig::default();
    let estimate = |extra: &str| load_estimate(&module(extra), &config).unwrap();
    assert!(estimate("(memory 1600)") > estimate("(memory 0)") + (100 << 20));
    let limits = ModuleLimits::default().with_load_bytes(estimate("(memory 0)") + (1 << 20));
    let engine = Engine::new(config.with_module_limits(limits));
    Module::new(&engine, module("(memory 1600)")).unwrap();
}
