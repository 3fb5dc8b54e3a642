//! Starting a program: from its bytes to its first result.

use std::hint::black_box;

use dynload_bench_report::Row;
use dynload_sandbox::{Engine, Module};
use wasmi::CompilationMode;

use super::{Found, load::program};
use crate::engines::{DYNLOAD, DYNLOAD_LATE, DYNLOAD_PREPARED, Program, WASMI, WASMI_LAZY};
use crate::engines::{dynload, wasmi as bare};
use crate::race::Race;
use crate::{Effort, Outcome};

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let mut rows = Vec::new();
    for (name, title) in [("lua", "Lua"), ("sqlite", "SQLite")] {
        rows.extend(start(effort, title, &program(name)?)?);
    }
    Ok(Found { rows, curves: vec![] })
}

/// Loads a program, creates an instance and calls `run(1)`.
fn start(effort: Effort, title: &str, wasm: &[u8]) -> Outcome<Vec<Row>> {
    let (engine, late) = (Engine::default(), dynload::late());
    let prepared = Module::prepare(&engine, wasm)?;
    let original = |engine| Module::new(engine, wasm).expect("a valid module");
    let race = Race::new(format!("start of {title}"))
        .side(DYNLOAD, 1, || first_result(dynload::run(&original(&engine))))
        .side(DYNLOAD_LATE, 1, || first_result(dynload::run(&original(&late))))
        .side(DYNLOAD_PREPARED, 1, || {
            let module = Module::from_prepared(&engine, &prepared).expect("a prepared module");
            first_result(dynload::run(&module));
        })
        .budget(1.25)
        .side(WASMI, 1, || first_result(bare::unmetered(wasm)))
        .side(WASMI_LAZY, 1, || {
            first_result(bare::program(CompilationMode::Lazy, wasm, false));
        });
    Ok(race.run(effort.of(15, 3), WASMI_LAZY))
}

fn first_result(program: Outcome<Program>) {
    let result = program.and_then(|mut run| run(1));
    black_box(result.expect("it runs, and needs nothing else"));
}
