//! A deadline and an interrupt take effect in every mix of what a guest and its host can do.
//!
//! The measure is the CPU time of the calling thread, so that a busy machine does not count: a thread that
//! waits for a processor uses none.

#![cfg(target_os = "linux")]

mod first_use;

use dynload_sandbox::*;
use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use std::{
    fmt::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// The CPU time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A clock that advances while the thread that reads it runs.
struct ProcessorClock;

impl Clock for ProcessorClock {
    fn monotonic(&self) -> Duration {
        processor_time()
    }
}

fn spin(time: Duration) {
    let end = processor_time() + time;
    while processor_time() < end {
        std::hint::spin_loop();
    }
}

/// The imports of every program.
const IMPORTS: &str = r#"
    (import "env" "spin" (func $spin (param i64)))
    (import "vais" "random" (func $random (result i64)))
    (import "vais" "random_range" (func $random_range (param i64 i64) (result i64)))
    (import "vais" "now_ms" (func $now_ms (result i64)))
    (import "vais" "println" (func $println (param i32 i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (import "dynload" "process_run" (func $process_run (param i32) (result i32)))
    (import "dynload" "tcp_connect" (func $connect (param i32 i32 i32 i32) (result i32)))"#;

/// The steps of a loop: the most expensive operations that little fuel buys. `$x` is a number that increases.
const STEPS: [&str; 30] = [
    "",
    "(drop (i64.div_u (i64.const -1) (i64.or (local.get $x) (i64.const 1))))",
    "(drop (f64.sqrt (f64.convert_i64_u (local.get $x))))",
    "(drop (f64.nearest (f64.div (f64.const 1e300) (f64.convert_i64_u (local.get $x)))))",
    // A page that was never touched, or that is in no cache.
    "(drop (i64.load (i32.and (i32.wrap_i64 (i64.mul (local.get $x) (i64.const 0x9e3779b97f4a7c15))) (i32.const 0x3fffff8))))",
    "(i64.store offset=4096 (i32.and (i32.wrap_i64 (i64.mul (local.get $x) (i64.const 0x9e3779b97f4a7c15))) (i32.const 0x3ffeff8)) (local.get $x))",
    "(memory.fill (i32.const 5000) (i32.const 1) (i32.const 63))",
    "(memory.fill (i32.const 5000) (i32.const 1) (i32.const 65000))",
    "(memory.copy (i32.const 5000) (i32.const 5001) (i32.const 63))",
    "(memory.copy (i32.const 5000) (i32.const 5001) (i32.const 1000000))",
    "(table.copy (i32.const 1) (i32.const 2) (i32.const 15))",
    "(drop (memory.grow (i32.const 0)))",
    "(drop (memory.grow (i32.const 1)))",
    "(drop (memory.grow (i32.const -1)))",
    "(drop (table.grow (ref.null func) (i32.const 0)))",
    "(drop (table.grow (ref.null func) (i32.const 1)))",
    "(drop (table.grow (ref.null func) (i32.const -1)))",
    "(call $locals)",
    "(call_indirect (i32.const 0))",
    "(call $carry (i32.wrap_i64 (local.get $x)))",
    "(call $spin (i64.const 0))",
    "(call $spin (i64.const 2))",
    "(call $spin (i64.const 1000))",
    "(drop (call $random))",
    "(drop (call $random_range (i64.const 0) (i64.const 1000)))",
    "(drop (call $now_ms))",
    "(call $println (i32.const 0) (i32.const 60))",
    "(drop (call $random_get (i32.const 3000) (i32.const 60)))",
    "(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 3200)))",
    "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
     (drop (call $prestat (i32.const 3) (i32.const 0))) (drop (call $yield))
     (drop (call $process_run (i32.const 0))) (drop (call $connect (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
];

/// A program that runs cheap code for a while, and then each of the steps a number of times, forever.
fn program(burst: u32, steps: &[(usize, u32)]) -> Vec<u8> {
    wat::parse_str(text(burst, steps)).unwrap_or_else(|error| panic!("{error}"))
}

/// The same program as a start function.
fn start(step: usize) -> Vec<u8> {
    let text = text(1_000, &[(step, 1_000)]).replace("(func (export \"run\")", "(start $run) (func $run");
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

fn text(burst: u32, steps: &[(usize, u32)]) -> String {
    let mut body = String::new();
    for (step, times) in steps {
        let _ = write!(
            body,
            "(local.set $n (i32.const {times}))
             (loop $again {} (local.set $x (i64.add (local.get $x) (i64.const 1)))
                (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))",
            STEPS[*step]
        );
    }
    format!(
        r#"(module {IMPORTS}
            (memory (export "memory") 1024 2048) (table 1000 2000 funcref) (elem (i32.const 0) func $nothing)
            (func $nothing)
            (func $locals (local {locals}))
            (func $carry (param $i i32)
                (block (result {values}) (block (result {values})
                    {operands} (br_table 0 1 0 1 (i32.and (local.get $i) (i32.const 3))))) {drops})
            (func (export "run") (local $x i64) (local $n i32)
                (local.set $n (i32.const {burst}))
                (if (local.get $n) (then (loop $cheap {cheap}
                    (br_if $cheap (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
                (loop $for_ever {body} (br $for_ever))))"#,
        locals = "i64 ".repeat(64),
        values = "i64 ".repeat(16),
        operands = "(i64.const 1) ".repeat(16),
        drops = "drop ".repeat(16),
        cheap = "(drop (i32.const 1))".repeat(50),
    )
}

fn sandbox(limits: Limits) -> Sandbox {
    let mut sandbox = Sandbox::new(limits)
        .with_capabilities(Capabilities::all())
        .with_console(Console::default().with_limit(1 << 16));
    sandbox.func_wrap("env", "spin", Capabilities::NONE, |_, (us,): (i64,)| {
        spin(Duration::from_micros(us as u64));
        Ok(())
    });
    sandbox
}

/// Returns by how much a call of the module outlasts its limit.
fn overshoot(sandbox: &Sandbox, wasm: &[u8], limit: Duration) -> Duration {
    let load = || Module::new(&Engine::default(), wasm).unwrap();
    overshoot_of(sandbox, load, limit)
}

/// Returns by how much a call of what `load` returns outlasts its limit: the least of three runs, if that is much. Occasional
/// delays of the machine are not what is measured.
fn overshoot_of(sandbox: &Sandbox, load: impl Fn() -> Module, limit: Duration) -> Duration {
    let mut least = overshoot_once(sandbox, &load(), limit);
    for _ in 0..2 {
        if least > Duration::from_millis(1) {
            least = least.min(overshoot_once(sandbox, &load(), limit));
        }
    }
    least
}

fn overshoot_once(sandbox: &Sandbox, module: &Module, limit: Duration) -> Duration {
    let mut instance = sandbox.instantiate(module).unwrap();
    let before = processor_time();
    let error = instance.call("run", &[]).unwrap_err();
    let took = processor_time() - before;
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    took.saturating_sub(limit)
}

const LIMIT: u64 = 8;

fn limits() -> Limits {
    Limits::DEFAULT
        .with_time(Duration::from_millis(LIMIT))
        .with_memory_bytes(256 << 20)
}

/// Checks the bounds: one in a hundred may be late by more than 2 ms, none by more than 10 ms.
#[track_caller]
fn within_bounds(what: &str, mut all: Vec<(Duration, String)>) {
    all.sort_unstable();
    let worst = all.last().unwrap();
    let (late, program) = &all[all.len() * 99 / 100 - 1];
    println!(
        "{what}: p99 {late:?} ({program}), worst {:?} ({})",
        worst.0, worst.1
    );
    assert!(
        *late <= Duration::from_millis(2),
        "{what}: p99 {late:?} ({program})"
    );
    assert!(
        worst.0 <= Duration::from_millis(10),
        "{what}: {:?} ({})",
        worst.0,
        worst.1
    );
}

/// The programs that run one by one: each step alone, after bursts of all sizes.
fn programs() -> Vec<(String, Vec<u8>)> {
    let mut programs = Vec::new();
    for (step, text) in STEPS.iter().enumerate() {
        for burst in [0, 1_000, 100_000] {
            programs.push((format!("{text} after {burst}"), program(burst, &[(step, 1_000)])));
        }
    }
    programs
}

/// With a clock that has no counter: it is read around each host function.
#[test]
fn deadlines_by_a_clock_of_the_embedder() {
    let sandbox = sandbox(limits()).with_clock(ProcessorClock);
    let limit = Duration::from_millis(LIMIT);
    let all = programs()
        .into_iter()
        .map(|(what, wasm)| (overshoot(&sandbox, &wasm, limit), what))
        .collect();
    within_bounds("clock of the embedder", all);
}

/// With the system's clock. A thread counts its ticks, and may have to wait for a processor on a busy machine.
#[test]
fn deadlines_by_the_system_clock() {
    let sandbox = sandbox(limits());
    let limit = Duration::from_millis(LIMIT);
    let worst = programs()
        .into_iter()
        .map(|(what, wasm)| (overshoot(&sandbox, &wasm, limit), what))
        .max()
        .unwrap();
    println!("{worst:?}");
    assert!(worst.0 < Duration::from_secs(1), "{worst:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if std::env::var_os("DYNLOAD_PROVE").is_some() { 2_000 } else { 60 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn deadlines_in_every_mix(
        burst in prop_oneof![Just(0_u32), 1..200_000_u32],
        steps in prop::collection::vec((0..STEPS.len(), 1..3_000_u32), 1..5),
    ) {
        let sandbox = sandbox(limits()).with_clock(ProcessorClock);
        let late = overshoot(&sandbox, &program(burst, &steps), Duration::from_millis(LIMIT));
        prop_assert!(late <= Duration::from_millis(10), "{late:?}");
    }
}

/// The host function returns after the call should have stopped; the guest does nothing more.
#[test]
fn a_call_ends_after_the_host_function_that_was_running() {
    for (us, burst) in [(100, 10_000), (1_000, 0)] {
        let wasm = program(burst, &[(22, 1_000)]);
        let limit = Duration::from_millis(20);
        let calls = Arc::new(AtomicU64::new(0));
        let mut sandbox = Sandbox::new(limits().with_time(Duration::from_millis(20)))
            .with_capabilities(Capabilities::all());
        let counted = calls.clone();
        sandbox.func_wrap("env", "spin", Capabilities::NONE, move |_, (_,): (i64,)| {
            counted.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_micros(us));
            Ok(())
        });
        let module = Module::new(&Engine::default(), &wasm).unwrap();
        let mut instance = sandbox.instantiate(&module).unwrap();
        let error = instance.call("run", &[]).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Time));
        // However long a sleep takes: at most one more begins than fit.
        let most = limit.as_micros() as u64 / us + 1;
        let calls = calls.load(Ordering::Relaxed);
        assert!(calls <= most, "{calls} calls of {us} us, {most} fit");
    }
}

fn module(wat: &str) -> Module {
    Module::new(&Engine::default(), wat::parse_str(wat).unwrap()).unwrap()
}

/// An instance whose `run` never ends on its own, and has ten minutes.
fn endless() -> Instance {
    let module = module(r#"(module (func (export "run") (loop (br 0))))"#);
    let limits = Limits::DEFAULT.with_time(Duration::from_secs(600));
    Sandbox::new(limits).instantiate(&module).unwrap()
}

/// A host function of one instance calls another five times; each of these calls has enough time of its own.
#[test]
fn an_outer_deadline_applies_to_nested_calls() {
    let inner = endless();
    let inner = Arc::new(Mutex::new(inner));
    let mut outer = Sandbox::new(Limits::DEFAULT.with_time(Duration::from_millis(50)));
    let failures = Arc::new(Mutex::new(Vec::new()));
    let seen = failures.clone();
    outer.func_wrap("env", "others", Capabilities::NONE, move |_, ()| {
        for _ in 0..5 {
            let mut inner = inner.lock().unwrap();
            seen.lock().unwrap().push(inner.call("run", &[]).unwrap_err());
            inner.reset().unwrap();
        }
        Ok(())
    });
    let module = module(r#"(module (import "env" "others" (func $f)) (func (export "run") (call $f)))"#);
    let mut instance = outer.instantiate(&module).unwrap();
    let error = instance.call("run", &[]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    for inner in failures.lock().unwrap().iter() {
        let ErrorKind::LimitExceeded { limit, value, .. } = inner.kind() else {
            panic!("{inner:?}");
        };
        // Each error names the limit of the outer call.
        assert_eq!((*limit, *value), (Limit::Time, 50), "{inner}");
    }
    assert_eq!(failures.lock().unwrap().len(), 5);
    // Outside a call, the instance has its own time again.
    instance.reset().unwrap();
}

/// A host function passes the inner error on: the outer call still ends by its own limit.
#[test]
fn a_propagated_error_does_not_hide_the_limit() {
    let inner = endless();
    let inner = Mutex::new(inner);
    let mut outer = Sandbox::new(Limits::DEFAULT.with_time(Duration::from_millis(20)));
    outer.func_wrap("env", "other", Capabilities::NONE, move |_, ()| {
        inner
            .lock()
            .unwrap()
            .call("run", &[])
            .map(drop)
            .map_err(Stop::host)
    });
    let module = module(r#"(module (import "env" "other" (func $f)) (func (export "run") (call $f)))"#);
    let error = outer.instantiate(&module).unwrap().call("run", &[]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
}

/// An interrupt of the outer call ends the inner one, and then the outer one.
#[test]
fn an_outer_interrupt_applies_to_nested_calls() {
    let inner = endless();
    let inner = Mutex::new(inner);
    let (running, started) = mpsc::channel();
    let running = Mutex::new(running);
    let mut outer = Sandbox::new(Limits::DEFAULT.with_time(Duration::from_millis(600_000)));
    outer.func_wrap("env", "other", Capabilities::NONE, move |_, ()| {
        running.lock().unwrap().send(()).unwrap();
        let error = inner.lock().unwrap().call("run", &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
        Ok(())
    });
    let module =
        module(r#"(module (import "env" "other" (func $f)) (func (export "run") (call $f) (loop (br 0))))"#);
    let mut instance = outer.instantiate(&module).unwrap();
    let interrupt = instance.interrupt_handle();
    let canceller = thread::spawn(move || {
        started.recv().unwrap();
        interrupt.interrupt();
    });
    let error = instance.call("run", &[]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
    canceller.join().unwrap();
}

/// Loops that used to take 242 ms and more to notice an interrupt.
#[test]
fn an_interrupt_ends_every_loop() {
    for step in [0, 11, 13, 16, 20, 22, 23] {
        let module = Module::new(&Engine::default(), program(10_000, &[(step, 1_000)])).unwrap();
        let limits = Limits::DEFAULT
            .with_time(Duration::from_millis(600_000))
            .with_memory_bytes(256 << 20);
        let mut instance = sandbox(limits).instantiate(&module).unwrap();
        let interrupt = instance.interrupt_handle_for_next_call();
        let ended = Arc::new(AtomicBool::new(false));
        let canceller = thread::spawn({
            let ended = ended.clone();
            move || {
                thread::sleep(Duration::from_millis(5));
                let before = ended.load(Ordering::SeqCst);
                interrupt.interrupt();
                before
            }
        });
        let error = instance.call("run", &[]).unwrap_err();
        ended.store(true, Ordering::SeqCst);
        assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
        assert!(!canceller.join().unwrap());
    }
}

/// A start function is a call like any other.
#[test]
fn a_start_function_ends_at_its_deadline() {
    for step in [0, 11, 13, 20, 23] {
        let module = Module::new(&Engine::default(), start(step)).unwrap();
        let error = sandbox(limits()).instantiate(&module).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    }
}
