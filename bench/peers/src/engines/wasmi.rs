//! Bare wasmi: eager, with its defaults except for recursion limits that no benchmark reaches.

use wasmi::{CompilationMode, Config, Engine, Instance, Linker, Module, Store, Val};

use super::{NO_INTEGER, Program};
use crate::Outcome;

pub(crate) fn engine(mode: CompilationMode, fuel: bool) -> Engine {
    let mut config = Config::default();
    config
        .compilation_mode(mode)
        .consume_fuel(fuel)
        .set_max_recursion_depth(1 << 20)
        .set_max_stack_height(1 << 28);
    Engine::new(&config)
}

pub(crate) fn unmetered(wasm: &[u8]) -> Outcome<Program> {
    program(CompilationMode::Eager, wasm, false)
}

pub(crate) fn metered(wasm: &[u8]) -> Outcome<Program> {
    program(CompilationMode::Eager, wasm, true)
}

pub(crate) fn program(mode: CompilationMode, wasm: &[u8], fuel: bool) -> Outcome<Program> {
    let (mut store, instance) = instance(&engine(mode, fuel), wasm, fuel)?;
    let run = instance
        .get_func(&store, "run")
        .ok_or("the module has no `run`")?;
    let mut result = [Val::default_for_ty(run.ty(&store).results()[0])];
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
pub(crate) fn instance(engine: &Engine, wasm: &[u8], fuel: bool) -> Outcome<(Store<()>, Instance)> {
    let module = Module::new(engine, wasm)?;
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "next", |value: i64| value + 1)?;
    let mut store = Store::new(engine, ());
    if fuel {
        store.set_fuel(u64::MAX / 2)?;
    }
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    Ok((store, instance))
}
