//! Calls from the host.

use std::hint::black_box;

use dynload_bench_modules as modules;
use dynload_bench_report::{Curve, Point, Row, Unit};
use dynload_ffi::abi::WasmInstance;
use dynload_ffi::flat::{
    get_load_error_code, sandbox_destroy, sandbox_load, sandbox_new, sandbox_set_fuel, wasm_call2,
};
use dynload_sandbox::Value;
use extism::{Plugin, PluginBuilder};

use super::Found;
use crate::engines::wasmtime::Backend;
use crate::engines::{DYNLOAD, WASMI, dynload, wasm3, wasmi as bare, wasmtime as compiled};
use crate::race::Race;
use crate::{Effort, Outcome};

const CALLS: u32 = 50_000;
const EXTISM_CALLS: u32 = 2_000;

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let mut found = Found::default();
    found.rows.extend(typed(effort)?);
    found.rows.extend(by_name(effort)?);
    found.curves.push(arguments(effort)?);
    Ok(found)
}

fn arguments_of(calls: u32) -> impl Iterator<Item = (i64, i64)> {
    (0..i64::from(calls)).map(|n| (n, 1))
}

fn typed(effort: Effort) -> Outcome<Vec<Row>> {
    type Add = (i64, i64);
    let wasm = modules::assemble(modules::ADD);
    let mut ours = dynload::instance(&wasm)?;
    let our_add = ours.get_typed_func::<Add, i64>("add")?;
    let engine = bare::engine(wasmi::CompilationMode::Eager, false);
    let (mut store, instance) = bare::instance(&engine, &wasm, false)?;
    let add = instance.get_typed_func::<Add, i64>(&store, "add")?;
    let metered = bare::engine(wasmi::CompilationMode::Eager, true);
    let (mut metered_store, instance) = bare::instance(&metered, &wasm, true)?;
    let metered_add = instance.get_typed_func::<Add, i64>(&metered_store, "add")?;
    let (mut store3, instance) = wasm3::instance(&wasm)?;
    let add3 = instance.get_typed_func::<Add, i64>(&store3, "add")?;
    let cranelift = compiled::engine(Backend::Cranelift)?;
    let (mut cranelift_store, instance) = compiled::instance(&cranelift, &wasm)?;
    let cranelift_add = instance.get_typed_func::<Add, i64>(&mut cranelift_store, "add")?;
    let pulley = compiled::engine(Backend::Pulley)?;
    let (mut pulley_store, instance) = compiled::instance(&pulley, &wasm)?;
    let pulley_add = instance.get_typed_func::<Add, i64>(&mut pulley_store, "add")?;
    let mut plugin = extism_plugin(&wasm_of_empty())?;
    let race = Race::new("typed call")
        .side(DYNLOAD, CALLS, || {
            for add in arguments_of(CALLS) {
                black_box(our_add.call(&mut ours, add).expect("it runs"));
            }
        })
        .budget(1.4)
        .side(WASMI, CALLS, || {
            for arguments in arguments_of(CALLS) {
                black_box(add.call(&mut store, arguments).expect("it runs"));
            }
        })
        .side("wasmi, its fuel", CALLS, || {
            for arguments in arguments_of(CALLS) {
                black_box(metered_add.call(&mut metered_store, arguments).expect("it runs"));
            }
        })
        .side("wasm3", CALLS, || {
            for arguments in arguments_of(CALLS) {
                black_box(add3.call(&mut store3, arguments).expect("it runs"));
            }
        })
        .side("Wasmtime Cranelift, fuel", CALLS, || {
            for arguments in arguments_of(CALLS) {
                black_box(
                    cranelift_add
                        .call(&mut cranelift_store, arguments)
                        .expect("it runs"),
                );
            }
        })
        .side("Wasmtime Pulley, fuel", CALLS, || {
            for arguments in arguments_of(CALLS) {
                black_box(pulley_add.call(&mut pulley_store, arguments).expect("it runs"));
            }
        })
        .side("Extism", EXTISM_CALLS, || {
            for _ in 0..EXTISM_CALLS {
                black_box(plugin.call::<&[u8], Vec<u8>>("run", &[]).expect("it runs"));
            }
        });
    Ok(race.run(effort.of(15, 5), WASMI))
}

fn wasm_of_empty() -> Vec<u8> {
    modules::assemble(modules::EMPTY)
}

/// Returns an Extism plugin with a deadline and fuel.
pub(super) fn extism_plugin(wasm: &[u8]) -> Outcome<Plugin> {
    Ok(PluginBuilder::new(extism_manifest(wasm))
        .with_cache_disabled()
        .with_fuel_limit(u64::MAX / 2)
        .build()?)
}

pub(super) fn extism_manifest(wasm: &[u8]) -> extism::Manifest {
    extism::Manifest::new([extism::Wasm::data(wasm)]).with_timeout(std::time::Duration::from_secs(30))
}

fn by_name(effort: Effort) -> Outcome<Vec<Row>> {
    let wasm = modules::assemble(modules::ADD);
    let mut ours = dynload::instance(&wasm)?;
    let engine = bare::engine(wasmi::CompilationMode::Eager, false);
    let (mut store, instance) = bare::instance(&engine, &wasm, false)?;
    let add = instance.get_typed_func::<(i64, i64), i64>(&store, "add")?;
    let cranelift = compiled::engine(Backend::Cranelift)?;
    let (mut cranelift_store, cranelift_instance) = compiled::instance(&cranelift, &wasm)?;
    let flat = Flat::new(&wasm)?;
    let race = Race::new("call by name, against a typed one")
        .side("dynload-ffi, `wasm_call2`", CALLS, || {
            for (a, b) in arguments_of(CALLS) {
                black_box(flat.call(a, b));
            }
        })
        .budget(2.0)
        .side(DYNLOAD, CALLS, || {
            for (a, b) in arguments_of(CALLS) {
                black_box(ours.call_i64("add", &[a, b]).expect("it runs"));
            }
        })
        .side(WASMI, CALLS, || {
            for arguments in arguments_of(CALLS) {
                black_box(add.call(&mut store, arguments).expect("it runs"));
            }
        })
        .side("Wasmtime Cranelift, fuel", CALLS, || {
            for (a, b) in arguments_of(CALLS) {
                let add = cranelift_instance
                    .get_func(&mut cranelift_store, "add")
                    .expect("exported");
                let mut result = [wasmtime::Val::I64(0)];
                let arguments = [wasmtime::Val::I64(a), wasmtime::Val::I64(b)];
                add.call(&mut cranelift_store, &arguments, &mut result)
                    .expect("it runs");
                black_box(result);
            }
        });
    Ok(race.run(effort.of(15, 5), WASMI))
}

/// A plugin that is called through the C API.
struct Flat {
    sandbox: dynload_ffi::abi::WasmSandbox,
    instance: WasmInstance,
}

impl Flat {
    fn new(wasm: &[u8]) -> Outcome<Flat> {
        let sandbox = sandbox_new();
        sandbox_set_fuel(sandbox, i64::MAX / 2);
        // SAFETY: the bytes outlive the call, and their number is correct.
        let instance = unsafe { sandbox_load(sandbox, wasm.as_ptr() as i64, wasm.len() as i64) };
        match get_load_error_code() {
            0 => Ok(Flat { sandbox, instance }),
            code => Err(format!("`sandbox_load` failed with code {code}").into()),
        }
    }

    fn call(&self, a: i64, b: i64) -> i64 {
        // SAFETY: the name is a static NUL-terminated string.
        unsafe { wasm_call2(self.instance, c"add".as_ptr() as i64, a, b) }
    }
}

impl Drop for Flat {
    fn drop(&mut self) {
        sandbox_destroy(self.sandbox);
    }
}

fn arguments(effort: Effort) -> Outcome<Curve> {
    let mut points = Vec::new();
    for count in [1, 2, 4, 8, 16, 32] {
        let wasm = modules::assemble(&modules::with_params(count));
        let mut ours = dynload::instance(&wasm)?;
        let engine = bare::engine(wasmi::CompilationMode::Eager, false);
        let (mut store, instance) = bare::instance(&engine, &wasm, false)?;
        let values = vec![Value::I64(1); count];
        let bare_values = vec![wasmi::Val::I64(1); count];
        let rows = Race::new("")
            .side(DYNLOAD, 10_000, || {
                for _ in 0..10_000 {
                    black_box(ours.call("sum", &values).expect("it runs"));
                }
            })
            .side(WASMI, 10_000, || {
                for _ in 0..10_000 {
                    let sum = instance.get_func(&store, "sum").expect("exported");
                    let mut result = [wasmi::Val::I64(0)];
                    sum.call(&mut store, &bare_values, &mut result).expect("it runs");
                    black_box(&result);
                }
            })
            .run(effort.of(9, 3), WASMI);
        points.push(Point {
            at: count as f64,
            values: rows.iter().map(|row| row.samples.median).collect(),
        });
    }
    Ok(Curve {
        title: "Call by name against its arguments".into(),
        input: "arguments".into(),
        unit: Unit::Seconds,
        sides: vec![DYNLOAD.into(), WASMI.into()],
        points,
    })
}
