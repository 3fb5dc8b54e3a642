//! The time until a guest in an endless loop is stopped.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use dynload_bench_modules as modules;
use dynload_bench_report::{Samples, Unit};
use dynload_sandbox::{Engine, InterruptHandle, Limits, Module, Sandbox};
use extism::{Plugin, PluginBuilder};

use super::Found;
use crate::engines::DYNLOAD;
use crate::race::alone;
use crate::{Effort, Outcome};

const LIMIT: Duration = Duration::from_millis(5);
/// The budget in seconds, which 99 of 100 calls meet on an idle core.
const BUDGET: f64 = 2e-3;

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let wasm = modules::assemble(modules::SPIN);
    let module = Module::new(&Engine::default(), &wasm)?;
    let count = effort.of(200, 20);
    let mut found = Found::default();
    let what = "overshoot of a 5 ms deadline";
    let values = overshoots(&module, count)?;
    found
        .rows
        .extend(alone(what, DYNLOAD, Unit::Seconds, &values, None));
    if let Some(samples) = Samples::of(&values) {
        let what = format!("{what}, 99 of 100");
        let p99 = [samples.p99];
        found
            .rows
            .extend(alone(&what, DYNLOAD, Unit::Seconds, &p99, Some(BUDGET)));
    }
    found.rows.extend(alone(
        what,
        "Extism",
        Unit::Seconds,
        &extism(&wasm, count / 4)?,
        None,
    ));
    let what = "from `interrupt` to the call's end";
    found.rows.extend(alone(
        what,
        DYNLOAD,
        Unit::Seconds,
        &interrupts(&module, count)?,
        None,
    ));
    Ok(found)
}

fn overshoots(module: &Module, count: usize) -> Outcome<Vec<f64>> {
    let limits = Limits::DEFAULT.with_time(Duration::from_millis(LIMIT.as_millis() as u64));
    let mut instance = Sandbox::new(limits).instantiate(module)?;
    let mut values = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let stopped = instance.call("run", &[]).is_err();
        let time = start.elapsed();
        assert!(stopped, "the endless loop returned without an error");
        values.push(time.saturating_sub(LIMIT).as_secs_f64());
        instance.reset()?;
    }
    Ok(values)
}

fn extism(wasm: &[u8], count: usize) -> Outcome<Vec<f64>> {
    let manifest = extism::Manifest::new([extism::Wasm::data(wasm)]).with_timeout(LIMIT);
    let compiled = extism::CompiledPlugin::new(PluginBuilder::new(manifest).with_cache_disabled())?;
    let mut values = Vec::new();
    for _ in 0..count {
        let mut plugin = Plugin::new_from_compiled(&compiled)?;
        let start = Instant::now();
        let stopped = plugin.call::<&[u8], Vec<u8>>("run", &[]).is_err();
        let time = start.elapsed();
        assert!(stopped, "the endless loop returned without an error");
        values.push(time.saturating_sub(LIMIT).as_secs_f64());
    }
    Ok(values)
}

fn interrupts(module: &Module, count: usize) -> Outcome<Vec<f64>> {
    let mut instance = Sandbox::new(Limits::PERMISSIVE).instantiate(module)?;
    let (calls, called) = mpsc::channel::<InterruptHandle>();
    let (times, interrupted) = mpsc::channel::<Instant>();
    let other = std::thread::spawn(move || {
        for interrupt in called {
            // By then the call is running; how long it has been running does not matter.
            std::thread::sleep(Duration::from_millis(2));
            let now = Instant::now();
            interrupt.interrupt();
            if times.send(now).is_err() {
                return;
            }
        }
    });
    let mut values = Vec::new();
    for _ in 0..count {
        calls.send(instance.interrupt_handle_for_next_call())?;
        let stopped = instance.call("run", &[]).is_err();
        let end = Instant::now();
        assert!(stopped, "the endless loop returned without an error");
        values.push(end.duration_since(interrupted.recv()?).as_secs_f64());
        instance.reset()?;
    }
    drop(calls);
    other.join().map_err(|_| "the interrupting thread panicked")?;
    Ok(values)
}
