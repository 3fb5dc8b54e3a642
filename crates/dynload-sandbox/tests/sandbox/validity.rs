//! Invalid modules are refused with the first error that the official validation finds in them; valid ones are
//! not refused.
//!
//! The interpreter sees functions only after they are rewritten. So these modules try to hide an error in code
//! that rewriting adds, omits or writes differently. The oracle is `wasmparser`, which sees the original.

use crate::subject::shapes::{EMPTY_TYPE, functions};
use dynload_oracle::guests;
use dynload_sandbox::{
    Engine, EngineConfig, ErrorKind, Limit, Limits, Module, ModuleError, Sandbox, Translation, Validation,
    Value,
};
use proptest::{prelude::*, test_runner::RngSeed};
use wasmparser::{Validator, WasmFeatures};

/// The features that a module may use by default.
fn features() -> WasmFeatures {
    let mut features = WasmFeatures::WASM2 | WasmFeatures::TAIL_CALL | WasmFeatures::MULTI_MEMORY;
    features |= WasmFeatures::EXTENDED_CONST;
    let has_vectors = cfg!(all(feature = "simd", target_endian = "little"));
    features.set(WasmFeatures::SIMD | WasmFeatures::RELAXED_SIMD, has_vectors);
    features
}

/// Checks that the module is accepted or refused as the oracle says. Returns whether it is valid.
#[track_caller]
fn compare(engines: &[Engine], wasm: &[u8]) -> bool {
    let truth = Validator::new_with_features(features()).validate_all(wasm);
    for engine in engines {
        match (&truth, Module::new(engine, wasm)) {
            (Ok(_), Ok(_) | Err(ModuleError::TooLarge { .. } | ModuleError::Unsupported { .. })) => {}
            (Err(_), Err(ModuleError::TooLarge { .. } | ModuleError::Unsupported { .. })) => {}
            // Where the parser's positions could overflow, lengths are checked before it sees them.
            (Err(_), Err(ModuleError::Invalid { message, .. }))
                if cfg!(target_pointer_width = "32")
                    && message == "a length is larger than what contains it" => {}
            (Err(wanted), Err(ModuleError::Invalid { offset, message, .. })) => {
                assert_eq!((offset, &*message), (wanted.offset(), wanted.message()));
            }
            (wanted, found) => panic!("{found:?}, expected {:?}", wanted.as_ref().err()),
        }
    }
    truth.is_ok()
}

fn engines() -> Vec<Engine> {
    [
        EngineConfig::default(),
        EngineConfig::default().with_profile(true),
        // The interpreter's translator sees each operator before the next one is validated.
        EngineConfig::default().with_translation(Translation::AtLoad),
    ]
    .map(Engine::new)
    .into()
}

#[test]
fn rewriting_hides_no_error() {
    let engines = engines();
    let mut bodies: Vec<String> = [
        // Indices that reach the rewriter's additions: locals, globals, a type, a table.
        "(drop (i32.eqz (i32.const 1))) (drop (local.get 1))",
        "(local.set 2 (i64.const 0)) (call $f (i32.const 0))",
        "(drop (local.tee 2 (i64.const 0)))",
        "(drop (global.get 1))",
        "(global.set 1 (i64.const 0))",
        "(global.set 2 (i64.const 0))",
        "(drop (memory.grow (i32.const 0))) (call_indirect (type 3) (i64.const 0) (i64.const 0) (i32.const 0))",
        "(drop (memory.grow (i32.const 0))) (call_indirect 1 (type $none) (i32.const 0))",
        "(drop (memory.grow (i32.const 0))) (return_call_indirect 1 (type $none) (i32.const 0))",
        "(drop (memory.grow (i32.const 0))) (drop (table.size 1))",
        "(drop (memory.grow (i32.const 0))) (drop (table.get 1 (i32.const 0)))",
        "(drop (memory.grow (i32.const 0))) (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0))",
        "(drop (memory.grow (i32.const 0))) (i64.const 0) (i64.const 0) (block (type 3) (drop) (drop))",
        // Rewriting exports the start function, which would declare it.
        "(drop (ref.func $start))",
        // Unreachable code is omitted.
        "(unreachable) (i32.add (f32.const 0) (i32.const 0)) (drop)",
        "(br 0) (drop (local.get 7))",
        "(return) (drop (f32.add (i32.const 1)))",
        "(block (br 1)) (drop (i32.eqz (f32.const 0)))",
        "(loop (br 0)) (i32.const 1)",
        "(drop (i32.div_u (i32.const 1) (i32.const 0))) (f32.add) (drop)",
        "(drop (i32.div_u (i32.const 1) (i32.const 0))) (i32.const 1)",
        "(i32.const 1) (loop (br 0))",
        // A branch that carries values is written differently.
        "(drop (block (result i32) (block (br_table 1 0 (i32.const 5) (i32.const 0))) (i32.const 1)))",
        "(drop (block (result f32) (drop (block (result i32) (br_table 1 0 (i32.const 5) (i32.const 0)))) (f32.const 1)))",
        // The second arm of an `if` is added.
        "(drop (if (result i32) (i32.const 1) (then (i32.const 1))))",
        // Constants pass through locals.
        "(br_if 0 (f64.const 1))",
        "(drop (select (i32.const 1) (i64.const 1) (i32.const 0)))",
        "(if (ref.null func) (then))",
    ]
    .map(String::from)
    .into();
    // A function that must have a result.
    bodies.push(") (func (result i32) (loop (br 0))".into());
    bodies.push(") (func (result i32) (block (br 1 (i32.const 1)))".into());
    bodies.push(") (func (result i32) (drop (i32.div_u (i32.const 1) (i32.const 0)))".into());
    let on_first_use = Engine::new(EngineConfig::default().with_validation(Validation::OnFirstUse));
    let mut found_when_called = 0;
    for body in bodies {
        let (index, args) = if body.starts_with(')') {
            (2, &[][..])
        } else {
            (1, &[Value::I32(0)][..])
        };
        let text = format!(
            "(module (type $none (func)) (type $one (func (param i32))) (type $two (func (param i64)))
               (memory 1) (table 1 funcref) (global i32 (i32.const 1)) (start $start)
               (export \"invalid\" (func {index}))
               (func $start) (func $f (type $one) {body}))"
        );
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert!(!compare(&engines, &wasm), "this is valid: {body}");
        if let Ok(module) = Module::new(&on_first_use, &wasm) {
            let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
            let error = instance.call("invalid", args).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Engine(_)), "{body}: {error}");
            found_when_called += 1;
        }
    }
    assert!(found_when_called > 0);
}

#[test]
fn the_position_of_the_end_of_a_body_is_checked() {
    let engines = engines();
    let wasm = |body: &[u8]| {
        let mut wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a".to_vec();
        wasm.extend([body.len() as u8 + 2, 1, body.len() as u8]);
        wasm.extend_from_slice(body);
        wasm
    };
    const NO_LOCALS: u8 = 0;
    for (body, is_valid) in [
        (&[NO_LOCALS, 0x0b][..], true),
        (&[NO_LOCALS], false),
        (&[NO_LOCALS, 0x0b, 0x0b], false),
        (&[NO_LOCALS, 0x0b, 0x01], false),
        (&[NO_LOCALS, 0x02, 0x40, 0x0b], false),
        (&[NO_LOCALS, 0x05, 0x0b], false),
        (&[NO_LOCALS, 0x0c, 0x01, 0x0b], false),
        (&[NO_LOCALS, 0x0b, 0x0c, 0x00, 0x0b], false),
    ] {
        assert_eq!(compare(&engines, &wasm(body)), is_valid, "{body:?}");
    }
}

/// Changes in the code of a module: the position, in units of 1/2^16 of the code, and the new byte.
type Changes = Vec<(u16, u8)>;

fn changed(guest: &str, changes: &Changes) -> Vec<u8> {
    let mut wasm = guests::wasm(guest).expect("a guest of this workspace");
    let code = wasmparser::Parser::new(0).parse_all(&wasm).find_map(|payload| {
        let payload = payload.expect("a valid guest");
        if let wasmparser::Payload::CodeSectionStart { range, .. } = payload {
            Some(range)
        } else {
            None
        }
    });
    let code = code.expect("a guest with code");
    for (at, to) in changes {
        wasm[code.start + ((usize::from(*at) * code.len()) >> 16)] = *to;
    }
    wasm
}

#[test]
fn changed_programs_are_accepted_only_if_valid() {
    const GUESTS: [&str; 4] = ["json", "dispatch", "coroutine", "hashmap"];
    // Opcodes of control, variable and constant operators change more than an arbitrary byte.
    const OPCODES: [u8; 24] = [
        0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x1a, 0x1b, 0x20, 0x21, 0x23,
        0x40, 0x41, 0x6a, 0x6d, 0xd0, 0xd2, 0x7e,
    ];
    let to = prop_oneof![any::<u8>(), 0_u8..8, proptest::sample::select(&OPCODES[..])];
    let cases = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        200_000
    } else {
        2_000
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let engines = engines();
    let valid = std::cell::Cell::new(0);
    let changes = proptest::collection::vec((any::<u16>(), to), 1..4);
    let strategy = (proptest::sample::select(&GUESTS[..]), changes);
    let outcome = runner.run(&strategy, |(guest, changes)| {
        valid.set(valid.get() + u32::from(compare(&engines, &changed(guest, &changes))));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let valid = valid.get();
    assert!(
        valid > cases / 20 && valid < cases * 19 / 20,
        "{valid} of {cases} are valid"
    );
}

/// Returns a module with functions of these codes, without locals.
fn with_codes(codes: [&[u8]; 2]) -> Vec<u8> {
    functions(EMPTY_TYPE, &codes.map(|code| [&[0], code].concat()))
}

/// The interpreter's translator panicked for a `loop` after the end of a function, before the validator had seen all of it.
#[test]
fn code_after_the_end_of_a_function_is_refused_whenever_it_is_validated_and_translated() {
    let configured = |translation, validation| {
        Engine::new(
            EngineConfig::default()
                .with_translation(translation)
                .with_validation(validation),
        )
    };
    let engines = [
        configured(Translation::OnFirstUse, Validation::AtLoad),
        configured(Translation::AtLoad, Validation::AtLoad),
        configured(Translation::OnFirstUse, Validation::OnFirstUse),
        configured(Translation::OnReportedFirstUse, Validation::OnFirstUse),
    ];
    // So many conditions that the module is translated at load.
    let conditions: Vec<u8> = [0x41, 0, 0x04, 0x40, 0x0b]
        .repeat(10_000)
        .into_iter()
        .chain([0x0b])
        .collect();
    let tails: [&[u8]; 9] = [
        &[0x03, 0x40, 0x0b],
        &[0x03, 0x40],
        &[0x02, 0x40, 0x0b],
        &[0x41, 0, 0x04, 0x40, 0x0b],
        &[0x01],
        &[0x00],
        &[0x0b],
        &[0x41, 0, 0x1a],
        &[0x03, 0x40, 0x03, 0x40, 0x0c, 0x01, 0x0b, 0x0b],
    ];
    for before in [
        &[0x0b][..],
        &[0x00, 0x0b],
        &[0x02, 0x40, 0x0b, 0x0b],
        &[0x41, 0, 0x0d, 0, 0x0b],
    ] {
        for padding in [&[0x0b][..], &conditions] {
            assert!(compare(&engines, &with_codes([before, padding])));
            for tail in tails {
                let code = [before, tail].concat();
                assert!(!compare(&engines, &with_codes([&code, padding])), "{code:x?}");
            }
        }
    }
}

/// A call on lent fuel ended with the error of the interpreter, although it had exceeded its limit before.
#[test]
fn an_invalid_function_hides_no_exceeded_limit() {
    let text = "(module (func $invalid (i64.const 1)) (func (export \"run\") (call $invalid)))";
    let engine = Engine::new(EngineConfig::default().with_validation(Validation::OnFirstUse));
    let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    for fuel in 0..4 {
        let limits = Limits::DEFAULT.with_fuel(fuel);
        let mut instance = Sandbox::new(limits).instantiate(&module).unwrap();
        let error = instance.call("run", &[]).unwrap_err();
        let is_exceeded = matches!(
            error.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::Fuel,
                ..
            }
        );
        assert_eq!(is_exceeded, fuel < 2, "{error}");
    }
}
