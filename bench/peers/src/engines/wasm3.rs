//! wasm3, eager. It has no metering.

use wasm3x::{CompilationMode, Config, Engine, Instance, Linker, Module, Store, Val};

use super::{NO_INTEGER, Program};
use crate::Outcome;

pub(crate) fn engine() -> Engine {
    let mut config = Config::default();
    config
        .compilation_mode(CompilationMode::Eager)
        .stack_size(8 << 20);
    Engine::new(&config)
}

pub(crate) fn program(wasm: &[u8]) -> Outcome<Program> {
    let (mut store, instance) = instance(wasm)?;
    let run = instance
        .get_func(&store, "run")
        .ok_or("the module has no `run`")?;
    let ty = run.ty(&store)?.results()[0];
    let mut result = [Val::default_for_ty(ty).ok_or("`run` has a result of an unknown type")?];
    Ok(Box::new(move |argument| {
        run.call(&mut store, &[Val::I32(argument)], &mut result)?;
        let value = result[0].i32().map(i64::from).or(result[0].i64());
        Ok(value.ok_or(NO_INTEGER)?)
    }))
}

/// Returns an instance in its own store.
pub(crate) fn instance(wasm: &[u8]) -> Outcome<(Store<()>, Instance)> {
    let engine = engine();
    let module = Module::new(&engine, wasm)?;
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "next", |value: i64| value + 1)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    Ok((store, instance))
}
