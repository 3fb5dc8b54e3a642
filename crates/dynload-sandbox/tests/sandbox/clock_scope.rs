//! What guests with TIME see of the clock.

use dynload_sandbox::*;
use std::time::Duration;

/// A clock that stands still, at a time that is not a multiple of anything round.
struct Still;

impl Clock for Still {
    fn monotonic(&self) -> Duration {
        Duration::new(1_234, 567_891_234)
    }

    fn wall(&self) -> Option<Duration> {
        Some(Duration::new(1_800_000_000, 987_654_321))
    }
}

const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
    (import "vais" "now_ms" (func $now_ms (result i64)))
    (memory (export "memory") 1)
    (func (export "time") (param i32) (result i32 i64)
        (call $time (local.get 0) (i64.const 0) (i32.const 8)) (i64.load (i32.const 8)))
    (func (export "resolution") (param i32) (result i32 i64)
        (call $resolution (local.get 0) (i32.const 8)) (i64.load (i32.const 8)))
    (func (export "now_ms") (result i64) (call $now_ms)))"#;

const OK: i32 = 0;
const INVAL: i32 = 28;
const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;

fn reader(scope: ClockScope) -> Instance {
    let module = Module::new(&Engine::default(), wat::parse_str(READER).unwrap()).unwrap();
    let sandbox = Sandbox::new(Limits::DEFAULT)
        .with_clock(Still)
        .with_clock_scope(scope);
    sandbox.grant(Capabilities::TIME);
    sandbox.instantiate(&module).unwrap()
}

fn ask(instance: &mut Instance, export: &str, clock: i32) -> (i32, i64) {
    match instance.call(export, &[Value::I32(clock)]).unwrap()[..] {
        [Value::I32(errno), Value::I64(value)] => (errno, value),
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn the_full_scope_shows_the_clock_as_it_is() {
    let mut instance = reader(ClockScope::FULL);
    assert_eq!(ask(&mut instance, "time", MONOTONIC), (OK, 1_234_567_891_234));
    assert_eq!(
        ask(&mut instance, "time", REALTIME),
        (OK, 1_800_000_000_987_654_321)
    );
    assert_eq!(ask(&mut instance, "resolution", MONOTONIC), (OK, 1));
    assert_eq!(
        instance.call("now_ms", &[]).unwrap(),
        [Value::I64(1_800_000_000_987)]
    );
}

#[test]
fn a_coarse_scope_rounds_down_and_reports_its_resolution() {
    let mut instance = reader(ClockScope::FULL.with_resolution(Duration::from_millis(100)));
    assert_eq!(ask(&mut instance, "time", MONOTONIC), (OK, 1_234_500_000_000));
    assert_eq!(
        ask(&mut instance, "time", REALTIME),
        (OK, 1_800_000_000_900_000_000)
    );
    assert_eq!(ask(&mut instance, "resolution", REALTIME), (OK, 100_000_000));
    assert_eq!(
        instance.call("now_ms", &[]).unwrap(),
        [Value::I64(1_800_000_000_900)]
    );
}

#[test]
fn without_the_wall_clock_there_is_no_date() {
    let mut instance = reader(ClockScope::FULL.without_wall());
    assert_eq!(ask(&mut instance, "time", REALTIME).0, INVAL);
    assert_eq!(ask(&mut instance, "resolution", REALTIME).0, INVAL);
    assert_eq!(ask(&mut instance, "time", MONOTONIC), (OK, 1_234_567_891_234));
    assert_eq!(instance.call("now_ms", &[]).unwrap(), [Value::I64(1_234_567)]);
}

#[test]
fn a_resolution_of_zero_is_a_nanosecond() {
    let mut instance = reader(ClockScope::FULL.with_resolution(Duration::ZERO));
    assert_eq!(ask(&mut instance, "time", MONOTONIC), (OK, 1_234_567_891_234));
}
