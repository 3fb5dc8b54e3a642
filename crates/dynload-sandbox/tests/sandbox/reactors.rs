//! Reactors of the WASI application ABI: what an instantiation and a reset run, and within which limits.

use dynload_caps::{Capabilities, Limits};
use dynload_sandbox::{Engine, ErrorKind, Instance, Invocation, Limit, Module, Sandbox, Stop, Trap};
use std::time::Duration;

fn module(text: &str) -> Module {
    Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap()
}

/// Instantiates a reactor whose `_initialize` has this body.
fn reactor(sandbox: &Sandbox, body: &str) -> Result<Instance, dynload_sandbox::Error> {
    sandbox.instantiate(&module(&format!(
        r#"(module (func $initialize (export "_initialize") {body}))"#
    )))
}

/// What ran, in order, as the decimal digits of a number.
const TRACE: &str = r#"
    (global $trace (mut i64) (i64.const 0))
    (func $append (param i64)
        (global.set $trace (i64.add (i64.mul (global.get $trace) (i64.const 10)) (local.get 0))))
    (func (export "trace") (result i64) global.get $trace)"#;

#[test]
fn initialized_once_after_the_start_function_and_again_at_reset() {
    let reactor = module(&format!(
        r#"(module {TRACE} (func $start (call $append (i64.const 1))) (start $start)
            (func (export "_initialize") (call $append (i64.const 2))))"#
    ));
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&reactor).unwrap();
    assert_eq!(instance.call_i64("trace", &[]).unwrap(), 12);
    assert_eq!(instance.call_i64("trace", &[]).unwrap(), 12);
    instance.reset().unwrap();
    assert_eq!(instance.call_i64("trace", &[]).unwrap(), 12);
}

#[test]
fn a_command_is_not_initialized() {
    let command = module(&format!(
        r#"(module {TRACE} (func (export "_initialize") (call $append (i64.const 2)))
            (func (export "_start") (call $append (i64.const 3))))"#
    ));
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&command).unwrap();
    assert_eq!(instance.call_i64("trace", &[]).unwrap(), 0);
    instance.call("_start", &[]).unwrap();
    assert_eq!(instance.call_i64("trace", &[]).unwrap(), 3);
}

/// Only a function without parameters and results is that of the ABI.
#[test]
fn exports_of_the_name_that_do_not_initialize() {
    for export in [
        r#"(func (export "_initialize") (param i32) (call $append (i64.const 2)))"#,
        r#"(func (export "_initialize") (result i32) (call $append (i64.const 2)) i32.const 0)"#,
        r#"(global (export "_initialize") i32 (i32.const 0))"#,
        r#"(memory (export "_initialize") 1)"#,
    ] {
        let module = module(&format!("(module {TRACE} {export})"));
        let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
        assert_eq!(instance.call_i64("trace", &[]).unwrap(), 0, "{export}");
    }
}

#[test]
fn limits_apply_to_the_initialization() {
    let in_initialize = Invocation::Export("_initialize".into());
    let sandbox = Sandbox::new(Limits::DEFAULT.with_fuel(1_000));
    let error = reactor(&sandbox, "(loop (br 0))").unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::Fuel,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.invocation(), &in_initialize);
    assert_eq!(error.usage().fuel, 1_000);

    let sandbox = Sandbox::new(Limits::DEFAULT.with_call_depth(10));
    let error = reactor(&sandbox, "(call $initialize)").unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::CallDepth,
                ..
            }
        ),
        "{error}"
    );

    let sandbox = Sandbox::new(
        Limits::DEFAULT
            .without_fuel_limit()
            .with_time(Duration::from_millis(50)),
    );
    let error = reactor(&sandbox, "(loop (br 0))").unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::Time,
                ..
            }
        ),
        "{error}"
    );
}

/// The start function and `_initialize` share the fuel of one call, and `usage` is about both.
#[test]
fn one_call() {
    let text = |start: &str| {
        module(&format!(
            r#"(module (func $work (drop (i32.const 1))) {start} (export "_initialize" (func $work)))"#
        ))
    };
    let sandbox = Sandbox::new(Limits::DEFAULT);
    let fuel = |module: &Module| sandbox.instantiate(module).unwrap().usage().fuel;
    let (one, both) = (fuel(&text("")), fuel(&text("(start $work)")));
    assert!(one < both);
    let sandbox = Sandbox::new(Limits::DEFAULT.with_fuel(both - 1));
    let error = sandbox.instantiate(&text("(start $work)")).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::Fuel,
                ..
            }
        ),
        "{error}"
    );
    let sandbox = Sandbox::new(Limits::DEFAULT.with_fuel(both));
    sandbox.instantiate(&text("(start $work)")).unwrap();
}

#[test]
fn a_failed_initialization_is_a_failed_instantiation_or_reset() {
    let error = reactor(&Sandbox::new(Limits::DEFAULT), "unreachable").unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Trap(Trap::Unreachable)),
        "{error}"
    );

    // The second initialization traps: the instance is poisoned by that.
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    let first = std::sync::atomic::AtomicBool::new(true);
    sandbox.func_wrap("host", "first", Capabilities::NONE, move |_, ()| {
        match first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => Ok(()),
            false => Err(Stop::exit(3)),
        }
    });
    let module = module(
        r#"(module (import "host" "first" (func $first)) (func (export "_initialize") (call $first)) (func (export "f")))"#,
    );
    let mut instance = sandbox.instantiate(&module).unwrap();
    let error = instance.reset().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Exit(3)), "{error}");
    assert!(matches!(
        instance.call("f", &[]).unwrap_err().kind(),
        ErrorKind::Poisoned(_)
    ));
}

/// What is granted at the reset applies to the initialization.
#[test]
fn capabilities_apply_to_the_initialization() {
    let mut sandbox = Sandbox::new(Limits::DEFAULT).with_capabilities(Capabilities::FS_READ);
    sandbox.func_wrap("host", "read", Capabilities::FS_READ, |_, ()| Ok(()));
    let module =
        module(r#"(module (import "host" "read" (func $read)) (func (export "_initialize") (call $read)))"#);
    let mut instance = sandbox.instantiate(&module).unwrap();
    sandbox.revoke(Capabilities::FS_READ);
    let error = instance.reset().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::CapabilityDenied { .. }),
        "{error}"
    );
}
