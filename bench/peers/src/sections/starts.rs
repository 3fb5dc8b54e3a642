//! Starting a program: from its bytes to its first result.

use std::hint::black_box;

use dynload_bench_report::Row;
use dynload_sandbox::{Engine, EngineConfig, Module, Sandbox, Validation, Value};
use wasmi::{CompilationMode, Val};

use super::{Found, load::program};
use crate::engines::{DYNLOAD, dynload, wasmi as bare};
use crate::race::Race;
use crate::{Effort, Outcome};

/// What an interpreter that does everything late has in its favour.
const LAZY: &str = "wasmi, lazy";

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let mut rows = Vec::new();
    for (name, title) in [("lua", "Lua"), ("sqlite", "SQLite")] {
        rows.extend(start(effort, title, &program(name)?)?);
    }
    Ok(Found { rows, curves: vec![] })
}

/// Loads a program, creates an instance and calls `run(1)`.
fn start(effort: Effort, title: &str, wasm: &[u8]) -> Outcome<Vec<Row>> {
    let engine = Engine::default();
    let late = Engine::new(EngineConfig::default().with_validation(Validation::OnFirstUse));
    let prepared = Module::prepare(&engine, wasm)?;
    let sandbox = Sandbox::new(dynload::LIMITS);
    let bare = |mode| {
        let engine = bare::engine(mode, false);
        let (mut store, instance) = bare::instance(&engine, wasm, false).expect("it needs nothing else");
        let run = instance.get_func(&store, "run").expect("it is exported");
        let mut result = [Val::default_for_ty(run.ty(&store).results()[0])];
        run.call(&mut store, &[Val::I32(1)], &mut result)
            .expect("it runs");
        black_box(result);
    };
    let race = Race::new(format!("start of {title}"))
        .side(DYNLOAD, 1, || {
            first_result(&sandbox, &Module::new(&engine, wasm).expect("a valid module"));
        })
        .side("dynload-sandbox, validated on first use", 1, || {
            first_result(&sandbox, &Module::new(&late, wasm).expect("a valid module"));
        })
        .side("dynload-sandbox, prepared", 1, || {
            let module = Module::from_prepared(&engine, &prepared).expect("a prepared module");
            first_result(&sandbox, &module);
        })
        .budget(1.25)
        .side("wasmi, eager", 1, || bare(CompilationMode::Eager))
        .side(LAZY, 1, || bare(CompilationMode::Lazy));
    Ok(race.run(effort.of(15, 3), LAZY))
}

fn first_result(sandbox: &Sandbox, module: &Module) {
    let mut instance = sandbox.instantiate(module).expect("it needs nothing else");
    black_box(instance.call("run", &[Value::I32(1)]).expect("it runs"));
}
