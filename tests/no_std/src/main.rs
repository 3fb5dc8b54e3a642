//! Runs a plugin in a program without `std`: its own allocator, its own clock, its own panic handler.
//!
//! `cargo xtask test --only no_std` links it for this machine and runs it. That it links shows that nothing in the sandbox's
//! core pulls in `std`: there would be two panic handlers. The process stands in for the firmware's hardware. From the C
//! library it uses `write` and `_exit`, and the functions that compiled code calls implicitly (`memcpy` and similar).
#![no_std]
#![no_main]

extern crate alloc;

mod machine;

use alloc::sync::Arc;

use dynload_sandbox::{
    Capabilities, Console, ConsoleOutput, Engine, ErrorKind, Limit, Limits, Module, Sandbox, SeededEntropy,
    Value,
};

/// Built from `plugin.wat`: `double` prints, for which it needs the console; `spin` never ends.
const PLUGIN: &[u8] = include_bytes!("plugin.wasm");

/// Returns 0 on success, or the number of the step that failed.
fn run() -> u8 {
    let Ok(module) = Module::new(&Engine::default(), PLUGIN) else {
        return 1;
    };
    if module.required_capabilities() != Capabilities::CONSOLE {
        return 2;
    }
    let limits = Limits::RESTRICTIVE.with_fuel(10_000);
    let console = Console::new(ConsoleOutput::callback(|_stream, bytes| {
        machine::write(bytes);
        Ok(())
    }));
    let sandbox = Sandbox::with_clock_and_entropy(
        limits,
        Arc::new(machine::Ticks::default()),
        Arc::new(SeededEntropy(1)),
    )
    .with_console(console);
    let Ok(mut plugin) = sandbox.instantiate(&module) else {
        return 3;
    };

    let denied = plugin.call("double", &[Value::I64(21)]);
    if !denied.is_err_and(|error| matches!(error.kind(), ErrorKind::CapabilityDenied { .. })) {
        return 4;
    }
    sandbox.grant(Capabilities::CONSOLE);
    if plugin.reset().is_err() {
        return 5;
    }
    match plugin.call("double", &[Value::I64(21)]).as_deref() {
        Ok([Value::I64(42)]) => {}
        _ => return 6,
    }
    let stopped = plugin.call("spin", &[]);
    if !stopped.is_err_and(|error| error.limit() == Some(Limit::Fuel)) {
        return 7;
    }
    0
}

/// The entry point that the C library's start code calls.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: i32, _argv: *const *const u8) -> i32 {
    let step = run();
    if step != 0 {
        machine::write(b"step ");
        machine::write(&[b'0' + step]);
        machine::write(b" of tests/no_std/src/main.rs failed\n");
    }
    i32::from(step)
}
