//! Wasmtime with fuel: Cranelift, and its interpreter, Pulley.

use wasmtime::{Config, Engine, Instance, Linker, Module, Store, Val};

use super::{NO_INTEGER, Program};
use crate::Outcome;

/// The part of Wasmtime that runs the code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    /// Machine code.
    Cranelift,
    /// Machine code, with instances from a pool.
    Pooled,
    /// An interpreter.
    Pulley,
}

pub(crate) fn engine(backend: Backend) -> Outcome<Engine> {
    let mut config = Config::new();
    // The stack of a fiber needs room for more than the guest. Extism enables fibers for all engines.
    config
        .consume_fuel(true)
        .async_stack_size(8 << 20)
        .max_wasm_stack(4 << 20);
    match backend {
        Backend::Cranelift => {}
        Backend::Pooled => {
            config.allocation_strategy(wasmtime::InstanceAllocationStrategy::pooling());
        }
        Backend::Pulley => {
            config.target("pulley64")?;
        }
    }
    Ok(Engine::new(&config)?)
}

pub(crate) fn cranelift(wasm: &[u8]) -> Outcome<Program> {
    program(wasm, Backend::Cranelift)
}

pub(crate) fn pulley(wasm: &[u8]) -> Outcome<Program> {
    program(wasm, Backend::Pulley)
}

fn program(wasm: &[u8], backend: Backend) -> Outcome<Program> {
    let (mut store, instance) = instance(&engine(backend)?, wasm)?;
    let run = instance
        .get_func(&mut store, "run")
        .ok_or("the module has no `run`")?;
    let mut result = [Val::I32(0)];
    Ok(Box::new(move |argument| {
        run.call(&mut store, &[Val::I32(argument)], &mut result)?;
        match result[0] {
            Val::I32(value) => Ok(i64::from(value)),
            Val::I64(value) => Ok(value),
            _ => Err(NO_INTEGER.into()),
        }
    }))
}

/// Returns an instance in its own store.
pub(crate) fn instance(engine: &Engine, wasm: &[u8]) -> Outcome<(Store<()>, Instance)> {
    let module = Module::new(engine, wasm)?;
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "next", |value: i64| value + 1)?;
    let mut store = Store::new(engine, ());
    store.set_fuel(u64::MAX / 2)?;
    let instance = linker.instantiate(&mut store, &module)?;
    Ok((store, instance))
}
