//! Hostile modules: too large, too deep, broken, forged. Loading takes time and memory in proportion to the
//! module's size, and fails only with a typed error.

#![allow(
    clippy::disallowed_methods,
    reason = "the tests read statistics of their own process; no guest work is done there"
)]

use crate::subject::shapes;
use std::time::{Duration, Instant};

use dynload_oracle::guests;
use dynload_sandbox::*;
use shapes::*;

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn load(wasm: &[u8]) -> Result<Module, ModuleError> {
    Module::new(&Engine::default(), wasm)
}

/// Limits under which nothing can take long.
fn tiny() -> Limits {
    Limits::RESTRICTIVE.with_fuel(20_000).with_memory_bytes(4 << 20)
}

/// Loads a module and runs whatever it exports. Returns how far it got.
fn load_and_run(engine: &Engine, wasm: &[u8]) -> &'static str {
    let module = match Module::new(engine, wasm) {
        Ok(module) => module,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return "refused";
        }
    };
    let mut instance = match Sandbox::new(tiny()).instantiate(&module) {
        Ok(instance) => instance,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return "not instantiated";
        }
    };
    let exports: Vec<(String, Signature)> = module
        .exports()
        .filter_map(|export| {
            export
                .ty
                .func()
                .map(|signature| (export.name.to_owned(), signature.clone()))
        })
        .collect();
    for (name, signature) in exports {
        let args: Vec<Value> = signature.params.iter().copied().filter_map(Value::zero).collect();
        let result = instance.call(&name, &args);
        let usage = instance.usage();
        assert!(
            usage.fuel <= 20_000 && usage.peak_memory_bytes <= 4 << 20,
            "{usage:?}"
        );
        if let Err(error) = result {
            assert!(!error.to_string().is_empty());
            if instance.poisoned_by().is_some() && instance.reset().is_err() {
                break;
            }
        }
    }
    "ran"
}

#[test]
fn the_limit_is_accepted_and_one_more_is_refused() {
    let mut limits = ModuleLimits::default();
    limits.max_bytes = 4_000;
    limits.max_items = 20;
    limits.max_elements = 20;
    limits.max_constant_operators = 25;
    limits.max_memories = 3;
    limits.max_params = 10;
    limits.max_locals = 50;
    limits.max_total_locals = 120;
    limits.max_body_bytes = 200;
    limits.max_carried_values = 1_000;
    limits.max_name_bytes = 40;
    let engine = Engine::new(EngineConfig::default().with_module_limits(limits));
    type Program = fn(usize) -> String;
    let cases: [(&str, usize, Program); 19] = [
        ("types", 20, |n| {
            (0..n)
                .map(|i| format!("(type (func (param {})))", "i32 ".repeat(i % 10)))
                .collect()
        }),
        ("parameters", 10, |n| {
            format!("(type (func (param {})))", "i32 ".repeat(n))
        }),
        ("results", 10, |n| {
            format!("(type (func (result {})))", "i32 ".repeat(n))
        }),
        ("imports", 20, |n| r#"(import "a" "b" (func))"#.repeat(n)),
        ("functions", 20, |n| "(func)".repeat(n)),
        ("tables", 3, |n| "(table 1 funcref)".repeat(n)),
        ("memories", 3, |n| "(memory 1)".repeat(n)),
        ("globals", 20, |n| "(global i32 (i32.const 1))".repeat(n)),
        ("exports", 20, |n| {
            format!(
                "(func $f) {}",
                (0..n)
                    .map(|i| format!(r#"(export "{i}" (func $f))"#))
                    .collect::<String>()
            )
        }),
        ("element segments", 20, |n| {
            format!("(func $f) {}", "(elem func $f)".repeat(n))
        }),
        ("elements in all segments", 20, |n| {
            format!("(func $f) (elem func {})", "$f ".repeat(n))
        }),
        ("operators in all constant expressions", 25, |n| {
            let sum = |additions| format!("(i32.const 1) {}", "(i32.const 1) i32.add ".repeat(additions));
            format!("(global i32 {}) (global i32 {})", sum(10), sum((n - 22) / 2))
        }),
        ("data segments", 20, |n| r#"(data "x")"#.repeat(n)),
        ("locals", 50, |n| {
            format!("(func (param i32 i32) (local {}))", "i64 ".repeat(n - 2))
        }),
        ("locals in all functions", 120, |n| {
            format!(
                "(func (param i32) (local {0})) (func (local {0})) (func (local {1}))",
                "i64 ".repeat(49),
                "i64 ".repeat(n - 99)
            )
        }),
        // The body's list of locals and its `end` take two bytes.
        ("bytes of code", 200, |n| {
            format!("(func {})", "nop ".repeat(n - 2))
        }),
        ("bytes in a name", 40, |n| {
            format!(r#"(func (export "{}"))"#, "x".repeat(n))
        }),
        ("bytes in a name", 40, |n| {
            format!(r#"(import "{}" "f" (func))"#, "x".repeat(n))
        }),
        ("bytes without custom sections", 4_000, |n| {
            format!(r#"(data "{}")"#, "x".repeat(n - 15))
        }),
    ];
    for (name, limit, program) in cases {
        let at = wat(&format!("(module {})", program(limit)));
        Module::new(&engine, &at).unwrap_or_else(|error| panic!("{name} at the limit: {error}"));
        let above = wat(&format!("(module {})", program(limit + 1)));
        match Module::new(&engine, &above) {
            Err(ModuleError::TooLarge {
                what,
                found,
                most,
                limit: Some(_),
                ..
            }) => {
                assert_eq!((what, most), (name, limit as u64));
                assert_eq!(found, limit as u64 + 1, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_declared_count_is_not_trusted() {
    for id in 0..=13 {
        for count in [1, 1_000, 99_999, 100_000, u64::from(u32::MAX)] {
            let module = binary(&[section(id, count, &[])]);
            // A custom section may contain anything: its first byte is the length of its name.
            assert!(
                load(&module).is_err() || id == 0,
                "section {id} with {count} missing entries"
            );
        }
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.push(id);
        module.extend(leb(u64::from(u32::MAX)));
        assert!(load(&module).is_err(), "section {id} with 4 GiB missing");
    }
    // Within a body: locals and the targets of a `br_table`.
    let locals = [leb(1), leb(u64::from(u32::MAX)), vec![0x7f, 0x0b]].concat();
    assert!(matches!(
        load(&functions(EMPTY_TYPE, &[locals])),
        Err(ModuleError::TooLarge { .. })
    ));
    let groups = [leb(u64::from(u32::MAX)), vec![0x0b]].concat();
    assert!(load(&functions(EMPTY_TYPE, &[groups])).is_err());
    let targets = [vec![0, 0x41, 0, 0x0e], leb(u64::from(u32::MAX)), vec![0, 0x0b]].concat();
    assert!(load(&functions(EMPTY_TYPE, &[targets])).is_err());
    let overflow = [
        leb(2),
        leb(u64::from(u32::MAX)),
        vec![0x7f],
        leb(u64::from(u32::MAX)),
        vec![0x7f, 0x0b],
    ]
    .concat();
    assert!(load(&functions(EMPTY_TYPE, &[overflow])).is_err());
}

/// A module without its custom sections: every byte that remains is needed.
fn without_custom_sections(wasm: &[u8]) -> Vec<u8> {
    let mut out = wasm[..8].to_vec();
    let mut at = 8;
    while at < wasm.len() {
        let (mut size, mut shift, mut end) = (0, 0, at + 1);
        loop {
            size |= usize::from(wasm[end] & 0x7f) << shift;
            shift += 7;
            end += 1;
            if wasm[end - 1] & 0x80 == 0 {
                break;
            }
        }
        end += size;
        if wasm[at] != 0 {
            out.extend_from_slice(&wasm[at..end]);
        }
        at = end;
    }
    out
}

/// A module with a bit of everything.
fn rich() -> Vec<u8> {
    without_custom_sections(&wat(r#"(module
        (type $t (func (param i32) (result i32)))
        (import "vais" "println" (func $println (param i32 i32)))
        (import "vais" "random" (func $random (result i64)))
        (table $table 4 20 funcref) (memory (export "memory") 1 3)
        (global $g (export "g") (mut i32) (i32.const 7)) (global $h i64 (i64.const -1))
        (elem (table $table) (i32.const 0) func $f $g) (elem $passive func $f $g) (elem declare func $run)
        (data (i32.const 16) "hello") (data $data "passive")
        (func $f (type $t) (i32.add (local.get 0) (i32.const 1)))
        (func $g (type $t) (if (result i32) (local.get 0) (then (call $g (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 5))))
        (func $run (export "run") (param i32) (result i32) (local i64 f32 f64 i32)
            (block $out (loop $again
                (br_if $out (i32.ge_u (local.get 4) (i32.const 5)))
                (local.set 4 (i32.add (local.get 4) (i32.const 1)))
                (br_table $again $out $again (i32.and (local.get 4) (i32.const 3)))))
            (memory.copy (i32.const 32) (i32.const 16) (i32.const 5))
            (memory.init $data (i32.const 64) (i32.const 0) (i32.const 7))
            (drop (memory.grow (i32.const 1))) (drop (table.grow $table (ref.func $f) (i32.const 3)))
            (table.init $table $passive (i32.const 2) (i32.const 0) (i32.const 2))
            (call $println (i32.const 16) (i32.const 5)) (local.set 1 (call $random))
            (local.set 2 (f32.sqrt (f32.const 2))) (local.set 3 (f64.div (f64.const 1) (f64.const 3)))
            (select (call_indirect (type $t) (local.get 0) (i32.const 1)) (global.get $g) (i32.eqz (local.get 4))))
        (func (export "tail") (param i32) (result i32) (return_call $g (local.get 0)))
        (func $start (global.set $g (i32.const 9))) (start $start))"#))
}

#[test]
fn a_truncated_module_is_refused_or_does_nothing() {
    let whole = rich();
    assert_eq!(load_and_run(&Engine::default(), &whole), "ran");
    for length in 0..whole.len() {
        // Before its function section, a module may end: it is valid, and does nothing.
        if let Ok(module) = load(&whole[..length]) {
            assert_eq!(
                module.exports().count(),
                0,
                "{length} of {} bytes are a module",
                whole.len()
            );
        }
    }
    // Real modules, at some lengths.
    for guest in ["json", "regex", "exits"] {
        let whole = without_custom_sections(&guests::wasm(guest).unwrap());
        for length in (0..whole.len()).step_by(whole.len() / 60 + 1) {
            let exports = load(&whole[..length]).map_or(0, |module| module.exports().count());
            assert_eq!(
                exports,
                0,
                "{length} of {guest}'s {} bytes are a module",
                whole.len()
            );
        }
    }
}

#[test]
fn modules_with_a_flipped_bit() {
    let engine = Engine::default();
    let whole = rich();
    let mut outcomes = std::collections::BTreeMap::new();
    let bits = whole.len() * 8;
    let step = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        1
    } else {
        5
    };
    for bit in (64..bits).step_by(step) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        *outcomes.entry(load_and_run(&engine, &flipped)).or_insert(0) += 1;
    }
    println!("{outcomes:?}");
    assert!(
        outcomes.values().all(|count| *count > 20) && outcomes.len() == 3,
        "too few of one kind: {outcomes:?}"
    );
}

#[test]
fn modules_with_replaced_bytes() {
    let engine = Engine::default();
    let whole = rich();
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let rounds = if std::env::var_os("DYNLOAD_PROVE").is_some() {
        200_000
    } else {
        1_500
    };
    for _ in 0..rounds {
        let mut forged = whole.clone();
        for _ in 0..1 + next() % 3 {
            let at = 8 + next() % (forged.len() - 8);
            match next() % 4 {
                0 => forged[at] = next() as u8,
                1 => forged[at] = [0, 0x7f, 0x80, 0xff, 0x0b, 0x05, 0x40][next() % 7],
                2 => drop(forged.remove(at)),
                _ => forged.insert(at, next() as u8),
            }
        }
        load_and_run(&engine, &forged);
    }
}

#[test]
fn disabled_features_are_refused_with_a_message() {
    for (text, words) in [
        ("(memory 1 2 shared)", "shared memory"),
        ("(memory i64 1)", "64-bit memory"),
        (r#"(import "a" "m" (memory 1 2 shared))"#, "shared memory"),
        (r#"(import "a" "m" (memory i64 1))"#, "64-bit memory"),
    ] {
        match load(&wat(&format!("(module {text})"))) {
            Err(error @ ModuleError::Unsupported { .. }) => {
                let message = error.to_string();
                assert!(
                    message.contains(words) && message.contains("compile it"),
                    "{message}"
                );
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in [
        "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
        "(tag)",
        "(func (try_table))",
        "(type (struct (field i32)))",
        "(type (array i8))",
        "(func (drop (ref.i31 (i32.const 1))))",
        "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
        "(func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))",
        "(table i64 1 funcref)",
        #[cfg(not(all(feature = "simd", target_endian = "little")))]
        "(func (param v128))",
        #[cfg(not(all(feature = "simd", target_endian = "little")))]
        "(func (drop (v128.const i64x2 0 0)))",
    ] {
        let error = load(&wat(&format!("(module {text})"))).expect_err(text);
        assert!(
            matches!(error, ModuleError::Unsupported { .. }),
            "{text}: {error}"
        );
        assert!(error.to_string().contains("compile it"), "{text}: {error}");
    }
    for (bytes, words) in [
        (&wat("(component)")[..], "a component"),
        (b"", "an empty file"),
        (b"\x7fELF\x02\x01\x01", "native code"),
        (b"MZ\x90\0", "native code"),
        (b" (module)", "the text format"),
        (b"!<arch>\n", "an archive"),
        (b"plain text", "another kind"),
        (b"\x00\x01\x02\x03\x04\x05\x06\x07", "another kind"),
    ] {
        match load(bytes) {
            Err(error @ ModuleError::NotAModule { .. }) => {
                assert!(error.to_string().contains(words), "{error}")
            }
            other => panic!("{words}: {other:?}"),
        }
    }
    for bytes in [&b"\0asm"[..], b"\0as", b"\0asm\x02\0\0\0"] {
        assert!(
            matches!(load(bytes), Err(ModuleError::Invalid { .. })),
            "{bytes:?}"
        );
    }
}

/// What compilers emit by default and is not accepted: the error names the feature, and says how to avoid it.
#[test]
fn the_error_for_a_disabled_feature_names_it_and_the_fix() {
    for (text, words) in [
        #[cfg(not(all(feature = "simd", target_endian = "little")))]
        ("(func (param v128))", "128-bit vectors"),
        #[cfg(not(all(feature = "simd", target_endian = "little")))]
        ("(func (drop (v128.const i64x2 0 0)))", "128-bit vectors"),
        ("(tag)", "exceptions"),
        ("(func (try_table))", "exceptions"),
        (
            "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
            "threads",
        ),
        (
            "(func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))",
            "wide arithmetic",
        ),
    ] {
        match load(&wat(&format!("(module {text})"))) {
            Err(error @ ModuleError::Unsupported { .. }) => {
                assert!(error.to_string().contains(words), "{text}: {error}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn memory64_works_when_enabled() {
    let engine = Engine::new(EngineConfig::default().with_memory64(true));
    let module = Module::new(
        &engine,
        wat(
            r#"(module (memory i64 1) (func (export "run") (param i64) (result i64)
            (i64.store (local.get 0) (i64.const 7)) (i64.load (local.get 0))))"#,
        ),
    )
    .unwrap();
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    assert_eq!(
        instance.call("run", &[Value::I64(65_528)]).unwrap(),
        [Value::I64(7)]
    );
    let error = instance.call("run", &[Value::I64(-8)]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(Trap::MemoryOutOfBounds)));
}

#[test]
fn names_of_hidden_exports_are_refused() {
    for name in [
        "frames",
        "refund",
        "peak_stack",
        "peak_depth",
        "reserve",
        "start",
        "",
        "anything",
    ] {
        let text = format!(
            r#"(module (global $g (mut i64) (i64.const 0)) (export "\00dynload.{name}" (global $g)))"#
        );
        match load(&wat(&text)) {
            Err(ModuleError::Unsupported { feature, .. }) => {
                assert!(feature.contains("reserved"), "{feature}")
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    // Names that are merely odd are accepted.
    let odd = r#"(module (func (export "")) (func (export "\00")) (func (export "\00dynload")) (func (export "dynload.start"))
        (func (export "\e2\80\ae\f0\9f\92\a9")) (func (export " run\n")))"#;
    let module = load(&wat(odd)).unwrap();
    assert_eq!(module.exports().count(), 6);
    assert_eq!(load_and_run(&Engine::default(), &wat(odd)), "ran");
    // Names that are not UTF-8, or that occur twice, are refused.
    let export = |name: &[u8]| [leb(name.len() as u64), name.to_vec(), vec![0, 0]].concat();
    let module = |exports: &[Vec<u8>]| {
        binary(&[
            section(1, 1, EMPTY_TYPE),
            section(3, 1, &[0]),
            section(7, exports.len() as u64, &exports.concat()),
            section(10, 1, &[2, 0, 0x0b]),
        ])
    };
    assert!(load(&module(&[export(b"a"), export(b"b")])).is_ok());
    assert!(load(&module(&[export(b"a"), export(b"a")])).is_err());
    assert!(load(&module(&[export(b"\xff")])).is_err());
    assert!(load(&module(&[export(b"\xed\xa0\x80")])).is_err());
}

/// The rewriter's additions come after the guest's own items: an index that reaches them is not valid in the guest.
#[test]
fn hidden_items_have_no_index_in_the_guest() {
    for wat_with_wrong_index in [
        // Functions with one parameter, so that hidden locals begin at 1.
        "(func (param i32) (drop (local.get 1)))",
        "(func (param i32) (local.set 1 (i64.const 0)))",
        "(func (param i32) (drop (local.tee 2 (i64.const 0))) (call 0 (i32.const 1)))",
        "(func (drop (global.get 0)))",
        "(func (global.set 0 (i64.const 0)))",
        "(global i64 (i64.const 0)) (func (global.set 1 (i64.const 0)))",
        "(global i64 (i64.const 0)) (func (global.set 2 (i64.const 0)))",
        "(global i64 (global.get 0))",
        r#"(export "x" (global 0))"#,
        r#"(global i64 (i64.const 0)) (export "x" (global 1))"#,
        // `table.grow` adds a hidden table and a hidden type.
        "(table 1 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1))) (drop (table.get 1 (i32.const 0))))",
        "(table 1 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1))) (table.set 1 (i32.const 0) (ref.null func)))",
        "(table 1 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1))) (table.fill 1 (i32.const 0) (ref.null func) (i32.const 1)))",
        "(table 1 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1)))) (elem (table 1) (i32.const 0) func 0)",
        r#"(table 1 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1)))) (export "x" (table 1))"#,
        "(table 1 funcref) (func (drop (table.grow 0 (ref.null func) (i32.const 1))) (call_indirect 1 (type 1) (i64.const 0) (i64.const 0) (i32.const 0)))",
        "(func (drop (ref.func 1)))",
        "(elem (i32.const 0) func 1) (table 1 funcref) (func)",
        "(start 0)",
        "(func (start 1))",
    ] {
        let Ok(bytes) = wat::parse_str(format!("(module {wat_with_wrong_index})")) else {
            continue;
        };
        let error = load(&bytes).expect_err(wat_with_wrong_index);
        assert!(
            matches!(error, ModuleError::Invalid { .. }),
            "{wat_with_wrong_index}: {error}"
        );
    }
}

/// An import cannot reach them either: nothing provides an import of these names.
#[test]
fn hidden_names_cannot_be_imported() {
    let bytes = wat(
        r#"(module (import "\00dynload" "frames" (global (mut i64))) (import "env" "\00dynload.frames" (func)))"#,
    );
    let module = load(&bytes).unwrap();
    match Sandbox::new(Limits::DEFAULT)
        .instantiate(&module)
        .unwrap_err()
        .kind()
    {
        ErrorKind::MissingImports(missing) => assert_eq!(missing.len(), 2),
        other => panic!("{other:?}"),
    }
}

/// 125 kB of blocks that each carry a thousand values used to make the interpreter take 6 GB.
#[test]
fn carrying_many_values_is_bounded() {
    let carry = |part: &[u8], n: usize| {
        load(&functions(
            &values(1_000),
            &[body(&CONSTANTS.repeat(1_000), part, n, &[])],
        ))
    };
    let through_a_block: &[u8] = &[0x02, 0, END];
    let through_an_if: &[u8] = &[0x41, 1, 0x04, 0, END];
    let by_a_branch: &[u8] = &[0x41, 1, 0x0d, 0];
    let by_a_call: &[u8] = &[0x10, 0];
    for part in [through_a_block, through_an_if, by_a_branch, by_a_call] {
        assert!(carry(part, 100).is_ok());
        match carry(part, 40_000) {
            Err(ModuleError::TooLarge {
                what,
                found,
                most: 500_000,
                ..
            }) => {
                assert_eq!(what, "values carried by blocks, branches and calls");
                assert!((500_001..502_000).contains(&found), "{found}");
            }
            other => panic!("{part:x?}: {other:?}"),
        }
    }
    let table = |targets: usize| [vec![0x41, 1, 0x0e], leb(targets as u64), vec![0; targets + 1]].concat();
    assert!(matches!(
        carry(&table(40_000), 1),
        Err(ModuleError::TooLarge { .. })
    ));
    // Here the workaround for an interpreter bug would cost too much.
    assert!(matches!(
        carry(&table(400), 1),
        Err(ModuleError::Unsupported { .. })
    ));
}

/// CPU time of this thread: the work of other tests that run at the same time does not count.
/// ([proc_pid_schedstat(5)](https://man7.org/linux/man-pages/man5/proc_pid_schedstat.5.html))
fn processor_time(since: Instant) -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = schedstat.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// The shortest of five loads.
fn time_of(wasm: &[u8], what: &str) -> Duration {
    let start = Instant::now();
    let load = || {
        let before = processor_time(start);
        let module = load(wasm);
        let took = processor_time(start).saturating_sub(before);
        module.unwrap_or_else(|error| panic!("{what}: {error}"));
        took
    };
    (0..5).map(|_| load()).min().unwrap_or_default()
}

/// Four times the size takes four times as long, not sixteen times; the interpreter's input is in proportion too.
#[test]
fn loading_is_linear_in_size() {
    for (what, n, family) in families() {
        let (small, large) = (family(n / 4), family(n));
        let (short, long) = (time_of(&small, what), time_of(&large, what));
        let rewritten = rewritten(&large, &EngineConfig::default()).unwrap().len();
        println!(
            "{what}: {} bytes in {short:?}, {} in {long:?}, rewritten {rewritten}",
            small.len(),
            large.len()
        );
        assert!(
            long < short * 9 + Duration::from_millis(20),
            "{what}: {short:?} for a quarter of the size, {long:?} for all of it"
        );
        // Beyond a bound in proportion, only as much as `ModuleLimits::max_total_locals` allows in total, and in each
        // function the code that reports its first use.
        let reports = if what == "functions" { 70 * n } else { 0 };
        assert!(
            rewritten < 15 * large.len() + 600_000 + reports,
            "{what}: {} bytes became {rewritten}",
            large.len()
        );
    }
}
