//! The sandbox, with every limit on.

use dynload_sandbox::{
    Capabilities, Engine, EngineConfig, Error, Instance, Limits, Module, Sandbox, Validation, Value,
};
use std::time::Duration;

use super::{NO_INTEGER, Program};
use crate::Outcome;

/// Limits that no benchmark reaches, all of them metered.
pub(crate) const LIMITS: Limits = Limits::PERMISSIVE
    .with_memory_bytes(1 << 30)
    .with_time(Duration::from_millis(600_000))
    .with_stack_bytes(1 << 28)
    .with_call_depth(1 << 20)
    .with_fuel(u64::MAX / 2);

pub(crate) fn program(wasm: &[u8]) -> Outcome<Program> {
    run(&Module::new(&Engine::default(), wasm)?)
}

/// Returns an engine that validates functions on first use.
pub(crate) fn late() -> Engine {
    Engine::new(EngineConfig::default().with_validation(Validation::OnFirstUse))
}

/// Returns `run` of a new instance.
pub(crate) fn run(module: &Module) -> Outcome<Program> {
    let mut sandbox = Sandbox::new(LIMITS);
    sandbox.func_wrap("host", "next", Capabilities::empty(), |_, (value,): (i64,)| {
        Ok(value + 1)
    });
    let mut instance = sandbox.instantiate(module)?;
    Ok(Box::new(move |argument| {
        match instance.call("run", &[Value::I32(argument)])?[..] {
            [Value::I32(value)] => Ok(i64::from(value)),
            [Value::I64(value)] => Ok(value),
            _ => Err(NO_INTEGER.into()),
        }
    }))
}

/// Returns an instance of a module, with the default limits and fuel.
pub(crate) fn instance(wasm: &[u8]) -> Result<Instance, Error> {
    let module = Module::new(&Engine::default(), wasm).expect("a valid module");
    sandbox().instantiate(&module)
}

/// Returns a sandbox with the default limits and fuel.
pub(crate) fn sandbox() -> Sandbox {
    Sandbox::new(Limits::DEFAULT.with_fuel(u64::MAX / 2))
}
