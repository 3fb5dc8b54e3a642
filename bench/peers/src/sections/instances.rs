//! Creating instances.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dynload_bench_modules as modules;
use dynload_bench_report::{Curve, Point, Row, Unit};
use dynload_sandbox::{Engine, Module};
use extism::{CompiledPlugin, Plugin, PluginBuilder};

use super::Found;
use super::calls::extism_manifest;
use crate::engines::wasmtime::Backend;
use crate::engines::{DYNLOAD, WASMI, dynload, wasm3, wasmi as bare, wasmtime as compiled};
use crate::race::{Race, alone};
use crate::{Effort, Outcome};

const TIMES: u32 = 2_000;
const EXTISM_TIMES: u32 = 50;

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let mut found = Found::default();
    found.rows.extend(made(effort, false)?);
    found.rows.extend(made(effort, true)?);
    found.rows.extend(on_all_cores(effort)?);
    found.curves.push(growth(effort)?);
    Ok(found)
}

/// Creates and drops instances, with or without a call.
fn made(effort: Effort, call: bool) -> Outcome<Vec<Row>> {
    let wasm = modules::assemble(modules::EMPTY);
    let module = Module::new(&Engine::default(), &wasm)?;
    let sandbox = dynload::sandbox();
    let engine = bare::engine(wasmi::CompilationMode::Eager, false);
    let bare_module = wasmi::Module::new(&engine, &wasm)?;
    let engine3 = wasm3::engine();
    let module3 = wasm3x::Module::new(&engine3, &wasm)?;
    let plugin = CompiledPlugin::new(PluginBuilder::new(extism_manifest(&wasm)).with_cache_disabled())?;
    let race = Race::new(if call {
        "new instance and first call"
    } else {
        "new instance"
    })
    .side(DYNLOAD, TIMES, || {
        for _ in 0..TIMES {
            let mut instance = sandbox.instantiate(&module).expect("no imports");
            if call {
                let run = instance.get_typed_func::<(), i32>("run").expect("its type");
                black_box(run.call(&mut instance, ()).expect("it runs"));
            }
            drop(black_box(instance));
        }
    })
    .budget(if call { 1.2 } else { 1.3 })
    .side(WASMI, TIMES, || {
        for _ in 0..TIMES {
            let mut store = wasmi::Store::new(&engine, ());
            let instance = wasmi::Instance::new(&mut store, &bare_module, &[]).expect("no imports");
            if call {
                let run = instance
                    .get_typed_func::<(), i32>(&store, "run")
                    .expect("its type");
                black_box(run.call(&mut store, ()).expect("it runs"));
            }
            drop(black_box(store));
        }
    })
    .side("wasm3", TIMES / 10, || {
        for _ in 0..TIMES / 10 {
            let mut store = wasm3x::Store::new(&engine3, ());
            let linker = wasm3x::Linker::<()>::new(&engine3);
            let instance = linker
                .instantiate_and_start(&mut store, &module3)
                .expect("no imports");
            if call {
                let run = instance
                    .get_typed_func::<(), i32>(&store, "run")
                    .expect("its type");
                black_box(run.call(&mut store, ()).expect("it runs"));
            }
            drop(black_box(store));
        }
    })
    .side(
        "Wasmtime Cranelift, on demand",
        TIMES / 4,
        wasmtime(Backend::Cranelift, &wasm, call)?,
    )
    .side(
        "Wasmtime Cranelift, pooled",
        TIMES / 4,
        wasmtime(Backend::Pooled, &wasm, call)?,
    )
    .side("Extism", EXTISM_TIMES, || {
        for _ in 0..EXTISM_TIMES {
            let mut plugin = Plugin::new_from_compiled(&plugin).expect("no imports");
            if call {
                black_box(plugin.call::<&[u8], Vec<u8>>("run", &[]).expect("it runs"));
            }
            drop(black_box(plugin));
        }
    });
    Ok(race.run(effort.of(11, 3), WASMI))
}

fn wasmtime(backend: Backend, wasm: &[u8], call: bool) -> Outcome<impl FnMut() + use<>> {
    let engine = compiled::engine(backend)?;
    let module = wasmtime::Module::new(&engine, wasm)?;
    Ok(move || {
        for _ in 0..TIMES / 4 {
            let mut store = wasmtime::Store::new(&engine, ());
            store.set_fuel(u64::MAX / 2).expect("the engine counts fuel");
            let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("no imports");
            if call {
                let run = instance
                    .get_typed_func::<(), i32>(&mut store, "run")
                    .expect("its type");
                black_box(run.call(&mut store, ()).expect("it runs"));
            }
            drop(black_box(store));
        }
    })
}

/// Measures the instances created per second, all of one module, by one thread on each core.
fn on_all_cores(effort: Effort) -> Outcome<Vec<Row>> {
    let wasm = modules::assemble(modules::EMPTY);
    let module = Module::new(&Engine::default(), &wasm)?;
    let sandbox = dynload::sandbox();
    let engine = bare::engine(wasmi::CompilationMode::Eager, false);
    let bare_module = wasmi::Module::new(&engine, &wasm)?;
    let time = Duration::from_millis(effort.of(300, 100));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..effort.of(7, 3) {
        ours.push(rate(time, || {
            drop(black_box(sandbox.instantiate(&module).expect("no imports")))
        }));
        theirs.push(rate(time, || {
            let mut store = wasmi::Store::new(&engine, ());
            black_box(wasmi::Instance::new(&mut store, &bare_module, &[]).expect("no imports"));
        }));
    }
    let what = "new instances on all cores, of one module (more is better)";
    let rows = [
        alone(what, DYNLOAD, Unit::PerSecond, &ours, None),
        alone(what, WASMI, Unit::PerSecond, &theirs, None),
    ];
    Ok(rows.into_iter().flatten().collect())
}

/// Returns how often per second `work` is done by one thread for each core.
fn rate(time: Duration, work: impl Fn() + Sync) -> f64 {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    let count: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while start.elapsed() < time {
                        (0..100).for_each(|_| work());
                        count += 100;
                    }
                    count
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .sum()
    });
    count as f64 / start.elapsed().as_secs_f64()
}

fn growth(effort: Effort) -> Outcome<Curve> {
    let mut points = Vec::new();
    for kib in [1, 16, 64, 256, 1024, 4096] {
        let wasm = modules::assemble(&modules::with_data(kib * 1024));
        let module = Module::new(&Engine::default(), &wasm)?;
        let sandbox = dynload::sandbox();
        let engine = bare::engine(wasmi::CompilationMode::Eager, false);
        let bare_module = wasmi::Module::new(&engine, &wasm)?;
        let rows = Race::new("")
            .side(DYNLOAD, 20, || {
                (0..20).for_each(|_| drop(black_box(sandbox.instantiate(&module).expect("no imports"))));
            })
            .side(WASMI, 20, || {
                for _ in 0..20 {
                    let mut store = wasmi::Store::new(&engine, ());
                    black_box(wasmi::Instance::new(&mut store, &bare_module, &[]).expect("no imports"));
                }
            })
            .run(effort.of(9, 3), WASMI);
        points.push(Point {
            at: kib as f64,
            values: rows.iter().map(|row| row.samples.median).collect(),
        });
    }
    Ok(Curve {
        title: "New instance against its data".into(),
        input: "KiB of data segments".into(),
        unit: Unit::Seconds,
        sides: vec![DYNLOAD.into(), WASMI.into()],
        points,
    })
}
