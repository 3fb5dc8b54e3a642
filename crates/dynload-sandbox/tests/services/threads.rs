//! THREADING: workers share the call's fuel, deadline and capabilities, and nothing else.

use super::guest::{errno::*, *};
use dynload_sandbox::*;
use std::time::{Duration, Instant};

const O: i64 = OUT as i64;

fn world(limits: Limits, workers: u32) -> Sandbox {
    let mut scopes = Scopes::none();
    scopes.max_workers = workers;
    let capabilities = Capabilities::THREADING | Capabilities::CONSOLE;
    Sandbox::new(limits)
        .with_capabilities(capabilities)
        .with_scopes(scopes)
}

/// Functions for workers, and a parent that spawns one and joins it.
const BODY: &str = r#"
    (global $count (mut i64) (i64.const 0))
    (data (i32.const 30000) "double") (data (i32.const 30010) "spin") (data (i32.const 30020) "trap")
    (data (i32.const 30030) "burn") (data (i32.const 30040) "nest") (data (i32.const 30050) "wrong")
    (data (i32.const 30060) "missing") (data (i32.const 30070) "exit")
    (func (export "double") (param i64) (result i64)
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (i64.add (i64.mul (local.get 0) (i64.const 2)) (i64.sub (global.get $count) (i64.const 1))))
    (func (export "spin") (param i64) (result i64) (loop (br 0)) (unreachable))
    (func (export "trap") (param i64) (result i64) (unreachable))
    (func (export "exit") (param i64) (result i64) (call $proc_exit (i32.const 3)) (unreachable))
    (func (export "wrong") (result i32) (i32.const 1))
    (func $burn (export "burn") (param i64) (result i64)
        (loop $again
            (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
            (br_if $again (i64.gt_s (local.get 0) (i64.const 0))))
        (i64.const 7))
    (func $one (export "one") (param $name i32) (param $len i32) (param $arg i64) (result i32)
        (local $errno i32)
        (local.set $errno (call $thread_spawn (local.get 0) (local.get 1) (local.get 2) (i32.const 31000)))
        (if (local.get $errno) (then (return (i32.add (i32.const 1000) (local.get $errno)))))
        (call $thread_join (i32.load (i32.const 31000)) (i32.const 31008)))
    (func (export "nest") (param i64) (result i64)
        (if (i64.eqz (local.get 0)) (then (return (i64.const 0))))
        (if (call $one (i32.const 30040) (i32.const 4) (i64.sub (local.get 0) (i64.const 1)))
            (then (return (i64.const -1))))
        (i64.add (i64.load (i32.const 31008)) (i64.const 1)))
    (func (export "leave") (param i32) (result i32)
        (call $thread_spawn (i32.const 30010) (i32.const 4) (i64.const 0) (i32.const 31000)))
"#;

fn guest(sandbox: &Sandbox) -> Guest {
    Guest(sandbox.instantiate(&module(BODY)).unwrap())
}

#[test]
fn a_c_guest_fans_out() {
    let module = c_program("workers", &[]);
    let mut sandbox = world(Limits::DEFAULT, 8);
    let (code, text) = run(&mut sandbox, &module, &["8", "20000"]);
    // Each worker writes its count, and then the sum follows.
    let counts: Vec<u32> = text.lines().take(8).map(|line| line.parse().unwrap()).collect();
    assert_eq!((code, counts.iter().sum::<u32>()), (0, 2262));
    assert!(text.ends_with("2262 primes\n"), "{text}");
    assert_eq!(run(&mut sandbox, &module, &["9", "20000"]).0, 6);
    sandbox.revoke(Capabilities::THREADING);
    assert_eq!(run(&mut sandbox, &module, &["8", "20000"]).0, 76);
}

#[test]
fn a_worker_has_its_own_memory() {
    let mut guest = guest(&world(Limits::DEFAULT, 4));
    for _ in 0..3 {
        assert_eq!(guest.call("one", &[30_000, 6, 21]), SUCCESS);
        assert_eq!(guest.u64(31_008), 42);
    }
}

#[test]
fn failures_of_a_worker_are_errnos() {
    let sandbox = world(Limits::DEFAULT, 4);
    let mut guest = guest(&sandbox);
    for (name, len) in [(30_020, 4), (30_050, 5), (30_060, 7), (30_070, 4)] {
        assert_eq!(guest.call("one", &[name, len, 0]), CANCELED, "{name}");
    }
    assert_eq!(guest.call("thread_join", &[0, O]), SRCH);
    assert_eq!(guest.call("thread_join", &[-1, O]), SRCH);
    assert_eq!(guest.call("thread_spawn", &[30_000, 300, 0, O]), NAMETOOLONG);
    sandbox.revoke(Capabilities::THREADING);
    assert_eq!(guest.call("one", &[30_000, 6, 21]), 1000 + NOTCAPABLE);
    // The capability alone permits nothing: the scopes allow 0 workers.
    let mut guest = self::guest(&world(Limits::DEFAULT, 0));
    assert_eq!(guest.call("one", &[30_000, 6, 21]), 1000 + NOTCAPABLE);
}

#[test]
fn the_worker_limit_includes_workers_of_workers() {
    let mut guest = guest(&world(Limits::DEFAULT, 3));
    assert_eq!(guest.call("one", &[30_040, 4, 2]), SUCCESS);
    assert_eq!(guest.u64(31_008), 2);
    // The fourth, deep inside, cannot be spawned.
    assert_eq!(guest.call("one", &[30_040, 4, 3]), SUCCESS);
    assert_eq!(guest.u64(31_008) as i64, 1);
}

#[test]
fn unjoined_workers_end_with_the_call() {
    let mut guest = guest(&world(Limits::PERMISSIVE, 3));
    let before = Instant::now();
    for _ in 0..5 {
        assert_eq!(guest.call("leave", &[0]), SUCCESS);
        // The fuel that it burned until then is charged to the call.
        assert!(guest.0.usage().fuel > 0);
    }
    assert!(before.elapsed() < Duration::from_secs(60));
}

#[test]
fn workers_share_the_deadline_of_the_call() {
    let mut guest = guest(&world(Limits::DEFAULT.with_time(Duration::from_millis(100)), 2));
    let before = Instant::now();
    let error = guest.try_call("one", &[30_010, 4, 0]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    assert!((100..60_000).contains(&before.elapsed().as_millis()));
}

/// The fuel that workers burn is charged to the call: a limit of exactly that is enough, and one less is not.
#[test]
fn fuel_of_workers_is_charged_exactly() {
    let run = |limits: Limits, budget: Option<FuelBudget>| {
        let mut sandbox = world(limits, 4);
        if let Some(budget) = budget {
            sandbox = sandbox.with_fuel_budget(budget);
        }
        let mut guest = guest(&sandbox);
        let result = guest.try_call("one", &[30_030, 4, 50_000]);
        (result, guest.0.usage().fuel)
    };
    let (result, needed) = run(Limits::DEFAULT, None);
    assert_eq!(result.unwrap(), SUCCESS);
    assert!(needed > 50_000);
    for _ in 0..5 {
        let (result, used) = run(Limits::DEFAULT.with_fuel(needed), None);
        assert_eq!((result.unwrap(), used), (SUCCESS, needed));
        let (result, used) = run(Limits::DEFAULT.with_fuel(needed - 1), None);
        let error = result.unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Fuel), "{error}");
        assert!(error.to_string().contains(&format!("{}", needed - 1)), "{error}");
        assert!(used < needed);
    }
    // If a worker alone exceeds a limit, the call ends with that limit.
    let (result, _) = run(Limits::DEFAULT.with_fuel(20_000), None);
    assert_eq!(result.unwrap_err().limit(), Some(Limit::Fuel));
    // So it does with a budget of the embedder, to which all unburned fuel is returned.
    let budget = FuelBudget::new(1_000_000);
    let (result, used) = run(Limits::DEFAULT, Some(budget.clone()));
    assert_eq!(result.unwrap(), SUCCESS);
    let both = FuelBudget::new(1_000_000);
    let (result, with_limit) = run(Limits::DEFAULT.with_fuel(500_000), Some(both.clone()));
    assert_eq!(result.unwrap(), SUCCESS);
    assert_eq!((used, with_limit), (needed, needed));
    assert_eq!(both.remaining(), budget.remaining());
    assert!(budget.remaining() <= 1_000_000 - needed);
    let (result, _) = run(Limits::DEFAULT, Some(FuelBudget::new(20_000)));
    assert_eq!(result.unwrap_err().limit(), Some(Limit::FuelBudget));
}

/// The next call has its own full limit again.
#[test]
fn a_shared_limit_is_not_kept() {
    let mut guest = guest(&world(Limits::DEFAULT.with_fuel(300_000), 4));
    for _ in 0..5 {
        assert_eq!(guest.call("one", &[30_030, 4, 20_000]), SUCCESS);
    }
    assert_eq!(guest.0.call_i64("burn", &[20_000]).unwrap(), 7);
}

/// However a call ends, even in a failing start function: none of its threads is left, nor a program that a
/// worker waited for.
#[cfg(target_os = "linux")]
#[test]
fn nothing_of_a_worker_outlives_the_call() {
    const BODY: &str = r#"
        (data (i32.const 30010) "spin") (data (i32.const 30020) "run")
        (func $spin (export "spin") (param i64) (result i64) (loop (br 0)) (unreachable))
        (func (export "run") (param i64) (result i64) (i64.extend_i32_u (call $process_run (i32.const 40000))))
        (func $leave (export "leave") (param i32 i32) (result i32)
            (call $thread_spawn (local.get 0) (local.get 1) (i64.const 0) (i32.const 31000)))
        (func (export "leave_and_trap") (param i32 i32) (result i32) (drop (call $leave (local.get 0) (local.get 1))) (unreachable))
        (func (export "leave_and_spin") (param i32 i32) (result i32)
            (drop (call $leave (local.get 0) (local.get 1))) (loop (br 0)) (unreachable))
        (data (i32.const 40000) "\00\a2\00\00\0a\00\00\00\10\a2\00\00\05\00\00\00")
        (data (i32.const 41472) "/bin/sleep") (data (i32.const 41488) "1000\00")
    "#;
    const START: &str =
        "(func $start (drop (call $leave (i32.const 30010) (i32.const 4))) (unreachable)) (start $start)";
    let look = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let workers = tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            // The ticker thread belongs to no call.
            .filter(|comm| comm.starts_with("dynload") && comm.trim() != "dynload-ticker");
        let children = format!("/proc/{}/task", std::process::id());
        let programs = std::fs::read_dir(children)
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
            .filter(|children| !children.trim().is_empty());
        (workers.collect::<Vec<_>>(), programs.collect::<Vec<_>>())
    };
    // The system lists a joined thread for a moment longer.
    let left = || {
        let deadline = Instant::now() + Duration::from_secs(10);
        while look() != Default::default() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        look()
    };
    alone(&[], "threads::nothing_of_a_worker_outlives_the_call", || {
        let mut sandbox = world(Limits::DEFAULT.with_time(Duration::from_millis(300)), 4);
        let mut scopes = sandbox.scopes().clone();
        scopes
            .programs
            .push(dynload_caps::ProgramScope::new("/bin/sleep").unwrap());
        sandbox.set_scopes(scopes);
        sandbox.grant(Capabilities::PROCESS);
        for work in [[30_010, 4], [30_020, 3]] {
            for how in ["leave", "leave_and_trap", "leave_and_spin"] {
                let mut guest = Guest(sandbox.instantiate(&module(BODY)).unwrap());
                let result = guest.try_call(how, &work);
                assert_eq!(result.is_ok(), how == "leave", "{how} {result:?}");
                assert_eq!(left(), Default::default(), "{how}");
            }
        }
        assert!(sandbox.instantiate(&module(&format!("{BODY} {START}"))).is_err());
        assert_eq!(left(), Default::default());
    });
}
