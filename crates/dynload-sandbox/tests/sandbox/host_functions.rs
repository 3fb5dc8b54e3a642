//! Host functions that fail, panic, return a wrong type or call back in vain.

use dynload_sandbox::*;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

fn module(wat: &str) -> Module {
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
    Module::new(&Engine::default(), wasm).unwrap_or_else(|error| panic!("{error}: {wat}"))
}

#[test]
fn a_call_back_that_cannot_be_made_aborts_the_outer_call() {
    let guest = module(
        r#"(module (import "env" "back" (func $back)) (global $g (mut i32) (i32.const 0))
            (func (export "takes") (param i64))
            (func (export "process") (global.set $g (i32.const 1)) (call $back) (global.set $g (i32.const 2)))
            (func (export "ok") (result i32) (global.get $g)))"#,
    );
    for export in ["missing", "takes"] {
        let mut sandbox = Sandbox::new(Limits::DEFAULT);
        let back = move |caller: &mut Caller<'_>, ()| caller.call(export, &[]).map(drop);
        sandbox.func_wrap("env", "back", Capabilities::NONE, back);
        let mut instance = sandbox.instantiate(&guest).unwrap();
        // None of the outer call itself has run: the instance is unchanged.
        assert!(instance.call("missing", &[]).is_err());
        assert!(instance.call("process", &[Value::I32(1)]).is_err());
        assert_eq!(instance.call("ok", &[]).unwrap(), [Value::I32(0)]);

        instance.call("process", &[]).unwrap_err();
        assert!(instance.poisoned_by().is_some(), "{export}");
        let error = instance.call("ok", &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Poisoned(_)), "{error}");
    }
}

#[test]
fn frames_are_counted_correctly_after_a_failed_call_back() {
    let guest = module(
        r#"(module (import "env" "try" (func $try (result i32)))
            (func $deep (export "deep") (call $deep))
            (func (export "process") (if (i32.eqz (call $try)) (then unreachable))))"#,
    );
    let mut sandbox = Sandbox::new(Limits::DEFAULT.with_call_depth(50));
    let attempt = |caller: &mut Caller<'_>, ()| {
        let error = caller.call("deep", &[]).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::CallDepth,
                ..
            }
        ));
        // There is room for as many frames as the first time, and not for none.
        let again = caller.call("deep", &[]).unwrap_err();
        assert!(matches!(
            again.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::CallDepth,
                ..
            }
        ));
        Ok(0)
    };
    sandbox.func_wrap("env", "try", Capabilities::NONE, attempt);
    let mut instance = sandbox.instantiate(&guest).unwrap();
    let error = instance.call("process", &[]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Trap(Trap::Unreachable)),
        "{error}"
    );
}

#[test]
fn a_panic_propagates_to_the_caller_of_the_guest() {
    let guest = module(
        r#"(module (import "env" "divide" (func $divide (param i32 i32) (result i32)))
            (func (export "run") (param i32) (result i32) (call $divide (i32.const 10) (local.get 0))))"#,
    );
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    let divide = |_: &mut Caller<'_>, (a, b): (i32, i32)| Ok(a / b);
    sandbox.func_wrap("env", "divide", Capabilities::NONE, divide);
    let mut instance = sandbox.instantiate(&guest).unwrap();
    assert_eq!(instance.call("run", &[Value::I32(5)]).unwrap(), [Value::I32(2)]);
    let panic = catch_unwind(AssertUnwindSafe(|| instance.call("run", &[Value::I32(0)]))).unwrap_err();
    let message = panic.downcast_ref::<&str>().expect("the panic of the division");
    assert!(message.contains("divide by zero"), "{message}");
    assert!(instance.poisoned_by().is_some());
    instance.reset().unwrap();
    assert_eq!(instance.call("run", &[Value::I32(2)]).unwrap(), [Value::I32(5)]);
}

#[test]
fn a_panic_of_the_console_propagates_to_the_caller_of_the_guest() {
    let guest = module(
        r#"(module (import "vais" "print" (func $print (param i32 i32))) (memory (export "memory") 1)
            (func (export "run") (call $print (i32.const 0) (i32.const 1))))"#,
    );
    let output = ConsoleOutput::callback(|_, _| panic!("the disk is full"));
    let sandbox = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(Capabilities::CONSOLE)
        .with_console(Console::new(output));
    let mut instance = sandbox.instantiate(&guest).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| instance.call("run", &[]))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the disk is full"));
}

#[test]
fn a_result_of_the_wrong_type_is_an_error() {
    let guest = module(
        r#"(module (import "env" "f" (func $f (result i32)))
            (func (export "run") (result i64) (i64.extend_i32_u (call $f))))"#,
    );
    for wrong in [Value::I64(1 << 32 | 4), Value::F32(1.0), Value::F64(1.0)] {
        let mut sandbox = Sandbox::new(Limits::DEFAULT);
        let signature = Signature {
            params: Vec::new(),
            results: vec![ValType::I32],
        };
        sandbox
            .func_new("env", "f", Capabilities::NONE, signature, move |_, _, results| {
                results[0] = wrong;
                Ok(())
            })
            .unwrap();
        let mut instance = sandbox.instantiate(&guest).unwrap();
        let error = instance.call("run", &[]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Host(_)), "{error}");
    }
}

#[test]
fn a_host_function_with_too_many_parameters_is_not_registered() {
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    let mut register = |params: usize, results: usize| {
        let signature = Signature {
            params: vec![ValType::I32; params],
            results: vec![ValType::I64; results],
        };
        sandbox
            .func_new("env", "f", Capabilities::NONE, signature, |_, _, _| Ok(()))
            .is_ok()
    };
    assert_eq!(
        [register(1_001, 0), register(0, 1_001), register(1_000, 1_000)],
        [false, false, true]
    );
    let guest = module(r#"(module (import "env" "f" (func)))"#);
    let refused = sandbox.instantiate(&guest).unwrap_err();
    assert!(
        matches!(refused.kind(), ErrorKind::MissingImports(_)),
        "{refused}"
    );
}

#[test]
fn a_host_function_can_look_up_exports() {
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    let body = |caller: &mut Caller<'_>, ()| {
        assert!(caller.signature("no such").is_none());
        let signature = caller.signature("twice").map(|signature| signature.to_string());
        assert_eq!(signature.as_deref(), Some("(i32) -> (i32)"));
        caller.call("twice", &[Value::I32(21)]).map(drop)
    };
    sandbox.func_wrap("env", "f", Capabilities::NONE, body);
    let guest = module(
        r#"(module (import "env" "f" (func $f))
            (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
            (func (export "run") (call $f)))"#,
    );
    let mut instance = sandbox.instantiate(&guest).unwrap();
    instance.call("run", &[]).unwrap();
    instance.call("run", &[]).unwrap();
}

#[test]
fn an_instantiation_waits_for_lent_fuel_and_keeps_its_deadline() {
    let budget = FuelBudget::new(5_000);
    let (asleep, is_asleep) = mpsc::channel();
    let holder = {
        let budget = budget.clone();
        thread::spawn(move || {
            let mut sandbox = Sandbox::new(Limits::DEFAULT).with_fuel_budget(budget);
            // Holds all of the budget while it sleeps.
            sandbox.func_wrap(
                "env",
                "hold",
                Capabilities::NONE,
                move |_: &mut Caller<'_>, ()| {
                    asleep.send(()).unwrap();
                    thread::sleep(Duration::from_secs(1));
                    Ok(())
                },
            );
            let guest =
                module(r#"(module (import "env" "hold" (func $hold)) (func (export "run") (call $hold)))"#);
            sandbox.instantiate(&guest).unwrap().call("run", &[]).map(drop)
        })
    };
    is_asleep.recv().unwrap();
    let data = "x".repeat(6_400);
    let guest = module(&format!(
        r#"(module (memory 1) (data (i32.const 0) "{data}") (func $spin (loop (br 0))) (start $spin))"#
    ));
    let limits = Limits::DEFAULT
        .with_time(Duration::from_millis(200))
        .with_fuel(1_000);
    let sandbox = Sandbox::new(limits).with_fuel_budget(budget.clone());
    let error = sandbox.instantiate(&guest).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
    holder.join().unwrap().unwrap();
    // With the fuel available, it runs until its own limit.
    let error = sandbox.instantiate(&guest).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Fuel), "{error}");
    assert_eq!(error.usage().fuel, 1_000);
}

#[test]
fn a_call_that_waits_lends_its_fuel() {
    let budget = FuelBudget::new(5_000);
    let guest = module(
        r#"(module (import "env" "wait" (func $wait)) (func (export "waits") (call $wait))
            (func (export "works") (result i32) (i32.const 7)))"#,
    );
    let (waiting, is_waiting) = mpsc::channel();
    let (worked, has_worked) = mpsc::channel();
    let has_worked = std::sync::Mutex::new(has_worked);
    let mut sandbox = Sandbox::new(Limits::DEFAULT).with_fuel_budget(budget.clone());
    sandbox.func_wrap(
        "env",
        "wait",
        Capabilities::NONE,
        move |caller: &mut Caller<'_>, ()| {
            waiting.send(()).unwrap();
            let done = caller.wait(Duration::from_secs(4), |_| {
                has_worked.lock().unwrap().try_recv().is_ok()
            })?;
            assert!(done, "the other call needs the fuel that this one holds");
            Ok(())
        },
    );
    let mut waits = sandbox.instantiate(&guest).unwrap();
    let mut works = sandbox.instantiate(&guest).unwrap();
    let first = thread::spawn(move || waits.call("waits", &[]).map(drop));
    is_waiting.recv().unwrap();
    assert_eq!(works.call("works", &[]).unwrap(), [Value::I32(7)]);
    worked.send(()).unwrap();
    first.join().unwrap().unwrap();
    // Two calls, each of which pays for its entry and its operators.
    assert_eq!(
        budget.remaining(),
        5_000 - works.usage().fuel - 2 - schedule::HOST_CALL
    );
}

#[test]
fn the_allocator_of_earlier_hosts_is_refused_with_a_reason() {
    for import in [
        "\"alloc\" (func (param i32) (result i32))",
        "\"dealloc\" (func (param i32 i32))",
    ] {
        let guest = module(&format!("(module (import \"vais\" {import}))"));
        let error = Sandbox::new(Limits::DEFAULT).instantiate(&guest).unwrap_err();
        assert!(error.to_string().contains("link an allocator into it"), "{error}");
    }
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    sandbox.func_wrap(
        "vais",
        "alloc",
        Capabilities::NONE,
        |_: &mut Caller<'_>, (size,): (i32,)| Ok(size),
    );
    let guest = module(
        r#"(module (import "vais" "alloc" (func $alloc (param i32) (result i32)))
            (func (export "f") (result i64) (i64.extend_i32_s (call $alloc (i32.const 8)))))"#,
    );
    assert_eq!(
        sandbox.instantiate(&guest).unwrap().call_i64("f", &[]).unwrap(),
        8
    );
}
