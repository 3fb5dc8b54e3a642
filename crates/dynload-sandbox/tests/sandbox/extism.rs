//! Plugins with the imports of Extism.

use dynload_caps::{Capabilities, Limits, imports};
use dynload_sandbox::{
    Caller, Clock, Engine, ErrorKind, HttpResponse, Instance, Limit, Module, Sandbox, Stop, Stream, Value,
    schedule,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A guest that imports every function, exports each under its name, and has this code.
fn guest(code: &str) -> Module {
    let mut text = String::from("(module");
    for import in imports::all().filter(|import| import.module == imports::EXTISM) {
        let (params, results) = import.signature.split_once(" -> ").unwrap();
        let types = |list: &str| list.trim_matches(['(', ')']).replace(',', "");
        text += &format!(
            r#" (import "{}" "{name}" (func ${name} (param {}) (result {})))"#,
            import.module,
            types(params),
            types(results),
            name = import.name,
        );
    }
    text += r#" (import "extism:host/user" "twice" (func $twice (param i64) (result i64)))"#;
    for import in imports::all().filter(|import| import.module == imports::EXTISM) {
        text += &format!(r#" (export "{name}" (func ${name}))"#, name = import.name);
    }
    text += &format!(" {HELPERS} {code})");
    Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap()
}

/// `$text` makes a block of a text of at most 8 bytes; `$give` makes a block the output.
const HELPERS: &str = r#"
    (func $text (param $bytes i64) (param $len i64) (result i64) (local $block i64) (local $i i64)
        (local.set $block (call $alloc (local.get $len)))
        (loop $next
            (call $store_u8
                (i64.add (local.get $block) (local.get $i))
                (i32.wrap_i64 (i64.shr_u (local.get $bytes) (i64.mul (local.get $i) (i64.const 8)))))
            (br_if $next (i64.lt_u
                (local.tee $i (i64.add (local.get $i) (i64.const 1)))
                (local.get $len))))
        (local.get $block))
    (func $give (param $block i64) (call $output_set (local.get $block) (call $length (local.get $block))))"#;

/// A text of at most 8 bytes as the arguments of `$text`.
fn text(text: &str) -> String {
    let mut bytes = [0; 8];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    format!(
        "(call $text (i64.const {}) (i64.const {}))",
        i64::from_le_bytes(bytes),
        text.len()
    )
}

/// Returns its input without its first byte.
const ECHO: &str = r#"
    (func (export "echo") (result i32)
        (call $output_set
            (i64.add (call $input_offset) (i64.const 1))
            (i64.sub (call $input_length) (i64.const 1)))
        (i32.const 0))"#;

fn sandbox(limits: Limits) -> Sandbox {
    let mut sandbox = Sandbox::new(limits);
    sandbox.func_wrap(
        "extism:host/user",
        "twice",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, (block,): (i64,)| {
            let text = caller
                .extism_block(block)
                .ok_or_else(|| Stop::host("not a block"))?;
            let twice = text.repeat(2);
            caller.new_extism_block(&twice)
        },
    );
    sandbox
}

fn instance(code: &str) -> Instance {
    sandbox(Limits::DEFAULT).instantiate(&guest(code)).unwrap()
}

#[test]
fn input_becomes_output() {
    let mut instance = instance(ECHO);
    assert_eq!(instance.call_bytes("echo", &[b"xhello"]).unwrap(), b"hello");
    assert_eq!(instance.call_str("echo", "x").unwrap(), "");
    // Without input, the range is invalid and ignored.
    assert_eq!(instance.call_str("echo", "").unwrap(), "");
    let large = vec![7; 1 << 20];
    assert_eq!(instance.call_bytes("echo", &[&large]).unwrap(), large[1..]);
    // Between calls the host holds nothing.
    assert_eq!(instance.usage().memory_bytes, 0);
    assert!(instance.usage().peak_memory_bytes >= 1 << 20);
    for args in [&[][..], &[&b"a"[..], b"b"]] {
        let error = instance.call_bytes("echo", args).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::SignatureMismatch { .. }),
            "{error}"
        );
    }
    let error = instance.call_bytes("alloc", &[b""]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::SignatureMismatch { .. }),
        "{error}"
    );
}

#[test]
fn the_input_can_be_read_by_bytes_and_words_and_replaced() {
    let code = format!(
        r#"(func (export "f") (result i32) (local $out i64)
            (local.set $out (call $alloc (i64.const 17)))
            (call $store_u64 (local.get $out) (call $input_load_u64 (i64.const 1)))
            (call $store_u8 (i64.add (local.get $out) (i64.const 8)) (call $input_load_u8 (i64.const 8)))
            ;; Not all of it is input: zeros.
            (call $store_u64 (i64.add (local.get $out) (i64.const 9)) (call $input_load_u64 (i64.const 2)))
            (call $input_set {} (i64.const 3))
            (call $store_u8 (i64.add (local.get $out) (i64.const 16)) (call $input_load_u8 (i64.const 2)))
            (call $give (local.get $out)) (i32.const 0))"#,
        text("abc")
    );
    assert_eq!(
        instance(&code).call_bytes("f", &[b"012345678"]).unwrap(),
        b"123456788\0\0\0\0\0\0\0c"
    );
}

#[test]
fn an_error_is_a_status_or_a_text() {
    let code = format!(
        r#"(func (export "status") (result i32) (i32.const 7))
        (func (export "error") (result i32) (call $error_set {}) (i32.const 0))
        (func (export "cleared") (result i32)
            (call $error_set {}) (call $error_set (i64.const 0)) (call $error_set (i64.const 12345)) (i32.const 0))"#,
        text("too bad"),
        text("no")
    );
    let mut instance = instance(&code);
    let error = instance.call_bytes("status", &[b""]).unwrap_err();
    assert_eq!(error.to_string(), "`status` failed: it returned the status 7");
    let error = instance.call_bytes("error", &[b""]).unwrap_err();
    assert_eq!(error.to_string(), "`error` failed: too bad");
    assert!(instance.call_bytes("cleared", &[b""]).is_ok());
}

#[test]
fn configuration_variables_and_functions_of_the_embedder() {
    let code = format!(
        r#"(func (export "config") (result i32)
            (call $give (call $config_get {greeting})) (i32.const 0))
        (func (export "missing") (result i32)
            (if (i64.ne (call $config_get {none}) (i64.const 0)) (then unreachable)) (i32.const 0))
        (func (export "set") (result i32)
            (call $var_set {counter} (call $input_offset)) (i32.const 0))
        (func (export "unset") (result i32)
            (call $var_set {counter} (i64.const 0)) (i32.const 0))
        (func (export "get") (result i32) (local $value i64)
            (local.set $value (call $var_get {counter}))
            (if (i64.eqz (local.get $value)) (then (return (i32.const 1))))
            (call $give (local.get $value)) (i32.const 0))
        (func (export "user") (result i32) (call $give (call $twice (call $input_offset))) (i32.const 0))
        (func (export "bad") (result i32) (call $give (call $twice (i64.const 99))) (i32.const 0))"#,
        greeting = text("greeting"),
        none = text("none"),
        counter = text("counter"),
    );
    let sandbox = sandbox(Limits::DEFAULT).with_plugin_config([("greeting", "hello")]);
    let mut instance = sandbox.instantiate(&guest(&code)).unwrap();
    assert_eq!(instance.call_str("config", "").unwrap(), "hello");
    assert_eq!(instance.call_str("missing", "").unwrap(), "");
    assert!(instance.call_str("get", "").is_err());
    instance.call_str("set", "one").unwrap();
    assert_eq!(instance.call_str("get", "").unwrap(), "one");
    instance.call_str("set", "").unwrap();
    assert_eq!(instance.call_str("get", "").unwrap(), "");
    instance.call_str("set", "again").unwrap();
    let held = instance.usage().memory_bytes;
    assert_eq!(held, "counteragain".len() as u64 + schedule::RECORD_BYTES);
    instance.call_str("unset", "").unwrap();
    assert_eq!(instance.usage().memory_bytes, 0);
    assert!(instance.call_str("get", "").is_err());
    assert_eq!(instance.call_str("user", "ab").unwrap(), "abab");
    let error = instance.call_str("bad", "").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Host(_)), "{error}");
}

#[test]
fn the_log_goes_to_the_console_if_that_is_granted() {
    let code = format!(
        r#"(func (export "log") (result i32)
            (call $log_info {}) (call $log_error {}) (call $get_log_level))"#,
        text("hello"),
        text("help")
    );
    let sandbox = sandbox(Limits::DEFAULT);
    let mut instance = sandbox.instantiate(&guest(&code)).unwrap();
    let error = instance.call_str("log", "").unwrap_err();
    assert!(error.to_string().ends_with("status 2147483647"), "{error}");
    assert_eq!(instance.take_output(Stream::Err), b"");
    sandbox.grant(Capabilities::CONSOLE);
    instance.call_str("log", "").unwrap();
    assert_eq!(instance.take_output(Stream::Err), b"info: hello\nerror: help\n");
}

#[test]
fn http_needs_the_network_and_a_client() {
    let code = r#"(func (export "get") (result i32)
        (call $give (call $http_request (call $input_offset) (i64.const 0)))
        (if (i64.ne (call $length (call $http_headers)) (i64.const 2)) (then unreachable))
        (call $http_status_code))"#;
    let mut sandbox = sandbox(Limits::DEFAULT);
    let module = guest(code);
    let error = sandbox
        .instantiate(&module)
        .unwrap()
        .call_str("get", "{}")
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::CapabilityDenied { .. }),
        "{error}"
    );
    sandbox.grant(Capabilities::NETWORK);
    let error = sandbox
        .instantiate(&module)
        .unwrap()
        .call_str("get", "{}")
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Host(_)), "{error}");
    sandbox.set_http_client(|_, request, body| {
        assert_eq!((request, body), (&b"{\"url\":1}"[..], &b""[..]));
        Ok(HttpResponse {
            status: 404,
            headers: b"{}".into(),
            body: b"none".into(),
        })
    });
    let error = sandbox
        .instantiate(&module)
        .unwrap()
        .call_str("get", "{\"url\":1}")
        .unwrap_err();
    assert!(error.to_string().ends_with("status 404"), "{error}");
}

/// What the guest hands over counts as its memory until the client has answered.
#[test]
fn a_request_counts_while_it_is_made() {
    const BODY: usize = 100_000;
    let code = r#"(memory (export "memory") 1)
        (func (export "grow") (result i32) (memory.grow (i32.const 1)))
        (func (export "post") (result i32)
            (local $body i64)
            (local.set $body (call $alloc (i64.const 100000)))
            (call $give (call $http_request (call $input_offset) (local.get $body)))
            (i32.const 0))"#;
    let module = guest(code);
    let grown = |limit: u64| {
        let mut sandbox = sandbox(Limits::DEFAULT.with_memory_bytes(limit));
        sandbox.grant(Capabilities::NETWORK);
        sandbox.set_http_client(|caller, _, body| {
            assert_eq!(body.len(), BODY);
            let body = format!("{:?}", caller.call("grow", &[])?).into_bytes();
            let (status, headers) = (200, Vec::new());
            Ok(HttpResponse {
                status,
                headers,
                body,
            })
        });
        sandbox
            .instantiate(&module)
            .unwrap()
            .call_str("post", "{}")
            .unwrap()
    };
    assert_eq!(grown(1 << 20), "[I32(1)]");
    // There is room for the second page, but not beside the body.
    assert_eq!(grown(2 * 65_536 + BODY as u64 / 2), "[I32(-1)]");
}

/// A plugin that needs none of the imports.
#[test]
fn the_type_of_a_function_tells_a_plugin_without_imports() {
    const CODE: &str = r#"
        (global $initialized (mut i32) (i32.const 0))
        (func (export "__wasm_call_ctors") (global.set $initialized (i32.const 1)))
        (func (export "ok") (result i32) (i32.const 0))
        (func (export "status") (result i32) (i32.add (i32.const 2) (global.get $initialized)))
        (func (export "do_unreachable") (result i32) unreachable)"#;
    let load = |imports: &str| {
        let text = format!("(module {imports} {CODE})");
        let module = Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap();
        sandbox(Limits::DEFAULT).instantiate(&module).unwrap()
    };
    let mut plugin = load("");
    // Without inputs it is a function of the other convention, before and after.
    let without_input = |plugin: &mut Instance| {
        assert_eq!(plugin.call_bytes("ok", &[]).unwrap(), b"");
        let error = plugin.call_bytes("status", &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidResult(_)), "{error}");
    };
    without_input(&mut plugin);
    assert_eq!(plugin.call_str("ok", "ignored").unwrap(), "");
    let error = plugin.call_str("status", "").unwrap_err();
    assert_eq!(error.to_string(), "`status` failed: it returned the status 3");
    without_input(&mut plugin);
    let error = plugin.call_bytes("ok", &[b"a", b"b"]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::SignatureMismatch { .. }),
        "{error}"
    );
    let error = plugin.call_str("do_unreachable", "").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(_)), "{error}");
    // With its imports, the convention is known.
    for imports in [
        r#"(import "vais" "read_args" (func (param i32)))"#,
        r#"(import "typst_env" "wasm_minimal_protocol_send_result_to_host" (func (param i32 i32)))"#,
    ] {
        let error = load(imports).call_str("ok", "x").unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::SignatureMismatch { .. }),
            "{error}"
        );
    }
    let mut plugin = load(r#"(import "extism:host/env" "input_length" (func (result i64)))"#);
    assert_eq!(plugin.call_str("ok", "x").unwrap(), "");
    let error = plugin.call_bytes("ok", &[]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::SignatureMismatch { .. }),
        "{error}"
    );
}

/// A clock that advances by a second whenever it is read.
#[derive(Default)]
struct Reads(AtomicU64);

impl Clock for Reads {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

#[test]
fn removing_many_blocks_ends_at_the_deadline_and_is_completed_by_the_next_call() {
    let code = r#"(func $many (export "many") (result i32) (local $n i64)
        (loop $next
            (br_if $next (i64.lt_u
                (local.tee $n (i64.add (local.get $n) (call $length (call $alloc (i64.const 1)))))
                (i64.const 100_000))))
        (i32.const 0))
        (func (export "none") (result i32) (i32.const 0))
        (func (export "many_and_none") (result i32) (call $many) (call $reset))"#;
    let module = guest(code);
    let start = |seconds: u64| {
        let clock = Arc::new(Reads::default());
        let limits = Limits::DEFAULT.with_time(Duration::from_secs(seconds));
        let instance = sandbox(limits)
            .with_clock(clock.clone())
            .instantiate(&module)
            .unwrap();
        (instance, clock)
    };
    // With time for all of them.
    let (mut instance, clock) = start(1 << 40);
    let before = clock.0.load(Ordering::SeqCst);
    instance.call_str("many", "").unwrap();
    let reads = clock.0.load(Ordering::SeqCst) - before;
    assert_eq!(instance.usage().memory_bytes, 0);
    // The deadline is 50 reads before the end, and the clock is read for about a hundred steps.
    let (mut instance, _) = start(reads - 50);
    instance.call_str("many", "").unwrap();
    let left = instance.usage().memory_bytes / (schedule::RECORD_BYTES + 1);
    assert!((40_000..60_000).contains(&left), "{left}");
    instance.call_str("none", "").unwrap();
    assert_eq!(instance.usage().memory_bytes, 0);
    // The guest's own removal is a part of its call.
    let (mut instance, _) = start(reads - 50);
    let error = instance.call_str("many_and_none", "").unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time));
    instance.reset().unwrap();
    assert_eq!(instance.usage().memory_bytes, 0);
}

#[test]
fn initialisers_run_once_before_the_first_call() {
    const TRACE: &str = r#"(global $trace (mut i64) (i64.const 0))
        (func $append (param i64)
            (global.set $trace (i64.add (i64.mul (global.get $trace) (i64.const 10)) (local.get 0))))
        (func (export "trace") (result i64) (global.get $trace))"#;
    let initialize = r#"(func (export "_initialize") (call $append (i64.const 1)))"#;
    let haskell = r#"(func (export "hs_init") (param i32 i32) (call $append (i64.const 2)))"#;
    let constructors = r#"(func (export "__wasm_call_ctors") (call $append (i64.const 3)))"#;
    let start = r#"(func (export "_start"))"#;
    for (parts, trace) in [
        (vec![initialize], 1),
        (vec![initialize, haskell], 12),
        (vec![haskell], 2),
        (vec![constructors], 3),
        // `_initialize` calls the constructors.
        (vec![initialize, constructors], 1),
        (vec![start, constructors], 3),
        (vec![start, initialize], 1),
    ] {
        let mut instance = instance(&format!("{TRACE} {} {ECHO}", parts.concat()));
        for _ in 0..2 {
            instance.call_str("echo", "x").unwrap();
            assert_eq!(instance.call_i64("trace", &[]).unwrap(), trace, "{parts:?}");
        }
        instance.reset().unwrap();
        instance.call_str("echo", "x").unwrap();
        assert_eq!(instance.call_i64("trace", &[]).unwrap(), trace, "{parts:?}");
    }
}

#[test]
fn what_the_host_holds_is_limited_and_the_limit_is_tight() {
    let code = r#"(func (export "alloc_len") (result i32)
        (i64.eqz (call $alloc (call $input_load_u64 (i64.const 0)))))"#;
    let module = guest(code);
    let record = schedule::RECORD_BYTES;
    let limit = 1_000_000;
    let largest = limit - 8 - 2 * record;
    let call = |len: u64| {
        let sandbox = sandbox(Limits::DEFAULT.with_memory_bytes(limit));
        let mut instance = sandbox.instantiate(&module).unwrap();
        let result = instance.call_bytes("alloc_len", &[&len.to_le_bytes()]);
        (result.map(drop), instance.usage().peak_memory_bytes)
    };
    let (result, peak) = call(largest);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(peak, limit);
    // A denied block is 0, and the failure says that memory was refused.
    let (result, _) = call(largest + 1);
    let error = result.unwrap_err();
    assert_eq!(
        error.denied_growth().map(|denied| denied.requested),
        Some(limit + 1)
    );
    assert!(
        error
            .to_string()
            .contains("status 1 (after growing its memory to 1000001"),
        "{error}"
    );
    for len in [u64::MAX, u64::MAX - record, i64::MAX as u64, 1 << 32] {
        assert!(call(len).0.is_err());
    }
    // The input of the host is held too.
    let small = sandbox(Limits::DEFAULT.with_memory_bytes(100 + record));
    let mut instance = small.instantiate(&guest(ECHO)).unwrap();
    assert!(instance.call_bytes("echo", &[&[0; 100]]).is_ok());
    let error = instance.call_bytes("echo", &[&[0; 101]]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Memory));
}

#[test]
fn zero_is_the_block_of_an_empty_text() {
    // Kits allocate no block for an empty text.
    let code = format!(
        r#"(func (export "f") (result i32)
            (call $log_info (i64.const 0))
            (call $var_set (i64.const 0) {})
            (call $give (call $var_get (i64.const 0)))
            (i32.or
                (i64.ne (call $config_get (i64.const 0)) (i64.const 0))
                (i64.ne (call $length (call $twice (i64.const 0))) (i64.const 0))))"#,
        text("kept")
    );
    let sandbox = sandbox(Limits::DEFAULT).with_capabilities(Capabilities::CONSOLE);
    let mut instance = sandbox.instantiate(&guest(&code)).unwrap();
    assert_eq!(instance.call_str("f", "").unwrap(), "kept");
    assert_eq!(instance.take_output(Stream::Err), b"info: \n");
}

#[test]
fn variables_are_limited_to_one_mebibyte() {
    let code = format!(
        r#"(func (export "set") (result i32) (call $var_set {} (call $input_offset)) (i32.const 0))"#,
        text("k")
    );
    let mut instance = instance(&code);
    let most = vec![1; (1 << 20) - 1];
    instance.call_bytes("set", &[&most]).unwrap();
    instance.call_bytes("set", &[&most]).unwrap();
    let error = instance.call_bytes("set", &[&[1; 1 << 20]]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Host(_)), "{error}");
}

/// A call of one of the functions, with offsets relative to a block.
#[derive(Debug, Clone)]
enum Op {
    Alloc(u64),
    Free(Place),
    Length(Place),
    Load8(Place),
    Load64(Place),
    Store8(Place, u8),
    Store64(Place, u64),
    Output(Place, u64),
    Input(Place, u64),
    Reset,
}

/// An offset: of the nth block, and a distance; or any number.
#[derive(Debug, Clone)]
enum Place {
    Of(usize, i64),
    Any(u64),
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        3 => (0..6_usize, prop_oneof![Just(0_i64), -9..40_i64]).prop_map(|(block, at)| Place::Of(block, at)),
        1 => prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX - 7), any::<u64>()].prop_map(Place::Any),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let len = || prop_oneof![0..40_u64, Just(u64::MAX), any::<u64>()];
    prop_oneof![
        3 => prop_oneof![9 => 0..40_u64, 1 => any::<u64>()].prop_map(Op::Alloc),
        1 => place().prop_map(Op::Free),
        1 => place().prop_map(Op::Length),
        1 => place().prop_map(Op::Load8),
        1 => place().prop_map(Op::Load64),
        1 => (place(), any::<u8>()).prop_map(|(at, value)| Op::Store8(at, value)),
        1 => (place(), any::<u64>()).prop_map(|(at, value)| Op::Store64(at, value)),
        1 => (place(), len()).prop_map(|(at, len)| Op::Output(at, len)),
        1 => (place(), len()).prop_map(|(at, len)| Op::Input(at, len)),
        1 => Just(Op::Reset),
    ]
}

/// The plainest model of the functions: every byte by its offset.
#[derive(Default)]
struct Model {
    blocks: Vec<(u64, u64)>,
    bytes: BTreeMap<u64, u8>,
    output: (u64, u64),
    input: (u64, u64),
}

impl Model {
    fn place(&self, place: &Place) -> u64 {
        match *place {
            Place::Of(block, at) if !self.blocks.is_empty() => {
                self.blocks[block % self.blocks.len()].0.wrapping_add_signed(at)
            }
            Place::Of(_, at) => at as u64,
            Place::Any(offset) => offset,
        }
    }

    fn length(&self, offset: u64) -> u64 {
        self.blocks
            .iter()
            .find(|block| block.0 == offset)
            .map_or(0, |block| block.1)
    }

    /// Returns the offsets of a range that is inside of one block.
    fn range(&self, offset: u64, len: u64) -> Option<std::ops::Range<u64>> {
        let end = offset.checked_add(len)?;
        let inside = |block: &&(u64, u64)| block.0 <= offset && end <= block.0 + block.1;
        self.blocks.iter().find(inside).map(|_| offset..end)
    }

    fn load(&self, offset: u64, len: u64) -> u64 {
        let offsets = self.range(offset, len).into_iter().flatten();
        offsets
            .enumerate()
            .map(|(n, at)| u64::from(self.bytes[&at]) << (8 * n))
            .sum()
    }

    fn store(&mut self, offset: u64, bytes: &[u8]) {
        if let Some(range) = self.range(offset, bytes.len() as u64) {
            self.bytes.extend(range.zip(bytes.iter().copied()));
        }
    }

    fn is_valid(&self, offset: u64, len: u64) -> bool {
        len == 0 || self.range(offset, len).is_some()
    }
}

proptest! {
    #[test]
    fn the_functions_are_as_the_model(ops in prop::collection::vec(op(), 0..60)) {
        const LIMIT: u64 = 4000;
        let mut instance = sandbox(Limits::DEFAULT.with_memory_bytes(LIMIT)).instantiate(&guest("")).unwrap();
        let mut model = Model::default();
        for op in ops {
            let mut call = |name: &str, args: &[u64]| -> u64 {
                let mut args: Vec<Value> = args.iter().map(|arg| Value::I64(*arg as i64)).collect();
                if name == "store_u8" {
                    let value = args.pop().and_then(Value::as_i64).unwrap();
                    args.push(Value::I32(value as i32));
                }
                match instance.call(name, &args).unwrap().as_slice() {
                    [] => 0,
                    [Value::I32(value)] => u64::from(*value as u32),
                    [Value::I64(value)] => *value as u64,
                    other => panic!("{other:?}"),
                }
            };
            match &op {
                Op::Alloc(len) => {
                    let held: u64 = model.blocks.iter().map(|block| block.1 + schedule::RECORD_BYTES).sum();
                    let fits = *len > 0 && held + schedule::RECORD_BYTES + u128::from(*len).min(1 << 40) as u64 <= LIMIT;
                    let block = match call_checked(&mut instance, *len) {
                        Some(block) => block,
                        // The fuel that the bytes cost is more than a call can have.
                        None => return Ok(()),
                    };
                    prop_assert_eq!(block != 0, fits, "{:?} {:?}", op, model.blocks);
                    if fits {
                        for (start, other) in &model.blocks {
                            prop_assert!(block > start + other || block + len < *start, "blocks touch");
                        }
                        model.bytes.extend((block..block + len).map(|at| (at, 0)));
                        model.blocks.push((block, *len));
                    }
                }
                Op::Free(at) => {
                    let at = model.place(at);
                    call("free", &[at]);
                    model.blocks.retain(|block| block.0 != at);
                }
                Op::Length(at) => {
                    let at = model.place(at);
                    prop_assert_eq!(call("length", &[at]), model.length(at));
                    prop_assert_eq!(call("length_unsafe", &[at]), model.length(at));
                }
                Op::Load8(at) => {
                    let at = model.place(at);
                    prop_assert_eq!(call("load_u8", &[at]), model.load(at, 1));
                }
                Op::Load64(at) => {
                    let at = model.place(at);
                    prop_assert_eq!(call("load_u64", &[at]), model.load(at, 8));
                }
                Op::Store8(at, value) => {
                    let at = model.place(at);
                    call("store_u8", &[at, u64::from(*value) | 0xff00]);
                    model.store(at, &[*value]);
                }
                Op::Store64(at, value) => {
                    let at = model.place(at);
                    call("store_u64", &[at, *value]);
                    model.store(at, &value.to_le_bytes());
                }
                Op::Output(at, len) => {
                    let at = model.place(at);
                    call("output_set", &[at, *len]);
                    if model.is_valid(at, *len) {
                        model.output = (at, *len);
                    }
                    prop_assert_eq!((call("output_offset", &[]), call("output_length", &[])), model.output);
                }
                Op::Input(at, len) => {
                    let at = model.place(at);
                    call("input_set", &[at, *len]);
                    if model.is_valid(at, *len) {
                        model.input = (at, *len);
                    }
                    prop_assert_eq!((call("input_offset", &[]), call("input_length", &[])), model.input);
                    for offset in [0, 1, len.wrapping_sub(8), len.wrapping_sub(1), *len, u64::MAX] {
                        let inside = |n: u64| offset.checked_add(n).is_some_and(|end| end <= model.input.1);
                        let byte = if inside(1) { model.load(model.input.0 + offset, 1) } else { 0 };
                        let word = if inside(8) { model.load(model.input.0 + offset, 8) } else { 0 };
                        prop_assert_eq!(call("input_load_u8", &[offset]), byte);
                        prop_assert_eq!(call("input_load_u64", &[offset]), word);
                    }
                }
                Op::Reset => {
                    call("reset", &[]);
                    model = Model::default();
                }
            }
            let bytes: u64 = model.blocks.iter().map(|block| block.1).sum();
            let records = model.blocks.len() as u64 * schedule::RECORD_BYTES;
            prop_assert_eq!(instance.call_i64("memory_bytes", &[]).unwrap() as u64, bytes);
            prop_assert_eq!(instance.usage().memory_bytes, bytes + records);
        }
    }
}

/// Allocates; `None` if the call ran out of fuel, and so was aborted.
fn call_checked(instance: &mut Instance, len: u64) -> Option<u64> {
    match instance.call("alloc", &[Value::I64(len as i64)]) {
        Ok(results) => results[0].as_i64().map(|block| block as u64),
        Err(error) => {
            assert_eq!(error.limit(), Some(Limit::Fuel), "{error}");
            None
        }
    }
}
