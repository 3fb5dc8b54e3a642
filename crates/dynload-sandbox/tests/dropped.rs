//! Dropped modules and instances are freed, even while their engine stays in use. One test, in its own process, because it
//! measures the whole process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "the test reads statistics of its own process; no guest work is done there"
)]

use dynload_sandbox::{Engine, Instance, Limits, Module, Sandbox, Value};

/// Resident memory of this process, in bytes.
/// ([proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html))
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// A module with a number of functions, each of which adds to its argument.
fn wasm(functions: usize) -> Vec<u8> {
    let body = "(i32.add (local.get 0) (i32.mul (local.get 0) (i32.const 77)))".repeat(8)
        + "(i32.add)".repeat(7).as_str();
    let function = format!("(func (param i32) (result i32) {body})");
    wat::parse_str(format!(
        r#"(module {} (export "f" (func 0)))"#,
        function.repeat(functions)
    ))
    .unwrap()
}

#[test]
fn modules_and_instances_are_freed_while_their_engine_lives() {
    modules();
    instances();
}

fn modules() {
    let engine = Engine::default();
    let wasm = wasm(3_000);
    let sandbox = Sandbox::new(Limits::DEFAULT);
    let load_and_drop = || {
        let mut instance: Instance = sandbox
            .instantiate(&Module::new(&engine, &wasm).unwrap())
            .unwrap();
        assert_eq!(
            instance.call("f", &[Value::I32(1)]).unwrap(),
            [Value::I32(8 * 78)]
        );
    };
    // After these, the allocator has whatever it keeps for itself.
    for _ in 0..5 {
        load_and_drop();
    }
    let before = resident();
    for _ in 0..40 {
        load_and_drop();
    }
    let grown = resident().saturating_sub(before);
    // Compiled, they are several times as large.
    let half = 40 * wasm.len() as u64 / 2;
    assert!(
        grown < half,
        "after loading and dropping 40 modules of {} bytes, {grown} bytes remain",
        wasm.len()
    );
}

fn instances() {
    let wasm = wat::parse_str(
        r#"(module (memory 16) (func (export "touch") (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576))))"#,
    )
    .unwrap();
    let module = Module::new(&Engine::default(), wasm).unwrap();
    let sandbox = Sandbox::new(Limits::DEFAULT);
    let before = resident();
    for _ in 0..500 {
        sandbox.instantiate(&module).unwrap().call("touch", &[]).unwrap();
    }
    let mut instance = sandbox.instantiate(&module).unwrap();
    for _ in 0..500 {
        instance.call("touch", &[]).unwrap();
        instance.reset().unwrap();
    }
    let grown = resident().saturating_sub(before);
    // 1 000 of them would be 1 000 MiB.
    assert!(grown < 20 << 20, "{grown} bytes more");
}
