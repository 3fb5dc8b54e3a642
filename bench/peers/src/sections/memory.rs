//! The memory of idle instances, with each side in a separate process.

use std::hint::black_box;
use std::process::Command;

use dynload_bench_modules as modules;
use dynload_bench_report::Unit;
use dynload_sandbox::{Engine, Module};

use super::Found;
use super::calls::extism_manifest;
use crate::engines::wasmtime::Backend;
use crate::engines::{DYNLOAD, WASMI, dynload, wasm3, wasmi as bare, wasmtime as compiled};
use crate::race::alone;
use crate::{Effort, Outcome};

const INSTANCES: usize = 1_000;
/// The maximum bytes of an instance beyond its linear memory.
const BUDGET: f64 = 32.0 * 1024.0;

const MODULE: &str = r#"(module (func (export "run") (result i32) i32.const 0))"#;

/// The sides: the argument of the child process, and the displayed name.
const SIDES: [(&str, &str); 5] = [
    ("dynload", DYNLOAD),
    ("wasmi", WASMI),
    ("wasm3", "wasm3"),
    ("wasmtime", "Wasmtime Cranelift, on demand"),
    ("extism", "Extism"),
];

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let mut found = Found::default();
    for (side, name) in SIDES {
        let mut values = Vec::new();
        for _ in 0..effort.of(3, 1) {
            values.push(ask(side)?);
        }
        let budget = (side == "dynload").then_some(BUDGET);
        found.rows.extend(alone(
            "memory of an idle instance",
            name,
            Unit::Bytes,
            &values,
            budget,
        ));
    }
    Ok(found)
}

/// Returns the bytes of an instance of a side, measured in another process.
pub(super) fn ask(side: &str) -> Outcome<f64> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--child", side])
        .output()?;
    if !output.status.success() {
        return Err(format!("`--child {side}`: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The work of the child process: prints the bytes of one instance.
pub(crate) fn child(arguments: &[String]) -> Outcome<()> {
    let wasm = modules::assemble(MODULE);
    let bytes = match arguments.first().map(String::as_str) {
        Some("dynload") => {
            let module = Module::new(&Engine::default(), &wasm)?;
            let sandbox = dynload::sandbox();
            grown(|| Ok(sandbox.instantiate(&module)?))?
        }
        Some("wasmi") => {
            let engine = bare::engine(wasmi::CompilationMode::Eager, false);
            let module = wasmi::Module::new(&engine, &wasm)?;
            grown(|| {
                let mut store = wasmi::Store::new(&engine, ());
                wasmi::Instance::new(&mut store, &module, &[])?;
                Ok(store)
            })?
        }
        Some("wasm3") => grown(|| wasm3::instance(&wasm))?,
        Some("wasmtime") => {
            let engine = compiled::engine(Backend::Cranelift)?;
            let module = wasmtime::Module::new(&engine, &wasm)?;
            grown(|| {
                let mut store = wasmtime::Store::new(&engine, ());
                wasmtime::Instance::new(&mut store, &module, &[])?;
                Ok(store)
            })?
        }
        Some("extism") => {
            let builder = extism::PluginBuilder::new(extism_manifest(&wasm)).with_cache_disabled();
            let plugin = extism::CompiledPlugin::new(builder)?;
            grown(|| {
                let mut plugin = extism::Plugin::new_from_compiled(&plugin)?;
                // The first call instantiates the plugin.
                plugin.call::<&[u8], Vec<u8>>("run", &[])?;
                Ok(plugin)
            })?
        }
        Some(side @ ("echo" | "unchanged")) => {
            let text = if side == "echo" {
                modules::ECHO
            } else {
                modules::ECHO_EXTISM
            };
            let module = Module::new(&Engine::default(), modules::assemble(text))?;
            let sandbox = dynload::sandbox();
            grown(|| {
                let mut instance = sandbox.instantiate(&module)?;
                instance.call_bytes("echo", &[b"twelve bytes"])?;
                Ok(instance)
            })?
        }
        Some("extism-echo") => {
            let wasm = modules::assemble(modules::ECHO_EXTISM);
            let builder = extism::PluginBuilder::new(extism_manifest(&wasm)).with_cache_disabled();
            let plugin = extism::CompiledPlugin::new(builder)?;
            grown(|| {
                let mut plugin = extism::Plugin::new_from_compiled(&plugin)?;
                plugin.call::<&[u8], Vec<u8>>("echo", b"twelve bytes")?;
                Ok(plugin)
            })?
        }
        other => return Err(format!("unknown side {other:?}").into()),
    };
    println!("{bytes}");
    Ok(())
}

/// Returns the growth of the resident set for each instance.
fn grown<T>(mut make: impl FnMut() -> Outcome<T>) -> Outcome<f64> {
    // The first instances also create the state that all of them share.
    let mut instances = Vec::with_capacity(INSTANCES + 10);
    for _ in 0..10 {
        instances.push(make()?);
    }
    let before = resident()?;
    for _ in 0..INSTANCES {
        instances.push(make()?);
    }
    let after = resident()?;
    black_box(instances);
    Ok(after.saturating_sub(before) as f64 / INSTANCES as f64)
}

/// Returns the bytes of the resident set (proc(5), `VmRSS` in kB).
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .ok_or("/proc/self/status has no VmRSS")?
        .trim()
        .parse()?;
    Ok(kib * 1024)
}
