//! Totals over the calls of an instance.

use dynload_caps::Limits;
use dynload_sandbox::{Engine, Instance, Module, Sandbox, Totals, TypedFunc, Usage};
use std::time::Duration;

fn instance(limits: Limits) -> Instance {
    let text = r#"(module
        (import "vais" "set_result" (func $set_result (param i32 i32)))
        (memory (export "memory") 1)
        (global $starts (mut i32) (i32.const 0))
        (func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
        (func (export "spin") (loop (br 0)))
        (func (export "refuse") (param i32) (result i32)
            (call $set_result (i32.const 0) (i32.const 2)) (i32.const 1))
        (func (export "odd") (param i32) (result i32) (i32.const 7))
        (func (export "bytes") (param i32) (result i32)
            (i32.store8 (i32.const 0) (i32.const 255))
            (call $set_result (i32.const 0) (i32.const 2)) (i32.const 0)))"#;
    let module = Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap();
    Sandbox::new(limits).instantiate(&module).unwrap()
}

/// The sums, one call at a time.
#[derive(Default)]
struct Sums(Totals);

impl Sums {
    fn add(&mut self, usage: Usage, is_failure: bool) {
        self.0.calls += 1;
        self.0.failures += u64::from(is_failure);
        self.0.fuel += usage.fuel;
        self.0.time += usage.wall_time.unwrap_or_default();
    }
}

#[test]
fn totals_are_the_sums_of_the_usage_of_each_call() {
    // So long that only fuel ends the loop, and enough for everything else.
    let limits = Limits::DEFAULT
        .with_fuel(100_000)
        .with_time(Duration::from_secs(60));
    let mut instance = instance(limits);
    let mut sums = Sums::default();
    sums.add(instance.usage(), false);
    assert_eq!(instance.totals(), sums.0);
    let add: TypedFunc<(i64, i64), i64> = instance.get_typed_func("add").unwrap();
    for n in 0..3 {
        add.call(&mut instance, (n, 1)).unwrap();
        sums.add(instance.usage(), false);
        instance.call_i64("add", &[n, 2]).unwrap();
        sums.add(instance.usage(), false);
        // Reading the usage changes nothing.
        assert_eq!(instance.totals(), sums.0);
    }
    // An error text, an invalid status, bytes that are not a text, a name that does not exist, a type that does not fit.
    for (export, is_text) in [
        ("refuse", false),
        ("odd", false),
        ("bytes", true),
        ("none", false),
    ] {
        let error = if is_text {
            instance.call_str(export, "x").map(drop).unwrap_err()
        } else {
            instance.call_bytes(export, &[b"x"]).map(drop).unwrap_err()
        };
        sums.add(error.usage(), true);
        assert_eq!(instance.totals(), sums.0, "{export}");
    }
    instance.call_i64("add", &[1]).unwrap_err();
    sums.add(instance.usage(), true);
    // A call that an early interrupt ends, and one that is refused.
    instance.interrupt_handle_for_next_call().interrupt();
    let error = instance.call_i64("add", &[1, 1]).unwrap_err();
    sums.add(error.usage(), true);
    instance.call_i64("add", &[1, 1]).unwrap_err();
    assert_eq!(instance.totals(), sums.0);
    // A reset that fails, and one that does not.
    instance.interrupt_handle_for_next_call().interrupt();
    let error = instance.reset().unwrap_err();
    sums.add(error.usage(), true);
    assert_eq!(instance.totals(), sums.0);
    instance.reset().unwrap();
    sums.add(instance.usage(), false);
    // A long call, whose time is measured.
    let error = instance.call("spin", &[]).unwrap_err();
    sums.add(error.usage(), true);
    instance.reset().unwrap();
    sums.add(instance.usage(), false);
    assert_eq!(instance.totals(), sums.0);
    assert!(sums.0.fuel > 100_000 && sums.0.time > Duration::ZERO);
    assert_eq!((sums.0.calls, sums.0.failures), (17, 8));
}
