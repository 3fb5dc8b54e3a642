//! Calls with bytes, beside Extism.

use std::hint::black_box;

use dynload_bench_modules as modules;
use dynload_bench_report::{Row, Unit};
use dynload_sandbox::{Engine, Module};
use extism::{CompiledPlugin, Plugin, PluginBuilder};

use super::calls::{extism_manifest, extism_plugin};
use super::{Found, memory};
use crate::engines::{DYNLOAD, dynload};
use crate::race::{Race, alone};
use crate::{Effort, Outcome};

/// The plugin for Extism, run by dynload.
const UNCHANGED: &str = "dynload, the plugin for Extism";
const EXTISM: &str = "Extism";

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let mut found = Found::default();
    for (what, len, per) in [
        ("echo of 12 bytes", 12, 2_000),
        ("echo of 4 KiB", 4 << 10, 200),
        ("echo of 1 MiB", 1 << 20, 1),
    ] {
        found.rows.extend(calls(effort, what, len, per)?);
    }
    found.rows.extend(starts(effort, true)?);
    found.rows.extend(starts(effort, false)?);
    for (side, name) in [
        ("echo", DYNLOAD),
        ("unchanged", UNCHANGED),
        ("extism-echo", EXTISM),
    ] {
        let mut values = Vec::new();
        for _ in 0..effort.of(3, 1) {
            values.push(memory::ask(side)?);
        }
        let what = "memory of a plugin after an echo of 12 bytes";
        found.rows.extend(alone(what, name, Unit::Bytes, &values, None));
    }
    Ok(found)
}

fn calls(effort: Effort, what: &str, len: usize, per: u32) -> Outcome<Vec<Row>> {
    let (own, theirs) = (
        modules::assemble(modules::ECHO),
        modules::assemble(modules::ECHO_EXTISM),
    );
    let mut ours = dynload::instance(&own)?;
    let mut unchanged = dynload::instance(&theirs)?;
    let mut plugin = extism_plugin(&theirs)?;
    let input: Vec<u8> = (0..len).map(|n| n as u8).collect();
    let echoed = |output: Vec<u8>| assert!(black_box(output) == input);
    let race = Race::new(what)
        .side(DYNLOAD, per, || {
            for _ in 0..per {
                echoed(ours.call_bytes("echo", &[&input]).expect("it runs"));
            }
        })
        .side(UNCHANGED, per, || {
            for _ in 0..per {
                echoed(unchanged.call_bytes("echo", &[&input]).expect("it runs"));
            }
        })
        .side(EXTISM, per, || {
            for _ in 0..per {
                echoed(plugin.call::<&[u8], Vec<u8>>("echo", &input).expect("it runs"));
            }
        });
    Ok(race.run(effort.of(15, 5), EXTISM))
}

/// Creates a plugin, and calls it once with 12 bytes; with or without loading its module before.
fn starts(effort: Effort, with_load: bool) -> Outcome<Vec<Row>> {
    const TIMES: u32 = 5;
    const INPUT: &[u8] = b"twelve bytes";
    let (own, theirs) = (
        modules::assemble(modules::ECHO),
        modules::assemble(modules::ECHO_EXTISM),
    );
    let engine = Engine::default();
    let sandbox = dynload::sandbox();
    let load = |wasm: &[u8]| Module::new(&engine, wasm).expect("a valid module");
    let compile = || {
        let builder = PluginBuilder::new(extism_manifest(&theirs)).with_cache_disabled();
        CompiledPlugin::new(builder).expect("a valid module")
    };
    let (loaded, unchanged, compiled) = (load(&own), load(&theirs), compile());
    let call = |module: &Module| {
        let mut instance = sandbox.instantiate(module).expect("its imports are provided");
        black_box(instance.call_bytes("echo", &[INPUT]).expect("it runs"));
    };
    let call_extism = |plugin: &CompiledPlugin| {
        let mut plugin = Plugin::new_from_compiled(plugin).expect("its imports are provided");
        black_box(plugin.call::<&[u8], Vec<u8>>("echo", INPUT).expect("it runs"));
    };
    let what = if with_load {
        "load and first call"
    } else {
        "new instance and first call with bytes"
    };
    let race = Race::new(what)
        .side(DYNLOAD, TIMES, || {
            for _ in 0..TIMES {
                if with_load {
                    call(&load(&own))
                } else {
                    call(&loaded)
                }
            }
        })
        .side(UNCHANGED, TIMES, || {
            for _ in 0..TIMES {
                if with_load {
                    call(&load(&theirs))
                } else {
                    call(&unchanged)
                }
            }
        })
        .side(EXTISM, TIMES, || {
            for _ in 0..TIMES {
                if with_load {
                    call_extism(&compile())
                } else {
                    call_extism(&compiled)
                }
            }
        });
    Ok(race.run(effort.of(11, 5), EXTISM))
}
