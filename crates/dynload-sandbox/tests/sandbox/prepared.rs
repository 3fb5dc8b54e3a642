//! Prepared modules: they behave as the originals, and whatever their bytes are, loading them returns.

use crate::subject::sandbox::{configs, sandbox, wide};
use dynload_oracle::guests;
use dynload_sandbox::*;
use proptest::prelude::*;
use std::time::Duration;

/// Modules that have each of the properties a prepared module records.
const MODULES: [&str; 5] = [
    "(module)",
    r#"(module (memory 1) (table 1 funcref) (global $g (mut i32) (i32.const 0)) (start $start)
        (func $start (global.set $g (i32.const 7)))
        (func $down (param i32) (result i32) (if (result i32) (local.get 0)
            (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else (global.get $g))))
        (func (export "run") (result i32) (drop (memory.grow (i32.const 1))) (call $down (i32.const 20))))"#,
    r#"(module (func (export "run") (result i32) (loop (br_if 0 (i32.const 0))) (i32.const 1)))"#,
    r#"(module (import "env" "mix" (func $mix (param i32 i32) (result i32)))
        (func (export "run") (result i32) (call $mix (i32.const 1) (i32.const 2))))"#,
    r#"(module (memory 1) (data (i32.const 0) "abc") (func (export "run") (result i32) (i32.load (i32.const 0))))"#,
];

/// The results and the usage of two calls, the second of them on an instance that ran before.
fn runs(module: &Module, args: &[Value]) -> Vec<(Result<Vec<Value>, String>, Usage)> {
    let mut instance = sandbox(wide(), None).instantiate(module).unwrap();
    let created = (Ok(Vec::new()), instance.usage());
    let mut all = vec![created];
    for _ in 0..2 {
        let result = instance.call("run", args).map_err(|error| error.to_string());
        let mut usage = instance.usage();
        usage.wall_time = None;
        all.push((result, usage));
    }
    all
}

#[test]
fn a_prepared_module_behaves_as_the_original() {
    let mut modules: Vec<(Vec<u8>, Vec<Value>)> = MODULES
        .iter()
        .map(|text| (wat::parse_str(text).unwrap(), Vec::new()))
        .collect();
    for guest in ["json", "fib", "hashmap"] {
        modules.push((guests::wasm(guest).unwrap(), vec![Value::I32(5)]));
    }
    for engine in configs().map(Engine::new) {
        for (wasm, args) in &modules {
            let original = Module::new(&engine, wasm).unwrap();
            let prepared = Module::prepare(&engine, wasm).unwrap();
            let loaded = Module::from_prepared(&engine, &prepared).unwrap();
            assert!(original.imports().eq(loaded.imports()));
            assert!(original.exports().eq(loaded.exports()));
            assert_eq!(runs(&original, args), runs(&loaded, args));
        }
    }
}

/// The settings of the engine that prepared the module apply; one that loads it may translate it earlier.
#[test]
fn the_rewritten_form_is_that_of_the_engine_that_prepared_it() {
    let wasm = wat::parse_str(MODULES[1]).unwrap();
    let profiling = Engine::new(EngineConfig::default().with_profile(true));
    let prepared = Module::prepare(&profiling, &wasm).unwrap();
    let at_load = EngineConfig::default().with_translation(Translation::AtLoad);
    let loaded = Module::from_prepared(&Engine::new(at_load), prepared.into_bytes()).unwrap();
    let mut instance = sandbox(wide(), None).instantiate(&loaded).unwrap();
    instance.call("run", &[]).unwrap();
    assert_eq!(instance.usage().peak_call_depth, Some(22));
}

#[test]
fn what_cannot_be_prepared_is_refused_as_when_it_is_loaded() {
    for wasm in [&b""[..], b"\x7fELF", b"\0asm\x01\0\0\0\xff"] {
        let error = Module::prepare(&Engine::default(), wasm).unwrap_err();
        let same = Module::new(&Engine::default(), wasm).unwrap_err();
        assert_eq!(error.to_string(), same.to_string());
    }
}

#[test]
fn limits_of_the_loading_engine_apply() {
    let prepared = Module::prepare(&Engine::default(), wat::parse_str(MODULES[1]).unwrap()).unwrap();
    for limits in [
        ModuleLimits::default().with_bytes(20),
        ModuleLimits::default().with_load_bytes(20),
    ] {
        let engine = Engine::new(EngineConfig::default().with_module_limits(limits));
        let error = Module::from_prepared(&engine, &prepared).unwrap_err();
        assert!(matches!(error, ModuleError::TooLarge { most: 20, .. }), "{error}");
    }
}

/// Why bytes are refused, or an empty text if they are a prepared module.
fn refused(bytes: &[u8]) -> String {
    match Module::from_prepared(&Engine::default(), bytes) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn damage_is_detected() {
    let wasm = wat::parse_str(MODULES[1]).unwrap();
    let bytes = Module::prepare(&Engine::default(), &wasm).unwrap().into_bytes();
    assert_eq!(refused(&bytes), "");
    assert!(refused(&wasm).contains("load it with `Module::new`"));
    for at in 0..bytes.len() {
        for flipped in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flipped;
            assert!(
                refused(&damaged).starts_with("not a prepared module"),
                "byte {at}"
            );
        }
        assert!(
            refused(&bytes[..at]).starts_with("not a prepared module"),
            "{at} bytes"
        );
    }
    let mut other = bytes;
    other[16] += 1;
    assert!(refused(&other).contains("another version"));
}

/// The checksum as it is documented.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(checked) = bytes.get(16..) {
        let mut sum = checked.len() as u64;
        for start in (0..=checked.len() / 8).map(|n| n * 8) {
            let mut number = [0; 8];
            let part = &checked[start..checked.len().min(start + 8)];
            number[..part.len()].copy_from_slice(part);
            sum = (sum ^ u64::from_le_bytes(number))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29);
        }
        bytes[8..16].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Changes the body of the function whose code is `from` after it was prepared. Code that is straight keeps its bytes.
fn with_code(mut prepared: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = prepared.windows(from.len()).position(|bytes| bytes == from);
    let at = at.expect("the code occurs");
    prepared[at..at + to.len()].copy_from_slice(to);
    with_checksum(prepared)
}

/// What is invalid never runs: each call of it fails, in each instance, and other functions are not affected.
#[test]
fn functions_that_were_made_invalid_fail_when_they_are_called() {
    const I32_CONST: &[u8] = &[0x41, 0xd2, 0x09, 0x0b];
    const I64_CONST: &[u8] = &[0x42, 0xd2, 0x09, 0x0b];
    let wasm = wat::parse_str(
        r#"(module (func $bad (export "bad") (result i32) (i32.const 1234))
            (func (export "calls") (result i32) (i32.add (call $bad) (i32.const 1)))
            (func (export "good") (result i32) (i32.const 5)))"#,
    );
    let engine = Engine::default();
    let prepared = Module::prepare(&engine, wasm.unwrap()).unwrap().into_bytes();
    let forged = with_code(prepared, I32_CONST, I64_CONST);
    let module = Module::from_prepared(&engine, &forged).unwrap();
    for _ in 0..2 {
        let mut instance = sandbox(wide(), None).instantiate(&module).unwrap();
        for function in ["bad", "calls", "bad"] {
            let error = instance.call(function, &[]).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Engine(_)), "{error}");
            let poisoned = instance.call("good", &[]).unwrap_err();
            assert!(matches!(poisoned.kind(), ErrorKind::Poisoned(_)), "{poisoned}");
            instance.reset().unwrap();
            assert_eq!(instance.call("good", &[]).unwrap(), [Value::I32(5)]);
        }
    }
    let at_load = Engine::new(EngineConfig::default().with_translation(Translation::AtLoad));
    let error = Module::from_prepared(&at_load, &forged).unwrap_err();
    assert!(matches!(error, ModuleError::Engine(_)), "{error}");
}

/// Large functions are translated at load, and then validated there.
#[test]
fn large_functions_that_were_made_invalid_are_refused() {
    let code = format!("(i32.const 1234) {}", "(i32.const 1) (i32.add)".repeat(20_000));
    let wasm = wat::parse_str(format!(r#"(module (func (export "run") (result i32) {code}))"#)).unwrap();
    let prepared = Module::prepare(&Engine::default(), wasm).unwrap().into_bytes();
    let forged = with_code(prepared, &[0x41, 0xd2, 0x09], &[0x42, 0xd2, 0x09]);
    assert!(refused(&forged).contains("interpreter"), "{}", refused(&forged));
}

/// A build without vectors refuses a module with vectors when it is loaded, not when it is called.
#[cfg(not(all(feature = "simd", target_endian = "little")))]
#[test]
fn modules_with_vectors_are_validated_at_load() {
    let wasm = wat::parse_str(r#"(module (func (export "run") (result i32) (i32.const 1234)))"#).unwrap();
    let prepared = Module::prepare(&Engine::default(), wasm).unwrap().into_bytes();
    // `v128.const` is a vector instruction; what follows does not matter.
    let mut forged = with_code(prepared, &[0x41, 0xd2, 0x09], &[0xfd, 0x0c]);
    assert_eq!(refused(&forged), "");
    forged[20] |= 64;
    let forged = with_checksum(forged);
    assert!(!refused(&forged).is_empty());
}

/// The parts that the host relies on are checked even if the checksum is right.
#[test]
fn a_module_without_what_the_host_needs_is_refused() {
    let plain = wat::parse_str(r#"(module (func (export "run")))"#).unwrap();
    for (module, flags) in [(0, 0_u32), (1, 1), (1, 2), (2, 8), (2, 16), (0, 32)] {
        let engine = Engine::default();
        let prepared = Module::prepare(&engine, wat::parse_str(MODULES[module]).unwrap()).unwrap();
        let mut bytes = prepared.into_bytes();
        if flags == 0 {
            bytes.truncate(72);
            bytes.extend_from_slice(&plain);
        }
        let before = u32::from_le_bytes(bytes[20..24].try_into().unwrap());
        bytes[20..24].copy_from_slice(&(before | flags).to_le_bytes());
        let bytes = with_checksum(bytes);
        let lacks = refused(&bytes).contains("lacks what the host needs");
        assert_eq!(lacks, flags != 32, "{module} with {flags}: {}", refused(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("DYNLOAD_PROVE").is_some() { 20_000 } else { 500 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Any bytes with a right checksum: loading, instantiating and calling them returns.
    #[test]
    fn hostile_bytes_are_loaded_or_refused(
        module in 0..MODULES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        within_header: bool,
    ) {
        let wasm = wat::parse_str(MODULES[module]).unwrap();
        let mut bytes = Module::prepare(&Engine::default(), wasm).unwrap().into_bytes();
        for (at, value) in changes {
            let size = if within_header { 72 - 20 } else { bytes.len() - 20 };
            bytes[20 + at.index(size)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(module) = Module::from_prepared(&Engine::default(), with_checksum(bytes)) {
            let limits = wide()
                .with_memory_bytes(1 << 24)
                .with_fuel(100_000)
                .with_time(Duration::from_millis(100));
            if let Ok(mut instance) = sandbox(limits, None).instantiate(&module) {
                let _ = instance.call("run", &[]);
            }
        }
    }
}
