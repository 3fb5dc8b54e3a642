//! One limit covers the memory of a call and of its workers.

#![cfg(any(unix, windows))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use dynload_sandbox::*;

const WORKERS: u32 = 3;
const MIB: u64 = 1 << 20;

/// Each worker has a MiB and requests one more; all are alive at the same time. `run` returns how many got it.
const PROGRAM: &str = r#"(module
    (import "dynload" "thread_spawn" (func $spawn (param i32 i32 i64 i32) (result i32)))
    (import "dynload" "thread_join" (func $join (param i32 i32) (result i32)))
    (import "env" "meet" (func $meet))
    (memory (export "memory") 16) (data (i32.const 0) "work")
    (func (export "work") (param i64) (result i64) (local i64)
        (call $meet)
        (local.set 1 (i64.extend_i32_s (memory.grow (i32.const 16))))
        (call $meet)
        (i64.ge_s (local.get 1) (i64.const 0)) i64.extend_i32_u)
    (func (export "run") (param $n i32) (result i64) (local $i i32) (local $got i64)
        (loop $spawning
            (if (call $spawn (i32.const 0) (i32.const 4) (i64.const 0) (i32.add (i32.const 64) (i32.mul (local.get $i) (i32.const 4))))
                (then unreachable))
            (br_if $spawning (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (loop $joining
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (if (call $join (i32.load (i32.add (i32.const 64) (i32.mul (local.get $i) (i32.const 4)))) (i32.const 256))
                (then unreachable))
            (local.set $got (i64.add (local.get $got) (i64.load (i32.const 256))))
            (br_if $joining (local.get $i)))
        (local.get $got)))"#;

/// Returns how many workers got the requested memory under a limit, and the usage.
fn run(limit: u64) -> (Result<Vec<Value>, Error>, Usage) {
    let scopes = Scopes::none().with_max_workers(WORKERS);
    let mut sandbox = Sandbox::new(
        Limits::DEFAULT
            .with_memory_bytes(limit)
            .with_time(Duration::from_millis(60_000)),
    )
    .with_capabilities(Capabilities::THREADING)
    .with_scopes(scopes);
    let met = Arc::new(AtomicU32::new(0));
    sandbox.func_wrap(
        "env",
        "meet",
        Capabilities::NONE,
        move |caller: &mut Caller<'_>, ()| {
            let turn = met.fetch_add(1, Ordering::SeqCst) / WORKERS;
            let all = |_: &mut Caller<'_>| met.load(Ordering::SeqCst) / WORKERS > turn;
            caller.wait(Duration::from_secs(60), all).map(drop)
        },
    );
    let module = Module::new(&Engine::default(), wat::parse_str(PROGRAM).unwrap()).unwrap();
    let mut instance = sandbox.instantiate(&module).unwrap();
    let result = instance.call("run", &[Value::I32(WORKERS as i32)]);
    (result, instance.usage())
}

#[test]
fn workers_share_the_memory_limit_of_their_call() {
    let own = MIB + u64::from(WORKERS) * MIB;
    for more in 0..=u64::from(WORKERS) {
        let (result, usage) = run(own + more * MIB);
        assert_eq!(result.unwrap(), [Value::I64(more as i64)]);
        assert_eq!(usage.peak_memory_bytes, own + more * MIB);
        assert_eq!(usage.memory_bytes, MIB);
        if more > 0 {
            // With a byte less, one worker less gets it.
            let (result, _) = run(own + more * MIB - 1);
            assert_eq!(result.unwrap(), [Value::I64(more as i64 - 1)]);
        }
    }
}
