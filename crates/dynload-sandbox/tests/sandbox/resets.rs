//! Resets that fail.

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

use dynload_sandbox::*;

/// A module whose start function fails when the host says so.
const FRAGILE: &str = r#"(module (import "env" "fails" (func $fails (result i32)))
    (memory (export "memory") 1)
    (func $start (i32.store (i32.const 0) (i32.const 7)) (if (call $fails) (then unreachable)))
    (start $start)
    (func (export "value") (result i32) (i32.load (i32.const 0)))
    (func (export "set") (i32.store (i32.const 0) (i32.const 42))))"#;

fn fragile() -> Module {
    Module::new(&Engine::default(), wat::parse_str(FRAGILE).unwrap()).unwrap()
}

#[test]
fn after_a_reset_that_failed_the_old_state_is_lost_and_the_instance_poisoned() {
    let fails = Arc::new(AtomicI32::new(0));
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    let asked = fails.clone();
    sandbox.func_wrap("env", "fails", Capabilities::NONE, move |_, ()| {
        match asked.load(Ordering::SeqCst) {
            2 => panic!("in the host"),
            fails => Ok(fails),
        }
    });
    let mut instance = sandbox.instantiate(&fragile()).unwrap();
    let value = instance.get_typed_func::<(), i32>("value").unwrap();
    instance.set_data(String::from("kept"));
    instance.call("set", &[]).unwrap();
    fails.store(1, Ordering::SeqCst);
    for _ in 0..2 {
        let error = instance.reset().unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Trap(Trap::Unreachable)),
            "{error}"
        );
        assert_eq!(error.usage(), instance.usage());
        assert_eq!(instance.poisoned_by().unwrap().to_string(), error.to_string());
        for refused in [
            instance.call("value", &[]).map(drop),
            value.call(&mut instance, ()).map(drop),
        ] {
            assert!(matches!(refused.unwrap_err().kind(), ErrorKind::Poisoned(_)));
        }
        // What the start function wrote, not what was there before.
        assert_eq!(instance.memory().unwrap().slice(0, 1).unwrap(), [7]);
    }
    // A panic of the host is not lost, and neither is the value of the host.
    fails.store(2, Ordering::SeqCst);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| instance.reset()));
    let panic = panicked.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"in the host"));
    assert!(instance.poisoned_by().is_some());
    fails.store(0, Ordering::SeqCst);
    instance.reset().unwrap();
    assert_eq!(value.call(&mut instance, ()).unwrap(), 7);
    let kept = instance.set_data(()).unwrap();
    assert_eq!(*kept.downcast::<String>().unwrap(), "kept");
}

#[test]
fn a_reset_that_failed_before_anything_was_created_leaves_no_memory_and_no_exports() {
    let module = fragile();
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    sandbox.func_wrap("env", "fails", Capabilities::NONE, |_, ()| Ok(0));
    let mut instance = sandbox.instantiate(&module).unwrap();
    instance.interrupt_handle_for_next_call().interrupt();
    let error = instance.reset().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Interrupted), "{error}");
    assert!(instance.memory().is_err());
    assert_eq!(instance.signature("value"), None);
    let refused = instance.get_typed_func::<(), i32>("value").unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Poisoned(_)), "{refused}");
    assert!(instance.call("value", &[]).is_err() && instance.call_i64("value", &[]).is_err());
    assert!(instance.take_output(Stream::Out).is_empty());
    instance.reset().unwrap();
    assert_eq!(instance.call("value", &[]).unwrap(), [Value::I32(7)]);
}
