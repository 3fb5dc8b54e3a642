//! Facts about wasmi 2.0.0 that break a sandbox that leaves its limits to it, one test for each fact that was measured.

use std::{
    sync::{Arc, Mutex},
    thread,
};

use dynload_sandbox::*;

fn module(wat: &str) -> Module {
    module_on(&Engine::new(EngineConfig::default().with_profile(true)), wat)
}

fn module_on(engine: &Engine, wat: &str) -> Module {
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
    Module::new(engine, wasm).unwrap_or_else(|error| panic!("{error}: {wat}"))
}

fn i32s<const N: usize>(args: [i32; N]) -> [Value; N] {
    args.map(Value::I32)
}

/// A sandbox whose `env.back` calls the guest's `run` again.
fn with_back(limits: Limits) -> Sandbox {
    let mut sandbox = Sandbox::new(limits);
    sandbox.func_wrap(
        "env",
        "back",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, (n,): (i32,)| match caller.call("run", &[Value::I32(n)])?[..] {
            [Value::I32(result)] => Ok(result),
            _ => unreachable!("run returns an i32"),
        },
    );
    sandbox
}

/// Calls through the host `n` times, nested, and returns.
const REENTRANT: &str = r#"(module (import "env" "back" (func $back (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (local i64 i64)
        (if (result i32) (local.get 0)
            (then (i32.add (i32.const 1) (call $back (i32.sub (local.get 0) (i32.const 1)))))
            (else (i32.const 0)))))"#;

// The interpreter's recursion limit starts again when a host function calls back into the guest.

#[test]
fn depth_is_counted_across_the_host() {
    let module = module(REENTRANT);
    let mut instance = with_back(Limits::DEFAULT.with_call_depth(11))
        .instantiate(&module)
        .unwrap();
    assert_eq!(instance.call("run", &i32s([10])).unwrap(), i32s([10]));
    assert_eq!(instance.usage().peak_call_depth, Some(11));
    let mut instance = with_back(Limits::DEFAULT.with_call_depth(10))
        .instantiate(&module)
        .unwrap();
    let error = instance.call("run", &i32s([10])).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::CallDepth), "{error}");
}

#[test]
fn stack_bytes_are_counted_across_the_host() {
    // A parameter, two locals, three operands.
    let frame = 8 * 6;
    let module = module(REENTRANT);
    let mut instance = with_back(Limits::DEFAULT.with_stack_bytes(11 * frame))
        .instantiate(&module)
        .unwrap();
    assert_eq!(instance.call("run", &i32s([10])).unwrap(), i32s([10]));
    assert_eq!(instance.usage().peak_stack_bytes, Some(11 * frame));
    let mut instance = with_back(Limits::DEFAULT.with_stack_bytes(11 * frame - 1))
        .instantiate(&module)
        .unwrap();
    let error = instance.call("run", &i32s([10])).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Stack), "{error}");
}

#[test]
fn fuel_is_counted_across_the_host() {
    let module = module(REENTRANT);
    let mut instance = with_back(Limits::DEFAULT).instantiate(&module).unwrap();
    instance.call("run", &i32s([10])).unwrap();
    let fuel = instance.usage().fuel;
    // Ten times entry, get, `if`, const, get, const, sub, call, host, add; then entry, get, `if`, const.
    assert_eq!(fuel, 10 * (9 + 5) + 4);
    let mut instance = with_back(Limits::DEFAULT.with_fuel(fuel))
        .instantiate(&module)
        .unwrap();
    assert!(instance.call("run", &i32s([10])).is_ok());
    let mut instance = with_back(Limits::DEFAULT.with_fuel(fuel - 1))
        .instantiate(&module)
        .unwrap();
    assert_eq!(
        instance.call("run", &i32s([10])).unwrap_err().limit(),
        Some(Limit::Fuel)
    );
}

/// The stack of a small thread. Unoptimized code needs a multiple of it for the same calls.
const SMALL_STACK: usize = if cfg!(debug_assertions) {
    1 << 20
} else {
    256 << 10
};

/// Runs on a thread with a small stack. Overflowing it aborts the process: no test can catch that.
fn on_small_stack(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(SMALL_STACK)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

/// Reports the problem before the tests below abort.
#[test]
fn all_levels_of_reentry_fit_on_a_small_stack() {
    let addresses = Arc::new(Mutex::new(Vec::new()));
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    let seen = addresses.clone();
    sandbox.func_wrap(
        "env",
        "back",
        Capabilities::NONE,
        move |caller: &mut Caller<'_>, (n,): (i32,)| {
            let here = 0_u8;
            seen.lock().unwrap().push(&raw const here as usize);
            match caller.call("run", &[Value::I32(n)])?[..] {
                [Value::I32(result)] => Ok(result),
                _ => unreachable!("run returns an i32"),
            }
        },
    );
    sandbox
        .instantiate(&module(REENTRANT))
        .unwrap()
        .call("run", &i32s([8]))
        .unwrap();
    let addresses = addresses.lock().unwrap();
    let level = addresses
        .windows(2)
        .map(|pair| pair[0].abs_diff(pair[1]))
        .max()
        .unwrap();
    println!("{level} bytes of native stack for each level");
    let room = 32 << 10;
    assert!(
        level * MAX_REENTRY as usize + room <= SMALL_STACK,
        "{level} bytes for each of {MAX_REENTRY} levels"
    );
}

/// As many levels as are allowed. One more ends with an error, not a crash.
#[test]
fn the_native_stack_is_safe() {
    let module = module(REENTRANT);
    let levels = MAX_REENTRY as i32;
    on_small_stack(move || {
        let limits = Limits::DEFAULT
            .with_stack_bytes(u64::MAX)
            .with_call_depth(u64::MAX);
        let mut instance = with_back(limits).instantiate(&module).unwrap();
        assert_eq!(
            instance.call("run", &i32s([levels])).unwrap(),
            i32s([levels]),
            "the bound itself is allowed"
        );
        let error = instance.call("run", &i32s([levels + 1])).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Reentry));
        match error.kind() {
            ErrorKind::LimitExceeded { value, .. } => assert_eq!(*value, MAX_REENTRY),
            other => panic!("{other:?}"),
        }
        instance.reset().unwrap();
        assert_eq!(instance.call("run", &i32s([5])).unwrap(), i32s([5]));
    });
}

/// Guest frames are not on the native stack: as many as the limits allow are safe, at every level.
#[test]
fn deep_recursion_at_every_level_of_reentry_is_safe() {
    let module = module(
        r#"(module (import "env" "back" (func $back (param i32) (result i32)))
            (func $deep (param i32 i32) (result i32)
                (if (result i32) (local.get 1)
                    (then (i32.add (i32.const 1) (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1)))))
                    (else (if (result i32) (local.get 0)
                        (then (call $back (i32.sub (local.get 0) (i32.const 1))))
                        (else (i32.const 0))))))
            (func (export "run") (param i32) (result i32) (call $deep (local.get 0) (i32.const 1000))))"#,
    );
    on_small_stack(move || {
        let limits = Limits::PERMISSIVE
            .with_call_depth(1 << 20)
            .with_stack_bytes(1 << 28);
        let mut instance = with_back(limits).instantiate(&module).unwrap();
        assert_eq!(instance.call("run", &i32s([30])).unwrap(), i32s([31 * 1_000]));
        assert_eq!(instance.usage().peak_call_depth, Some(31 * 1_002));
    });
}

/// A host function that continues after its call back failed does not hide the failure.
#[test]
fn a_failed_call_back_poisons_even_if_the_host_continues() {
    let mut sandbox = Sandbox::new(Limits::DEFAULT);
    sandbox.func_wrap("env", "try", Capabilities::NONE, |caller: &mut Caller<'_>, ()| {
        Ok(i32::from(caller.call("fail", &[]).is_ok()))
    });
    let module = module(
        r#"(module (import "env" "try" (func $try (result i32))) (func (export "fail") unreachable)
            (func (export "run") (result i32) call $try))"#,
    );
    let mut instance = sandbox.instantiate(&module).unwrap();
    assert_eq!(instance.call("run", &[]).unwrap(), i32s([0]));
    let poison = instance.poisoned_by().expect("the guest was aborted partway");
    assert!(matches!(poison.kind(), ErrorKind::Trap(Trap::Unreachable)));
    assert_eq!(poison.invocation(), &Invocation::Export("fail".into()));
    assert!(matches!(
        instance.call("run", &[]).unwrap_err().kind(),
        ErrorKind::Poisoned(_)
    ));
}

// Depth and stack overflow are the same trap of the interpreter, and neither value can be read.

#[test]
fn depth_and_stack_are_distinguished() {
    let narrow = r#"(module (func $f (export "run") call $f))"#;
    let wide = r#"(module (func $f (export "run") (local i64 i64 i64 i64 i64 i64 i64 i64) call $f))"#;
    let limits = Limits::DEFAULT.with_call_depth(100).with_stack_bytes(100 * 8);
    for (wat, limit, value) in [(narrow, Limit::CallDepth, 100), (wide, Limit::Stack, 800)] {
        let mut instance = Sandbox::new(limits).instantiate(&module(wat)).unwrap();
        let error = instance.call("run", &[]).unwrap_err();
        assert_eq!(error.limit(), Some(limit), "{error}");
        assert!(error.to_string().contains(&value.to_string()), "{error}");
    }
}

#[test]
fn a_guests_own_unreachable_is_not_reported_as_a_limit() {
    let wat = r#"(module (func $f (export "run") (param i32)
        (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else unreachable))))"#;
    let mut instance = Sandbox::new(Limits::DEFAULT.with_call_depth(10))
        .instantiate(&module(wat))
        .unwrap();
    let error = instance.call("run", &i32s([9])).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Trap(Trap::Unreachable)),
        "{error}"
    );
    instance.reset().unwrap();
    let error = instance.call("run", &i32s([10])).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::CallDepth), "{error}");
}

// Lazy translation charges fuel on first use: the same call cost 261, then 16.

#[test]
fn the_first_call_costs_the_same_as_every_call() {
    let body = "(drop (i32.add (i32.const 1) (i32.const 2)))".repeat(50);
    let wat = format!(r#"(module (func $f {body}) (func (export "run") call $f))"#);
    let module = module(&wat);
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    for _ in 0..3 {
        instance.call("run", &[]).unwrap();
        assert_eq!(instance.usage().fuel, 2 + 1 + 50 * 3);
    }
    // Another instance of the module, and a module that was never run.
    for module in [module, self::module(&wat)] {
        let mut instance = Sandbox::new(Limits::DEFAULT.with_fuel(153))
            .instantiate(&module)
            .unwrap();
        instance.call("run", &[]).unwrap();
        assert_eq!(instance.usage().fuel, 153);
    }
}

/// Lazy translation loses a call that runs out of fuel in it; here each call continues, however small the slices are.
#[test]
fn a_call_continues_after_every_slice() {
    let functions: String = (0..30)
        .map(|i| {
            format!(
                "(func $f{i} (result i32) (i32.add (i32.const {i}) (call $f{})))",
                i + 1
            )
        })
        .collect();
    let wat =
        format!(r#"(module {functions} (func $f30 (result i32) (i32.const 0)) (export "run" (func $f0)))"#);
    let module = module(&wat);
    for slice in 1..40 {
        let mut instance = Sandbox::new(Limits::DEFAULT)
            .with_fuel_slice(slice)
            .instantiate(&module)
            .unwrap();
        assert_eq!(instance.call("run", &[]).unwrap(), i32s([(0..30).sum()]));
        assert_eq!(instance.usage().fuel, 30 * 4 + 2, "slices of {slice}");
    }
}

// Fuel is charged per control frame: the code after a taken `br_if` was charged and never run.

#[test]
fn an_early_exit_costs_less() {
    let work = "(local.set 1 (i32.add (local.get 1) (i32.const 1)))".repeat(100);
    let wat = format!(
        r#"(module (func (export "run") (param i32) (result i32) (local i32)
            (block (br_if 0 (local.get 0)) {work}) (local.get 1)))"#
    );
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module(&wat)).unwrap();
    assert_eq!(instance.call("run", &i32s([0])).unwrap(), i32s([100]));
    assert_eq!(instance.usage().fuel, 1 + 2 + 400 + 1);
    assert_eq!(instance.call("run", &i32s([1])).unwrap(), i32s([0]));
    assert_eq!(instance.usage().fuel, 1 + 2 + 1);
}

#[test]
fn an_early_return_out_of_a_loop_costs_less() {
    let wat = r#"(module (func (export "run") (param i32) (result i32) (local i32)
        (loop
            (if (i32.eq (local.get 1) (local.get 0)) (then (return (local.get 1))))
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br 0))
        unreachable))"#;
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module(wat)).unwrap();
    for turns in [0, 1, 17] {
        assert_eq!(instance.call("run", &i32s([turns])).unwrap(), i32s([turns]));
        assert_eq!(instance.usage().fuel, 1 + turns as u64 * 9 + 5);
    }
}

// Zeroing declared locals was free: 2.3 -> 1 673 ns for one unit of fuel.

#[test]
fn zeroing_locals_is_charged() {
    let fuel = |locals: usize| {
        let locals = "i64 ".repeat(locals);
        let wat = format!(
            r#"(module (func $f (local {locals})) (func (export "run") (param i32)
                (loop (call $f) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#
        );
        let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module(&wat)).unwrap();
        instance.call("run", &i32s([100])).unwrap();
        instance.usage().fuel
    };
    assert_eq!(fuel(0), 1 + 100 * 7);
    assert_eq!(fuel(9_000), 1 + 100 * (7 + (9_000 * 8 - 512u64).div_ceil(64)));
}

// `StoreLimits` is per memory and per table: 100 memories of 1 MiB passed a limit of 1 MiB.

#[test]
fn memory_is_limited_in_total() {
    let memories = module(&format!("(module {})", "(memory 16)".repeat(100)));
    let error = Sandbox::new(Limits::DEFAULT.with_memory_bytes(1 << 20))
        .instantiate(&memories)
        .unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Memory), "{error}");
    assert!(
        Sandbox::new(Limits::DEFAULT.with_memory_bytes(100 << 20))
            .instantiate(&memories)
            .is_ok()
    );
    let tables = module(&format!("(module {})", "(table 10000 funcref)".repeat(50)));
    let error = Sandbox::new(Limits::DEFAULT.with_memory_bytes(80_000))
        .instantiate(&tables)
        .unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Memory), "{error}");
    assert!(
        Sandbox::new(Limits::DEFAULT.with_memory_bytes(50 * 80_000))
            .instantiate(&tables)
            .is_ok()
    );
}

// Copying a data segment of 1 MiB at instantiation cost no fuel.

#[test]
fn data_segments_are_charged() {
    let module = module(&format!(
        r#"(module (memory 16) (data (i32.const 0) "{}"))"#,
        "x".repeat(1 << 20)
    ));
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    assert_eq!(instance.usage().fuel, 1 + (1 << 20) / 64);
    let error = Sandbox::new(Limits::DEFAULT.with_fuel(1 << 14))
        .instantiate(&module)
        .unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Fuel), "{error}");
}

// After a trap a guest's own stack pointer is wrong.

#[test]
fn a_trap_poisons_until_reset() {
    let module = module(
        r#"(module (memory (export "memory") 1) (global $sp (mut i32) (i32.const 1000)) (table 1 10 funcref)
            (func (export "sp") (result i32) (global.get $sp))
            (func (export "run") (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
                (i32.store (i32.const 0) (i32.const 42)) (drop (memory.grow (i32.const 1)))
                (drop (table.grow (ref.null func) (i32.const 5))) unreachable))"#,
    );
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    assert_eq!(instance.call("sp", &[]).unwrap(), i32s([1000]));
    let error = instance.call("run", &[]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Trap(Trap::Unreachable)));
    for _ in 0..2 {
        let refused = instance.call("sp", &[]).unwrap_err();
        assert!(
            matches!(refused.kind(), ErrorKind::Poisoned(first) if first.to_string() == error.to_string())
        );
        assert_eq!(refused.usage(), Usage::default(), "nothing ran");
        let cause = std::error::Error::source(&refused)
            .expect("the first error")
            .to_string();
        assert_eq!(cause, error.to_string());
    }
    assert!(instance.call_i64("sp", &[]).is_err());
    instance.reset().unwrap();
    assert!(instance.poisoned_by().is_none());
    assert_eq!(instance.call("sp", &[]).unwrap(), i32s([1000]));
    assert_eq!(instance.memory().unwrap().slice(0, 4).unwrap(), [0; 4]);
    assert_eq!(instance.memory().unwrap().size(), 1 << 16);
    assert_eq!(instance.usage().peak_memory_bytes, (1 << 16) + 8);
}

#[test]
fn a_call_that_never_ran_does_not_poison() {
    let module = module(r#"(module (func (export "run") (param i32) (result i32) (local.get 0)))"#);
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    let missing = instance.call("ran", &[]).unwrap_err();
    assert!(
        matches!(missing.kind(), ErrorKind::NoSuchExport { nearest: Some(near), .. } if near == "run"),
        "{missing}"
    );
    let mismatch = instance.call("run", &[Value::I64(1)]).unwrap_err();
    assert!(
        matches!(mismatch.kind(), ErrorKind::SignatureMismatch { .. }),
        "{mismatch}"
    );
    for hidden in ["\0dynload.frames", "\0dynload.start", "\0dynload.host", ""] {
        assert!(matches!(
            instance.call(hidden, &[]).unwrap_err().kind(),
            ErrorKind::NoSuchExport { .. }
        ));
    }
    assert!(instance.poisoned_by().is_none());
    assert_eq!(instance.call("run", &i32s([3])).unwrap(), i32s([3]));
}

#[test]
fn a_typed_handle_outlives_a_reset() {
    let module = module(
        r#"(module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32)
            (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#,
    );
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    let next = instance.get_typed_func::<(), i32>("next").unwrap();
    assert_eq!(
        (
            next.call(&mut instance, ()).unwrap(),
            next.call(&mut instance, ()).unwrap()
        ),
        (1, 2)
    );
    instance.reset().unwrap();
    assert_eq!(next.call(&mut instance, ()).unwrap(), 1);
    let mut other = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    assert_eq!(next.call(&mut other, ()).unwrap(), 1);
    assert_eq!(next.call(&mut instance, ()).unwrap(), 2);
    let fuel = instance.usage().fuel;
    instance.call("next", &[]).unwrap();
    assert_eq!(instance.usage().fuel, fuel, "typed or not, it burns the same");
}

// Everything above relies on this.

#[test]
fn modules_and_sandboxes_are_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<(
        Engine,
        Module,
        Sandbox,
        HostFunctions,
        FuelBudget,
        Authority,
        InterruptHandle,
        Error,
        ModuleError,
    )>();
    shared::<Instance>();
    let module = module(REENTRANT);
    let sandboxes =
        [Limits::DEFAULT, Limits::DEFAULT.with_call_depth(5)].map(|limits| Arc::new(with_back(limits)));
    thread::scope(|scope| {
        for i in 0..8 {
            let (module, sandbox) = (&module, &sandboxes[i % 2]);
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut instance = sandbox.instantiate(module).unwrap();
                    let result = instance.call("run", &i32s([10]));
                    assert_eq!(result.is_ok(), i % 2 == 0, "{result:?}");
                }
            });
        }
    });
}

// The interpreter dispatches by tail calls, but some of its handlers do not make one: each operator with such a
// handler leaves a frame on the native stack, and a loop over it ends the process, unless the host unwinds.
#[test]
fn no_operator_in_a_loop_exhausts_the_native_stack() {
    const OPERATORS: [(&str, &str); 9] = [
        ("memory.grow that fails", "(drop (memory.grow (i32.const 100)))"),
        ("memory.grow by nothing", "(drop (memory.grow (i32.const 0)))"),
        (
            "table.grow that fails",
            "(drop (table.grow $t (ref.null func) (i32.const 100)))",
        ),
        (
            "table.grow by nothing",
            "(drop (table.grow $t (ref.null func) (i32.const 0)))",
        ),
        (
            "memory.copy",
            "(memory.copy (i32.const 0) (i32.const 8) (i32.const 8))",
        ),
        (
            "memory.fill",
            "(memory.fill (i32.const 0) (i32.const 8) (i32.const 8))",
        ),
        (
            "table.copy",
            "(table.copy (i32.const 0) (i32.const 1) (i32.const 1))",
        ),
        ("call_indirect", "(call_indirect (type $f) (i32.const 0))"),
        ("a host function", "(call $host)"),
    ];
    for (what, operator) in OPERATORS {
        let wat = format!(
            r#"(module (type $f (func)) (import "env" "host" (func $host))
                (memory 1 2) (table $t 2 2 funcref) (func $nothing) (elem (i32.const 0) $nothing)
                (func (export "run") (local i32)
                    (loop {operator} (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                        (br_if 0 (i32.lt_u (local.get 0) (i32.const 100000))))))"#
        );
        let ran = thread::Builder::new().stack_size(256 << 10).spawn(move || {
            let mut sandbox = Sandbox::new(Limits::PERMISSIVE).with_fuel_slice(u64::MAX);
            sandbox.func_wrap("env", "host", Capabilities::NONE, |_: &mut Caller<'_>, ()| Ok(()));
            let mut instance = sandbox.instantiate(&module(&wat)).unwrap();
            instance.call("run", &[]).map(drop)
        });
        assert!(ran.unwrap().join().unwrap().is_ok(), "{what}");
    }
}

// All 100 000 references of a passive segment were created needlessly, at each instantiation.

#[test]
fn references_of_passive_segments_cost_memory_and_fuel() {
    let segments = |kind: &str, count: usize| {
        let one = format!("(elem {kind} func {})", "$f ".repeat(1_000));
        module(&format!("(module (func $f) {})", one.repeat(count)))
    };
    let passive = segments("", 100);
    let needed = 100 * 1_000 * 8;
    let within = |bytes, fuel| {
        let limits = Limits::DEFAULT.with_memory_bytes(bytes).with_fuel(fuel);
        Sandbox::new(limits).instantiate(&passive)
    };
    let fuel = 100 * (1 + 1_000 / 16);
    let mut instance = within(needed, fuel).unwrap();
    assert_eq!(instance.usage().peak_memory_bytes, needed);
    assert_eq!(within(needed - 1, fuel).unwrap_err().limit(), Some(Limit::Memory));
    assert_eq!(within(needed, fuel - 1).unwrap_err().limit(), Some(Limit::Fuel));
    instance.reset().unwrap();
    assert_eq!(instance.usage().fuel, fuel);
    // Declarative segments cannot be accessed, and no references are created for them.
    let declared = segments("declare", 100);
    let limits = Limits::DEFAULT.with_memory_bytes(0).with_fuel(100);
    assert!(Sandbox::new(limits).instantiate(&declared).is_ok());
}

#[test]
fn an_instance_of_many_parts_takes_memory() {
    let parts = 20_000;
    for part in [
        "(func)",
        "(global i32 (i32.const 0))",
        r#"(data "")"#,
        "(elem func)",
        r#"(import "vais" "now_ms" (func (result i64)))"#,
    ] {
        let module = module(&format!("(module {})", part.repeat(parts)));
        let needed = parts as u64 * schedule::RECORD_BYTES - schedule::FREE_RECORD_BYTES;
        let within = |bytes| Sandbox::new(Limits::DEFAULT.with_memory_bytes(bytes)).instantiate(&module);
        assert!(within(needed).is_ok(), "{part}");
        assert_eq!(
            within(needed - 1).unwrap_err().limit(),
            Some(Limit::Memory),
            "{part}"
        );
    }
}

// Each operator of a constant expression adds a level to the native stack.

#[test]
fn a_long_constant_expression_is_refused() {
    let sum = |n: usize| format!("i32.const 1 {}", "i32.const 1 i32.add ".repeat(n));
    let positions = [
        |sum: &str| format!("(module (global i32 {sum}))"),
        |sum: &str| format!("(module (memory 1) (data (offset {sum}) \"\"))"),
        |sum: &str| format!("(module (table 99 funcref) (elem (offset {sum}) func))"),
    ];
    for position in positions {
        let load = |n| Module::new(&Engine::default(), wat::parse_str(position(&sum(n))).unwrap());
        // A constant, two operators for each addition, and the end.
        assert!(
            Sandbox::new(Limits::DEFAULT)
                .instantiate(&load(31).unwrap())
                .is_ok()
        );
        match load(32) {
            Err(ModuleError::TooLarge { what, most, .. }) => {
                assert_eq!((what, most), ("operators in a constant expression", 64));
            }
            other => panic!("{other:?}"),
        }
        assert!(load(200_000).is_err());
    }
}

// A panic in the interpreter ends the process: it counts the bytes of a memory in 64 bits.

#[test]
fn a_memory_of_all_addresses_grows_like_any_other() {
    let engine = Engine::new(EngineConfig::default().with_memory64(true));
    for maximum in ["0x1000000000000", "0xffffffffffff", "0x800000000000", ""] {
        let module = module_on(
            &engine,
            &format!(
                r#"(module (memory i64 1 {maximum}) (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
                    (func (export "size") (result i64) memory.size))"#
            ),
        );
        let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
        for (delta, old) in [
            (1, 1),
            (0, 2),
            (0xffff_ffff_fffe, -1),
            (0xffff_ffff_ffff, -1),
            (0x1_0000_0000_0000, -1),
            (i64::MAX, -1),
            (-1, -1),
            (1, 2),
        ] {
            let found = instance.call("grow", &[Value::I64(delta)]).unwrap();
            assert_eq!(found, [Value::I64(old)], "{maximum}: {delta:x}");
        }
        assert_eq!(instance.call("size", &[]).unwrap(), [Value::I64(3)]);
    }
}

#[test]
fn memories_and_tables_too_large_for_any_host_are_refused_and_not_created() {
    let engine = Engine::new(EngineConfig::default().with_memory64(true));
    for what in [
        "(memory 65536)",
        "(memory i64 0x1000000)",
        "(memory i64 0x800000000000)",
        "(memory i64 0x1000000000000)",
        "(table 0xffffffff funcref)",
        "(table i64 0xffffffffffffffff funcref)",
        "(table i64 0x2000000000000000 funcref)",
        "(memory 65535) (memory 65535) (memory i64 0xffffffffffff) (table 0xffffffff funcref)",
    ] {
        let module = module_on(&engine, &format!("(module {what})"));
        let refused = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap_err();
        assert_eq!(refused.limit(), Some(Limit::Memory), "{what}: {refused}");
    }
    // They are refused even where the limit allows everything.
    let unlimited = Sandbox::new(Limits::DEFAULT.with_memory_bytes(u64::MAX));
    for what in [
        "(memory i64 0x1000000000000)",
        "(table i64 0xffffffffffffffff funcref)",
    ] {
        let module = module_on(&engine, &format!("(module {what})"));
        assert!(unlimited.instantiate(&module).is_err(), "{what}");
    }
}
