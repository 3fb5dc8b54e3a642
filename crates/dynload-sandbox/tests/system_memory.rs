//! Growth that the system refuses costs nothing: the same program burns the same fuel on a machine with less memory.

#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use dynload_sandbox::*;

const PROGRAM: &str = r#"(module (memory i64 1) (table 1 funcref)
    (func (export "memory") (param i64) (result i64) (memory.grow (local.get 0)))
    (func (export "table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"#;

/// Runs a test of this file again in a process with this much address space, in KiB, and with this variable.
fn within(space: u32, inside: &str, test: &str) {
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {space}; exec \"$0\" --exact {test} --nocapture"),
        ])
        .arg(std::env::current_exe().unwrap())
        .env(inside, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs in a process limited to about 6 GB of address space, in a sandbox whose own memory limit never applies.
#[test]
fn growth_that_the_system_refuses_is_free() {
    const INSIDE: &str = "DYNLOAD_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        return within(6_000_000, INSIDE, "growth_that_the_system_refuses_is_free");
    }
    let engine = Engine::new(EngineConfig::default().with_memory64(true));
    let module = Module::new(&engine, wat::parse_str(PROGRAM).unwrap()).unwrap();
    let limits = Limits::DEFAULT
        .with_memory_bytes(u64::MAX)
        .with_time(Duration::from_millis(60_000));
    let mut instance = Sandbox::new(limits).instantiate(&module).unwrap();
    // 1 for the entry, 1 for each operator, plus the cost of a growth that succeeds.
    for (pages, old, fuel) in [
        (0x4000_0000, -1, 3),
        (0x100_0000, -1, 3),
        (2, 1, 3 + 2_048),
        (0x4000_0000, -1, 3),
    ] {
        assert_eq!(
            instance.call("memory", &[Value::I64(pages)]).unwrap(),
            [Value::I64(old)]
        );
        assert_eq!(instance.usage().fuel, fuel, "{pages:x}");
    }
    for (elements, old, fuel) in [(-2, -1, 4), (1_600, 1, 4 + 100), (-2_000, -1, 4)] {
        assert_eq!(
            instance.call("table", &[Value::I32(elements)]).unwrap(),
            [Value::I32(old)]
        );
        assert_eq!(instance.usage().fuel, fuel, "{elements}");
    }
    let counted = 3 * (1 << 16) + 1_601 * 8;
    assert_eq!(instance.usage().memory_bytes, counted);
}

/// A process limited to about 3 GB of address space has room for one memory of 2 GB, and not for two.
#[test]
fn a_reset_has_one_memory_at_a_time() {
    const INSIDE: &str = "DYNLOAD_TEST_INSIDE_RESET";
    if std::env::var_os(INSIDE).is_none() {
        return within(3_000_000, INSIDE, "a_reset_has_one_memory_at_a_time");
    }
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 32768) (func (export "set") (i32.store (i32.const 0) (i32.const 7))))"#,
    );
    let module = Module::new(&Engine::default(), wasm.unwrap()).unwrap();
    let sandbox = Sandbox::new(Limits::DEFAULT.with_memory_bytes(1 << 32));
    let mut instance = sandbox.instantiate(&module).unwrap();
    for _ in 0..3 {
        instance.call("set", &[]).unwrap();
        instance.reset().unwrap();
        assert_eq!(instance.memory().unwrap().slice(0, 4).unwrap(), [0; 4]);
    }
    assert!(
        sandbox.instantiate(&module).is_err(),
        "there is room for a second one"
    );
}
