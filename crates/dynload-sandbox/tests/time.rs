//! Deadlines, interrupts, and budgets that several calls and threads share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use dynload_sandbox::*;

/// How late a call may end on a busy machine. A call that no deadline ends takes forever.
const ROOM: Duration = Duration::from_secs(60);

fn module(wat: &str) -> Module {
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
    Module::new(&Engine::default(), wasm).unwrap_or_else(|error| panic!("{error}: {wat}"))
}

/// A sandbox with host functions that take a long time.
fn sandbox(limits: Limits) -> Sandbox {
    let mut sandbox = Sandbox::new(limits);
    sandbox.func_wrap(
        "env",
        "wait",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, ()| caller.wait(Duration::from_secs(3_600), |_| false).map(|_| ()),
    );
    sandbox.func_wrap(
        "env",
        "compute",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, ()| -> Result<(), Stop> {
            loop {
                caller.check()?;
            }
        },
    );
    sandbox.func_wrap(
        "env",
        "back",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, ()| caller.call("back", &[]).map(|_| ()),
    );
    sandbox
}

const SPIN: &str = r#"(module (func (export "run") (loop (br 0))))"#;

/// Programs that never end on their own.
const ENDLESS: [(&str, &str); 10] = [
    ("a loop", SPIN),
    (
        "a loop with work",
        r#"(module (memory 1) (func (export "run") (local i32)
        (loop (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))
            (local.set 0 (i32.and (i32.add (local.get 0) (i32.const 4)) (i32.const 65532))) (br 0))))"#,
    ),
    (
        "a tail call",
        r#"(module (func $f (export "run") return_call $f))"#,
    ),
    (
        "calls",
        r#"(module (func $f) (func (export "run") (loop (call $f) (br 0))))"#,
    ),
    (
        "recursion",
        r#"(module (func $f (export "run") (param $n i32) (result i32)
        (if (result i32) (local.get $n) (then (i32.add (call $f (i32.sub (local.get $n) (i32.const 1)))
            (call $f (i32.sub (local.get $n) (i32.const 1))))) (else (i32.const 1)))))"#,
    ),
    (
        "bulk memory",
        r#"(module (memory 16) (func (export "run")
        (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576)) (br 0))))"#,
    ),
    (
        "bulk tables",
        r#"(module (table 10000 funcref) (func (export "run")
        (loop (table.copy (i32.const 0) (i32.const 1) (i32.const 9999)) (br 0))))"#,
    ),
    (
        "growth that fails",
        r#"(module (memory 1 1) (func (export "run")
        (loop (drop (memory.grow (i32.const 1))) (br 0))))"#,
    ),
    (
        "a host function that waits",
        r#"(module (import "env" "wait" (func $f)) (func (export "run") (call $f)))"#,
    ),
    (
        "a host function that computes",
        r#"(module (import "env" "compute" (func $f)) (func (export "run") (call $f)))"#,
    ),
];

fn arguments(wat: &str) -> Vec<Value> {
    if wat.contains("(param $n i32)") {
        vec![Value::I32(200)]
    } else {
        Vec::new()
    }
}

#[track_caller]
fn timed_out(error: &Error, limit: u64) {
    match error.kind() {
        ErrorKind::LimitExceeded {
            limit: Limit::Time,
            value,
            ..
        } => assert_eq!(*value, limit),
        other => panic!("{other:?}"),
    }
    let wall = error.usage().wall_time.expect("the clock was read");
    assert!(
        wall >= Duration::from_millis(limit),
        "stopped early, after {wall:?}"
    );
    assert!(
        wall < Duration::from_millis(limit) + ROOM,
        "stopped late, after {wall:?}"
    );
}

#[test]
fn endless_calls_end_at_the_deadline() {
    for (what, wat) in ENDLESS {
        let mut instance = sandbox(Limits::DEFAULT.with_time(Duration::from_millis(30)))
            .instantiate(&module(wat))
            .unwrap();
        let started = Instant::now();
        let error = instance.call("run", &arguments(wat)).expect_err(what);
        timed_out(&error, 30);
        assert!(started.elapsed() < ROOM, "{what}");
        assert!(error.to_string().contains("time limit of 30 ms"), "{error}");
    }
}

#[test]
fn the_deadline_covers_the_start_function() {
    for wat in [
        "(module (func $spin (loop (br 0))) (start $spin))",
        r#"(module (import "env" "wait" (func $wait)) (start $wait))"#,
        r#"(module (import "env" "wait" (func $wait)) (func $f call $wait) (start $f))"#,
    ] {
        let error = sandbox(Limits::DEFAULT.with_time(Duration::from_millis(20)))
            .instantiate(&module(wat))
            .unwrap_err();
        timed_out(&error, 20);
        assert_eq!(error.invocation(), &Invocation::Start);
    }
}

#[test]
fn the_deadline_covers_calls_back() {
    let wat = r#"(module (import "env" "back" (func $back)) (func (export "back") (loop (br 0)))
        (func (export "run") call $back))"#;
    let mut instance = sandbox(Limits::DEFAULT.with_time(Duration::from_millis(20)))
        .instantiate(&module(wat))
        .unwrap();
    timed_out(&instance.call("run", &[]).unwrap_err(), 20);
}

#[test]
fn a_time_limit_of_zero_ends_a_call() {
    let mut instance = sandbox(Limits::DEFAULT.with_time(Duration::from_millis(0)))
        .instantiate(&module(SPIN))
        .unwrap();
    timed_out(&instance.call("run", &[]).unwrap_err(), 0);
}

/// A clock that advances by a tenth of a millisecond each time it is read.
#[derive(Default)]
struct Looks(Arc<AtomicU64>);

impl Clock for Looks {
    fn monotonic(&self) -> Duration {
        Duration::from_micros(100 * self.0.fetch_add(1, Ordering::SeqCst))
    }
}

#[test]
fn the_embedders_clock_decides() {
    let looks = Arc::new(AtomicU64::new(0));
    let limits = Limits::DEFAULT.with_time(Duration::from_millis(50));
    let mut instance = Sandbox::new(limits)
        .with_clock(Looks(looks.clone()))
        .instantiate(&module(SPIN))
        .unwrap();
    let error = instance.call("run", &[]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time));
    assert!(
        error
            .usage()
            .wall_time
            .is_some_and(|time| time >= Duration::from_millis(50))
    );
    assert!(
        (500..600).contains(&looks.load(Ordering::SeqCst)),
        "{looks:?} readings of the clock"
    );
}

/// A clock that never advances: fuel still ends the call.
struct Still;

impl Clock for Still {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[test]
fn fuel_needs_no_clock() {
    let limits = Limits::DEFAULT.with_fuel(3_000_000);
    let mut instance = Sandbox::new(limits)
        .with_clock(Still)
        .instantiate(&module(SPIN))
        .unwrap();
    let error = instance.call("run", &[]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Fuel));
    assert_eq!(error.usage().fuel, 3_000_000);
}

#[test]
fn short_calls_do_not_read_the_clock_and_long_ones_do() {
    let wat = r#"(module (func (export "run") (param i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let looks = Arc::new(AtomicU64::new(0));
    let mut instance = Sandbox::new(Limits::DEFAULT)
        .with_clock(Looks(looks.clone()))
        .instantiate(&module(wat))
        .unwrap();
    instance.call("run", &[Value::I32(100)]).unwrap();
    assert_eq!(
        (looks.load(Ordering::SeqCst), instance.usage().wall_time),
        (0, None)
    );
    instance.call("run", &[Value::I32(1_000_000)]).unwrap();
    assert!(instance.usage().wall_time.is_some());
    let seen = looks.load(Ordering::SeqCst);
    instance.usage();
    assert_eq!(
        looks.load(Ordering::SeqCst),
        seen,
        "the usage of a call that has ended reads no clock"
    );
}

#[test]
fn each_call_has_its_own_deadline() {
    let limits = Limits::DEFAULT.with_time(Duration::from_millis(60_000));
    let mut sandbox = Sandbox::new(limits).with_clock(Looks::default());
    sandbox.func_wrap(
        "env",
        "remaining",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, ()| {
            Ok((
                caller.remaining().as_micros() as i64,
                caller.remaining().as_micros() as i64,
            ))
        },
    );
    let wat = r#"(module (import "env" "remaining" (func $f (result i64 i64)))
        (func (export "run") (result i64 i64) call $f))"#;
    let mut instance = sandbox.instantiate(&module(wat)).unwrap();
    // The clock advances by 100 us with each reading.
    let first = instance.call("run", &[]).unwrap();
    match first[..] {
        [Value::I64(first), Value::I64(second)] => {
            assert!((59_999_000..=60_000_000).contains(&first), "{first}");
            assert_eq!(first - second, 100);
        }
        ref other => panic!("{other:?}"),
    }
    for _ in 0..3 {
        assert_eq!(instance.call("run", &[]).unwrap(), first);
    }
}

#[test]
fn a_wait_ends_when_it_is_done_or_over() {
    let mut sandbox =
        Sandbox::new(Limits::DEFAULT.with_time(Duration::from_millis(60_000))).with_clock(Looks::default());
    sandbox.func_wrap(
        "env",
        "f",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, (ms, looks): (i32, i32)| {
            let mut left = looks;
            let done = caller.wait(Duration::from_millis(ms as u64), |_| {
                left -= 1;
                left == 0
            })?;
            Ok(i32::from(done))
        },
    );
    let wat = r#"(module (import "env" "f" (func $f (param i32 i32) (result i32)))
        (func (export "run") (param i32 i32) (result i32) (call $f (local.get 0) (local.get 1))))"#;
    let mut instance = sandbox.instantiate(&module(wat)).unwrap();
    for (ms, looks, done) in [(0, 1, 1), (0, 2, 0), (5, 1, 1), (1_000, 3, 1), (10, 100_000, 0)] {
        let found = instance
            .call("run", &[Value::I32(ms), Value::I32(looks)])
            .unwrap();
        assert_eq!(found, [Value::I32(done)], "{ms} ms, {looks} looks");
    }
}

/// On an idle machine; `DYNLOAD_PROVE=1` declares this one idle.
#[test]
fn deadlines_are_met_within_2_ms() {
    let proves = std::env::var_os("DYNLOAD_PROVE").is_some();
    let (runs, percentile, bound) = if proves { (200, 99, 2) } else { (20, 50, 2_000) };
    for (what, wat) in ENDLESS {
        let sandbox = sandbox(Limits::DEFAULT.with_time(Duration::from_millis(10)));
        let mut instance = sandbox.instantiate(&module(wat)).unwrap();
        let mut late: Vec<Duration> = (0..runs)
            .map(|_| {
                let started = Instant::now();
                instance.call("run", &arguments(wat)).unwrap_err();
                let late = started.elapsed().saturating_sub(Duration::from_millis(10));
                instance.reset().unwrap();
                late
            })
            .collect();
        late.sort();
        let found = late[runs * percentile / 100 - usize::from(percentile == 100)];
        println!(
            "{what}: median {:?}, p{percentile} {found:?}, worst {:?}",
            late[runs / 2],
            late[runs - 1]
        );
        assert!(found <= Duration::from_millis(bound), "{what}: late by {found:?}");
    }
}

fn interrupted(result: Result<Vec<Value>, Error>) -> Error {
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
    error
}

#[test]
fn an_interrupt_before_the_call_ends_it_immediately() {
    let mut instance = sandbox(Limits::DEFAULT).instantiate(&module(SPIN)).unwrap();
    let interrupt = instance.interrupt_handle_for_next_call();
    interrupt.interrupt();
    let error = interrupted(instance.call("run", &[]));
    assert_eq!(error.usage().fuel, 0);
    assert!(instance.poisoned_by().is_some());
}

#[test]
fn an_interrupt_during_the_call_ends_it() {
    for (what, wat) in ENDLESS {
        let mut limits = Limits::DEFAULT;
        limits.max_time = Duration::from_millis(600_000);
        let mut sandbox = sandbox(limits);
        let (running, has_started) = mpsc::channel();
        sandbox.func_wrap("env", "started", Capabilities::NONE, move |_, ()| {
            running.send(()).map_err(Stop::host)
        });
        // The program reports that it runs, then never ends.
        let endless = wat.replacen(
            "(module ",
            r#"(module (import "env" "started" (func $started)) "#,
            1,
        );
        let endless = endless
            .replacen(r#"(export "run")"#, r#"(export "inner")"#, 1)
            .trim_end()
            .to_owned();
        let endless = endless.strip_suffix(')').unwrap();
        let (get, param) = if wat.contains("(param $n i32)") {
            ("(drop (call $f (local.get 0)))", "(param i32)")
        } else {
            ("(call $inner)", "")
        };
        let endless = format!(r#"{endless} (func (export "run") {param} (call $started) {get}))"#);
        let endless = match endless.contains("(func $f (export \"inner\")") {
            true => endless.replace("(call $inner)", "(call $f)"),
            false => endless.replacen("(func (export \"inner\")", "(func $inner (export \"inner\")", 1),
        };
        let mut instance = sandbox.instantiate(&module(&endless)).unwrap();
        for _ in 0..2 {
            let interrupt = instance.interrupt_handle_for_next_call();
            let (result, waited) = thread::scope(|scope| {
                let call = scope.spawn(|| (instance.call("run", &arguments(wat)), Instant::now()));
                has_started.recv().unwrap();
                let now = Instant::now();
                interrupt.interrupt();
                let (result, ended) = call.join().unwrap();
                (result, ended.saturating_duration_since(now))
            });
            interrupted(result);
            assert!(waited < ROOM, "{what}: {waited:?}");
            instance.reset().unwrap();
        }
    }
}

#[test]
fn a_late_interrupt_does_not_affect_a_later_call() {
    let wat = r#"(module (func (export "short")) (func (export "run") (param i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let mut instance = sandbox(Limits::DEFAULT).instantiate(&module(wat)).unwrap();
    let interrupt = instance.interrupt_handle_for_next_call();
    instance.call("short", &[]).unwrap();
    interrupt.interrupt();
    instance.interrupt_handle().interrupt();
    for _ in 0..3 {
        instance.call("run", &[Value::I32(100_000)]).unwrap();
    }
    // Nor does it affect one after a reset.
    let interrupt = instance.interrupt_handle_for_next_call();
    instance.call("short", &[]).unwrap();
    instance.reset().unwrap();
    interrupt.interrupt();
    instance.call("run", &[Value::I32(100_000)]).unwrap();
}

#[test]
fn later_calls_are_interrupted_like_the_first() {
    let mut instance = sandbox(Limits::DEFAULT).instantiate(&module(SPIN)).unwrap();
    for _ in 0..3 {
        let interrupt = instance.interrupt_handle_for_next_call();
        let elsewhere = thread::spawn(move || interrupt.interrupt());
        interrupted(instance.call("run", &[]));
        elsewhere.join().unwrap();
        instance.reset().unwrap();
    }
}

#[test]
fn whichever_call_runs_is_interrupted() {
    let mut sandbox = sandbox(Limits::DEFAULT);
    let (running, has_started) = mpsc::channel();
    sandbox.func_wrap("env", "started", Capabilities::NONE, move |_, ()| {
        running.send(()).map_err(Stop::host)
    });
    let wat = r#"(module (import "env" "started" (func $f)) (func (export "run") (call $f) (loop (br 0))))"#;
    let mut instance = sandbox.instantiate(&module(wat)).unwrap();
    let interrupt = instance.interrupt_handle();
    for _ in 0..2 {
        let result = thread::scope(|scope| {
            let call = scope.spawn(|| instance.call("run", &[]));
            has_started.recv().unwrap();
            interrupt.interrupt();
            call.join().unwrap()
        });
        interrupted(result);
        instance.reset().unwrap();
    }
}

#[test]
fn a_reset_with_an_endless_start_function_is_interrupted() {
    // The start function spins when the host requests it.
    let spins = Arc::new(AtomicU64::new(0));
    let mut sandbox = sandbox(Limits::DEFAULT);
    let requested = spins.clone();
    sandbox.func_wrap("env", "spins", Capabilities::NONE, move |_, ()| {
        Ok(requested.load(Ordering::SeqCst) as i32)
    });
    let wat = r#"(module (import "env" "spins" (func $spins (result i32)))
        (func $start (if (call $spins) (then (loop (br 0))))) (start $start) (func (export "run")))"#;
    let mut instance = sandbox.instantiate(&module(wat)).unwrap();
    spins.store(1, Ordering::SeqCst);
    let interrupt = instance.interrupt_handle_for_next_call();
    let elsewhere = thread::spawn(move || interrupt.interrupt());
    let error = instance.reset().unwrap_err();
    elsewhere.join().unwrap();
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
    assert!(
        instance.poisoned_by().is_some(),
        "the instance is neither unchanged nor new"
    );
    spins.store(0, Ordering::SeqCst);
    instance.reset().unwrap();
    instance.call("run", &[]).unwrap();
}

/// Burns 5 for each iteration, and 1.
const TURNS: &str = r#"(module (func (export "run") (param i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;

#[test]
fn successive_calls_draw_a_budget_to_the_last_unit() {
    for slice in [None, Some(1), Some(7), Some(1_000_000)] {
        let budget = FuelBudget::new(10 * 51 + 50);
        let mut sandbox = Sandbox::new(Limits::DEFAULT).with_fuel_budget(budget.clone());
        if let Some(slice) = slice {
            sandbox = sandbox.with_fuel_slice(slice);
        }
        let mut instance = sandbox.instantiate(&module(TURNS)).unwrap();
        for call in 1..=10 {
            instance.call("run", &[Value::I32(10)]).unwrap();
            assert_eq!(budget.remaining(), 560 - 51 * call);
        }
        let error = instance.call("run", &[Value::I32(10)]).unwrap_err();
        match error.kind() {
            ErrorKind::LimitExceeded {
                limit: Limit::FuelBudget,
                value,
                ..
            } => assert_eq!(*value, budget.total()),
            other => panic!("{other:?}"),
        }
        assert_eq!(error.usage().fuel + budget.remaining(), 50, "nothing is lost");
    }
}

#[test]
fn a_budget_and_a_limit_for_each_call_both_apply() {
    let budget = FuelBudget::new(120);
    let sandbox = Sandbox::new(Limits::DEFAULT.with_fuel(51)).with_fuel_budget(budget.clone());
    let mut instance = sandbox.instantiate(&module(TURNS)).unwrap();
    instance.call("run", &[Value::I32(10)]).unwrap();
    assert_eq!(
        instance.call("run", &[Value::I32(11)]).unwrap_err().limit(),
        Some(Limit::Fuel)
    );
    let burned = instance.usage().fuel;
    assert_eq!(budget.remaining(), 120 - 51 - burned);
    instance.reset().unwrap();
    let error = instance.call("run", &[Value::I32(10)]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::FuelBudget), "{error}");
}

#[test]
fn threads_share_a_budget_to_the_last_unit() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 25;
    let module = module(TURNS);
    for slice in [None, Some(13), Some(5_000)] {
        for missing in [0, 1] {
            let budget = FuelBudget::new(THREADS * CALLS * (5 * 2_000 + 1) - missing);
            let mut limits = Limits::DEFAULT;
            limits.max_time = Duration::from_millis(600_000);
            let mut sandbox = Sandbox::new(limits).with_fuel_budget(budget.clone());
            if let Some(slice) = slice {
                sandbox = sandbox.with_fuel_slice(slice);
            }
            let (burned, failed) = (AtomicU64::new(0), AtomicU64::new(0));
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let mut instance = sandbox.instantiate(&module).unwrap();
                        for _ in 0..CALLS {
                            if let Err(error) = instance.call("run", &[Value::I32(2_000)]) {
                                assert_eq!(error.limit(), Some(Limit::FuelBudget), "{error}");
                                failed.fetch_add(1, Ordering::SeqCst);
                            }
                            burned.fetch_add(instance.usage().fuel, Ordering::SeqCst);
                            if instance.poisoned_by().is_some() {
                                instance.reset().unwrap();
                            }
                        }
                    });
                }
            });
            let what = format!("slices of {slice:?}, {missing} missing");
            assert_eq!(
                burned.load(Ordering::SeqCst) + budget.remaining(),
                budget.total(),
                "{what}: nothing is lost"
            );
            // Each call returns what it has on loan: none fails while there is enough for all.
            assert_eq!(
                failed.load(Ordering::SeqCst) > 0,
                missing > 0,
                "{what}: {failed:?} calls failed"
            );
        }
    }
}

#[test]
fn a_stopped_call_has_paid_for_what_it_burned() {
    let budget = FuelBudget::new(1 << 40);
    let mut sandbox =
        sandbox(Limits::DEFAULT.with_time(Duration::from_millis(5))).with_fuel_budget(budget.clone());
    sandbox.func_wrap("env", "fail", Capabilities::NONE, |_, ()| {
        Err::<(), _>(Stop::host("out of order"))
    });
    let wat = r#"(module (import "env" "fail" (func $fail)) (func (export "spin") (loop (br 0)))
        (func (export "fail") (call $fail)) (func (export "trap") unreachable))"#;
    let mut instance = sandbox.instantiate(&module(wat)).unwrap();
    for export in ["spin", "fail", "trap"] {
        let before = budget.remaining();
        let error = instance.call(export, &[]).unwrap_err();
        assert!(error.usage().fuel > 0, "{error}");
        assert_eq!(before - budget.remaining(), error.usage().fuel, "{error}");
        instance.reset().unwrap();
    }
}
