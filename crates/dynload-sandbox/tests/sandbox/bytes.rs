//! Calls that pass bytes and return bytes.

use dynload_caps::{Capabilities, Limits};
use dynload_sandbox::{Caller, Engine, ErrorKind, Instance, Limit, Module, Sandbox, Trap, Value, schedule};
use proptest::prelude::*;

/// Guests with these functions, by the names of both conventions.
const NAMES: [(&str, &str, &str); 2] = [
    ("vais", "read_args", "set_result"),
    (
        "typst_env",
        "wasm_minimal_protocol_write_args_to_buffer",
        "wasm_minimal_protocol_send_result_to_host",
    ),
];

/// Exports: `echo` joins two arguments; `fail` returns its argument as an error; `status` returns its argument's length;
/// `twice` sets a result twice; `read` and `result` pass the lengths of two arguments on as pointers.
fn module((module, read, set): (&str, &str, &str)) -> Module {
    let text = format!(
        r#"(module
            (import "{module}" "{read}" (func $read (param i32)))
            (import "{module}" "{set}" (func $set (param i32 i32)))
            (import "vais" "config_get" (func $config (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 0x1fff0) "greeting")
            (func (export "echo") (param i32 i32) (result i32)
                (call $read (i32.const 8))
                (call $set (i32.const 8) (i32.add (local.get 0) (local.get 1)))
                (i32.const 0))
            (func (export "fail") (param i32) (result i32)
                (call $read (i32.const 8))
                (call $set (i32.const 8) (local.get 0))
                (i32.const 1))
            (func (export "status") (param i32) (result i32) (local.get 0))
            (func (export "twice") (param i32) (result i32)
                (call $read (i32.const 0))
                (call $set (i32.const 0) (local.get 0))
                (call $set (i32.const 0) (i32.const 1))
                (i32.const 0))
            (func (export "read") (param i32) (call $read (local.get 0)))
            (func (export "read_at") (param i32) (result i32) (call $read (local.get 0)) (i32.const 0))
            (func (export "set") (param i32 i32) (call $set (local.get 0) (local.get 1)))
            (func (export "set_at") (param i32 i32) (result i32) (call $set (local.get 0) (local.get 1)) (i32.const 0))
            (func (export "spin") (param i32) (result i32) (loop (br 0)) (i32.const 0))
            (func (export "config") (param i32) (result i32) (local $len i32)
                (local.set $len (call $config (i32.const 0x1fff0) (i32.const 8) (i32.const 0) (i32.const 4)))
                (call $set (i32.const 0) (i32.const 4))
                (local.get $len))
            (func (export "config_at") (param i32 i32 i32 i32) (result i32)
                (call $config (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
            (func (export "wrong") (param i64) (result i32) (i32.const 0)))"#
    );
    Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap()
}

fn instance() -> Instance {
    Sandbox::new(Limits::DEFAULT)
        .instantiate(&module(NAMES[0]))
        .unwrap()
}

#[test]
fn bytes_go_in_and_out_in_both_conventions() {
    for names in NAMES {
        let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module(names)).unwrap();
        assert_eq!(instance.call_bytes("echo", &[b"ab", b"c\0d"]).unwrap(), b"abc\0d");
        assert_eq!(instance.call_bytes("echo", &[b"", b""]).unwrap(), b"");
        assert_eq!(instance.call_bytes("twice", &[b"xyz"]).unwrap(), b"x");
        // A result that is never set is empty.
        assert_eq!(instance.call_bytes("status", &[b""]).unwrap(), b"");
    }
}

#[test]
fn an_error_of_the_guest_is_its_text_and_does_not_poison() {
    let mut instance = instance();
    let error = instance
        .call_bytes("fail", &[b"no such \x1b[2J colour"])
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Failed(text) if text == "no such \u{1b}[2J colour"));
    assert_eq!(error.to_string(), "`fail` failed: no such \\u{1b}[2J colour");
    assert!(error.usage().fuel > 0);
    let error = instance.call_bytes("status", &[b"seven b"]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`status` returned the status 7; a function"),
        "{error}"
    );
    let error = instance.call_bytes("fail", &[&[b'x'; 100_000]]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Failed(text) if text.len() == 1 << 16));
    let error = instance.call_str("echo", "").unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::SignatureMismatch { .. }),
        "{error}"
    );
    assert!(instance.poisoned_by().is_none());
    assert_eq!(instance.call_bytes("echo", &[b"a", b"b"]).unwrap(), b"ab");
}

#[test]
fn a_text_must_be_utf_8() {
    let guest = wat::parse_str(
        r#"(module (import "vais" "set_result" (func $set (param i32 i32)))
            (memory (export "memory") 1) (data (i32.const 0) "ok\ff")
            (func (export "f") (param i32) (result i32)
                (call $set (i32.const 0) (local.get 0)) (i32.const 0)))"#,
    );
    let module = Module::new(&Engine::default(), guest.unwrap()).unwrap();
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    assert_eq!(instance.call_str("f", "12").unwrap(), "ok");
    let error = instance.call_str("f", "123").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`f` returned a result that is not UTF-8 (from byte 2)"
    );
}

#[test]
fn the_type_must_have_a_length_for_each_argument() {
    let mut instance = instance();
    for (export, args) in [("echo", 1), ("echo", 3), ("wrong", 1), ("read", 1), ("status", 0)] {
        let error = instance.call_bytes(export, &vec![&b"x"[..]; args]).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::SignatureMismatch { .. }),
            "{export}: {error}"
        );
    }
    let error = instance
        .call_bytes("echo", &vec![&b"x"[..]; 100_000])
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the length of each of 100000 arguments"),
        "{error}"
    );
    let error = instance.call_bytes("ech", &[]).unwrap_err();
    assert!(error.to_string().contains("did you mean `echo`"), "{error}");
    assert!(instance.poisoned_by().is_none());
}

#[test]
fn a_call_without_bytes_must_not_use_the_imports() {
    for (export, args) in [("read", 1), ("set", 2)] {
        let mut instance = instance();
        let error = instance.call(export, &vec![Value::I32(0); args]).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("use `call_bytes`"), "{cause}");
    }
}

#[test]
fn pointers_of_the_guest_are_checked() {
    const END: usize = 2 << 16;
    let mut instance = instance();
    let zeros = vec![0; END + 1];
    // The argument is copied to the address that is its length.
    assert!(instance.call_bytes("read_at", &[&zeros[..END / 2]]).is_ok());
    let error = instance
        .call_bytes("read_at", &[&zeros[..END / 2 + 1]])
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Trap(Trap::MemoryOutOfBounds)),
        "{error}"
    );
    instance.reset().unwrap();
    // The result is at the first length and as long as the second.
    assert_eq!(
        instance
            .call_bytes("set_at", &[&zeros[..END - 3], b"abc"])
            .unwrap()
            .len(),
        3
    );
    let error = instance
        .call_bytes("set_at", &[&zeros[..END - 3], b"abcd"])
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Trap(Trap::MemoryOutOfBounds)),
        "{error}"
    );
    instance.reset().unwrap();
    assert_eq!(instance.call_bytes("set_at", &[&zeros[..END], b""]).unwrap(), b"");
}

#[test]
fn fuel_is_exact_and_includes_the_copies() {
    let args: [&[u8]; 2] = [&[1; 10_000], &[2; 20_000]];
    let mut instance = instance();
    instance.call_bytes("echo", &args).unwrap();
    let used = instance.usage().fuel;
    let (copies, calls) = (2 * (30_000 / schedule::BYTES_PER_FUEL), 2 * schedule::HOST_CALL);
    instance.call_bytes("echo", &[b"", b""]).unwrap();
    let without = instance.usage().fuel;
    assert_eq!(used - without, copies);
    assert!(without > calls);
    for (fuel, fits) in [(used, true), (used - 1, false)] {
        let sandbox = Sandbox::new(Limits::DEFAULT.with_fuel(fuel));
        let mut instance = sandbox.instantiate(&module(NAMES[0])).unwrap();
        let result = instance.call_bytes("echo", &args);
        assert_eq!(result.as_ref().map(Vec::len).ok(), fits.then_some(30_000));
        assert_eq!(
            result.err().and_then(|error| error.limit()),
            (!fits).then_some(Limit::Fuel)
        );
    }
}

#[test]
fn the_result_counts_as_memory_until_it_is_returned() {
    let page = 1_u64 << 16;
    let result = 1000;
    for (limit, fits) in [(2 * page + result, true), (2 * page + result - 1, false)] {
        let sandbox = Sandbox::new(Limits::DEFAULT.with_memory_bytes(limit));
        let mut instance = sandbox.instantiate(&module(NAMES[0])).unwrap();
        let got = instance.call_bytes("twice", &[&vec![7; result as usize]]);
        assert_eq!(got.as_deref().ok(), fits.then_some(&[7][..]));
        assert_eq!(
            got.err().and_then(|error| error.limit()),
            (!fits).then_some(Limit::Memory)
        );
        let usage = instance.usage();
        assert_eq!(usage.memory_bytes, 2 * page);
        assert_eq!(usage.peak_memory_bytes, 2 * page + if fits { result } else { 0 });
    }
}

#[test]
fn it_is_one_call_with_one_deadline_and_it_can_be_interrupted() {
    let sandbox = Sandbox::new(Limits::DEFAULT.with_time(std::time::Duration::from_millis(50)));
    let mut instance = sandbox.instantiate(&module(NAMES[0])).unwrap();
    let error = instance.call_bytes("spin", &[b"x"]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time));
    assert!(matches!(
        instance.call_bytes("echo", &[b"a", b"b"]).unwrap_err().kind(),
        ErrorKind::Poisoned(_)
    ));
    instance.reset().unwrap();
    instance.interrupt_handle_for_next_call().interrupt();
    let error = instance.call_bytes("spin", &[b"x"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted));
}

#[test]
fn a_host_function_that_calls_back_leaves_the_exchange_alone() {
    let guest = wat::parse_str(
        r#"(module (import "vais" "read_args" (func $read (param i32))) (import "vais" "set_result" (func $set (param i32 i32)))
            (import "env" "back" (func $back))
            (memory (export "memory") 1)
            (func (export "inner") (call $read (i32.const 100)) (call $set (i32.const 100) (i32.const 2)))
            (func (export "f") (param i32) (result i32) (call $back) (call $read (i32.const 0)) (i32.const 0)))"#,
    );
    let module = Module::new(&Engine::default(), guest.unwrap()).unwrap();
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    sandbox.func_wrap(
        "env",
        "back",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, ()| caller.call("inner", &[]).map(drop),
    );
    let mut instance = sandbox.instantiate(&module).unwrap();
    assert_eq!(instance.call_bytes("f", &[b"abc"]).unwrap(), b"ab");
}

#[test]
fn the_configuration_is_readable_as_far_as_it_fits() {
    let sandbox = Sandbox::new(Limits::DEFAULT).with_plugin_config([("greeting", "hello"), ("", "empty")]);
    let mut instance = sandbox.instantiate(&module(NAMES[0])).unwrap();
    // It returns the length, and the result is the part that fits.
    let error = instance.call_bytes("config", &[b""]).unwrap_err();
    assert!(error.to_string().contains("the status 5"), "{error}");
    assert_eq!(instance.memory().unwrap().slice(0, 5).unwrap(), b"hell\0");
    let mut at = |args: [i32; 4]| instance.call("config_at", &args.map(Value::I32));
    assert_eq!(at([0, 0, 0, 0]).unwrap(), [Value::I32(5)]);
    assert_eq!(at([0, 8, 0, 0]).unwrap(), [Value::I32(-1)]);
    // Not UTF-8, so it is not a name.
    assert!(at([0x1fff0, 8, -1, 0]).is_err());
    instance.reset().unwrap();
    assert!(
        instance
            .call("config_at", &[-1, 8, 0, 0].map(Value::I32))
            .is_err()
    );
    let mut without = self::instance();
    assert_eq!(
        without
            .call("config_at", &[0x1fff0, 8, 0, 0].map(Value::I32))
            .unwrap(),
        [Value::I32(-1)]
    );
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(first: Vec<u8>, second: Vec<u8>) {
        let mut instance = instance();
        prop_assert_eq!(instance.call_bytes("echo", &[&first, &second]).unwrap(), [first, second].concat());
    }
}
