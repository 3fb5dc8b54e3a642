//! Loading modules.

use std::hint::black_box;

use dynload_bench_modules as modules;
use dynload_bench_programs::{Builder, PROGRAMS};
use dynload_bench_report::{Curve, Point, Row, Unit};
use dynload_sandbox::{Engine, Module};
use wasmi::CompilationMode;

use super::Found;
use crate::engines::wasmtime::Backend;
use crate::engines::{DYNLOAD, DYNLOAD_LATE, DYNLOAD_PREPARED, WASMI, WASMI_LAZY};
use crate::engines::{dynload, wasm3, wasmi as bare, wasmtime as compiled};
use crate::race::Race;
use crate::{Effort, Outcome};

/// The budgets of modules of 10 KiB and 250 KiB, and of one of 4 MiB, which all processors rewrite.
const BUDGET: f64 = 0.8;
const LARGE_BUDGET: f64 = 0.6;
const PREPARED_BUDGET: f64 = 0.35;
/// From this size on, a module is large.
const LARGE: usize = 1 << 20;

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let hashmap = modules::guest("hashmap")?;
    let medium = program("lua")?;
    let large = modules::repeated(&program("sqlite")?, 4)?;
    let mut found = Found::default();
    let kib = |wasm: &[u8]| wasm.len() / 1024;
    let title = |name: &str, wasm: &[u8]| format!("load of {} KiB ({name})", kib(wasm));
    found
        .rows
        .extend(race(&title("the guest hashmap", &hashmap), &hashmap, 20)?.run(effort.of(25, 5), WASMI));
    found
        .rows
        .extend(race(&title("Lua", &medium), &medium, 1)?.run(effort.of(11, 3), WASMI));
    found
        .rows
        .extend(race(&title("SQLite's code 4 times", &large), &large, 1)?.run(effort.of(5, 3), WASMI));
    found.curves.push(growth(effort)?);
    Ok(found)
}

pub(super) fn program(name: &str) -> Outcome<Vec<u8>> {
    let program = PROGRAMS
        .iter()
        .find(|one| one.name == name)
        .ok_or("no program has this name")?;
    Ok(Builder::new()?.wasm(program)?)
}

/// Loads a module with wasmi and drops it. An engine keeps the code of its modules forever, so each module has its
/// own engine, as in the sandbox.
fn load_bare(mode: CompilationMode, fuel: bool, wasm: &[u8]) {
    let engine = bare::engine(mode, fuel);
    drop(black_box(
        wasmi::Module::new(&engine, wasm).expect("a valid module"),
    ));
}

/// Returns the comparison of the engines for one module. Wasmtime, which takes seconds for large modules, runs only a
/// few times.
fn race<'a>(what: &str, wasm: &'a [u8], per: u32) -> Outcome<Race<'a>> {
    let ours = Engine::default();
    let late = dynload::late();
    let prepared = Module::prepare(&ours, wasm)?;
    let of_prepared = ours.clone();
    let engine3 = wasm3::engine();
    let cranelift = compiled::engine(Backend::Cranelift)?;
    let pulley = compiled::engine(Backend::Pulley)?;
    let rounds = if wasm.len() > LARGE { 1 } else { 3 };
    let wasmi_load = move |mode: CompilationMode, fuel: bool| {
        for _ in 0..per {
            load_bare(mode, fuel, wasm);
        }
    };
    Ok(Race::new(what)
        .side(DYNLOAD, per, move || {
            for _ in 0..per {
                drop(black_box(Module::new(&ours, wasm).expect("a valid module")));
            }
        })
        .budget(if wasm.len() > LARGE { LARGE_BUDGET } else { BUDGET })
        .side(DYNLOAD_LATE, per, move || {
            for _ in 0..per {
                drop(black_box(Module::new(&late, wasm).expect("a valid module")));
            }
        })
        .side(DYNLOAD_PREPARED, per, move || {
            for _ in 0..per {
                drop(black_box(
                    Module::from_prepared(&of_prepared, &prepared).expect("a prepared module"),
                ));
            }
        })
        .budget(PREPARED_BUDGET)
        .side(WASMI, per, move || wasmi_load(CompilationMode::Eager, false))
        .side("wasmi, its fuel", per, move || {
            wasmi_load(CompilationMode::Eager, true)
        })
        .side(WASMI_LAZY, per, move || wasmi_load(CompilationMode::Lazy, false))
        .side("wasm3, parsing only", per, move || {
            for _ in 0..per {
                drop(black_box(
                    wasm3x::Module::new(&engine3, wasm).expect("a valid module"),
                ));
            }
        })
        .side("Wasmtime Cranelift, fuel", 1, move || {
            drop(black_box(
                wasmtime::Module::new(&cranelift, wasm).expect("a valid module"),
            ));
        })
        .at_most(rounds)
        .side("Wasmtime Pulley, fuel", 1, move || {
            drop(black_box(
                wasmtime::Module::new(&pulley, wasm).expect("a valid module"),
            ));
        })
        .at_most(rounds))
}

fn growth(effort: Effort) -> Outcome<Curve> {
    let lua = program("lua")?;
    let json = modules::guest("json")?;
    let mut sizes = vec![json.clone(), modules::repeated(&json, 10)?];
    for copies in [1, 2, 4, 8, 16] {
        sizes.push(modules::repeated(&lua, copies)?);
    }
    let engine = Engine::default();
    let mut points = Vec::new();
    for wasm in &sizes {
        let rows: Vec<Row> = Race::new("")
            .side(DYNLOAD, 1, || {
                drop(black_box(Module::new(&engine, wasm).expect("a valid module")))
            })
            .side(WASMI, 1, || load_bare(CompilationMode::Eager, false, wasm))
            .run(effort.of(5, 3), WASMI);
        points.push(Point {
            at: (wasm.len() / 1024) as f64,
            values: rows.iter().map(|row| row.samples.median).collect(),
        });
    }
    Ok(Curve {
        title: "Load time against module size".into(),
        input: "KiB".into(),
        unit: Unit::Seconds,
        sides: vec![DYNLOAD.into(), WASMI.into()],
        points,
    })
}
