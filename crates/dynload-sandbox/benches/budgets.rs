//! The cost of the sandbox relative to bare wasmi, as ratios measured in one run.
//!
//! `cargo bench -p dynload-sandbox`. Both sides alternate, and the fastest run of each counts: on a machine that does
//! other work too, the slow runs measure that work. Arguments: names of the guests to run instead of all.

use dynload_oracle::guests::{self, Guest};
use dynload_sandbox::{Engine, Limits, Module, Sandbox, Value};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Returns the fastest of several runs of each side, run alternately.
fn pair(rounds: u32, mut ours: impl FnMut(), mut bare: impl FnMut()) -> (Duration, Duration) {
    let time = |thing: &mut dyn FnMut()| {
        let start = Instant::now();
        thing();
        start.elapsed()
    };
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        best.0 = best.0.min(time(&mut ours));
        best.1 = best.1.min(time(&mut bare));
    }
    best
}

fn report(what: &str, (ours, bare): (Duration, Duration), per: u32, budget: f64) -> f64 {
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    let mark = if ratio <= budget { "" } else { "  OVER" };
    println!(
        "{what:34} {:>12.1?} {:>12.1?} {ratio:>7.3} {budget:>7.2}{mark}",
        ours / per,
        bare / per
    );
    ratio
}

/// Bare wasmi: eager, unmetered, otherwise its defaults.
struct Bare {
    engine: wasmi::Engine,
}

impl Bare {
    fn new() -> Bare {
        let mut config = wasmi::Config::default();
        config
            .compilation_mode(wasmi::CompilationMode::Eager)
            .set_max_recursion_depth(1 << 20)
            .set_max_stack_height(1 << 28);
        Bare {
            engine: wasmi::Engine::new(&config),
        }
    }

    fn module(&self, wasm: &[u8]) -> wasmi::Module {
        wasmi::Module::new(&self.engine, wasm).expect("a valid module")
    }

    fn instance(&self, module: &wasmi::Module) -> (wasmi::Store<()>, wasmi::Instance) {
        let mut store = wasmi::Store::new(&self.engine, ());
        let instance = wasmi::Instance::new(&mut store, module, &[]).expect("no imports");
        (store, instance)
    }
}

fn guest(guest: &Guest, engine: &Engine, bare: &Bare) -> f64 {
    let wasm = guests::wasm(guest.name).expect("checked in");
    let module = Module::new(engine, &wasm).expect("a valid module");
    let limits = Limits::PERMISSIVE
        .with_call_depth(1 << 20)
        .with_stack_bytes(1 << 28)
        .with_time(Duration::from_millis(600_000))
        .with_fuel(u64::MAX / 2)
        .with_memory_bytes(1 << 30);
    let mut ours = Sandbox::new(limits).instantiate(&module).expect("no imports");
    let (mut store, instance) = bare.instance(&bare.module(&wasm));
    let func = instance.get_func(&store, "run").expect("exported");
    let mut result = [func
        .ty(&store)
        .results()
        .iter()
        .map(|ty| wasmi::Val::default_for_ty(*ty))
        .next()
        .expect("one")];
    let arg = guest.large;
    let times = pair(
        5,
        || drop(black_box(ours.call("run", &[Value::I32(arg)]).expect("it runs"))),
        || {
            func.call(&mut store, &[wasmi::Val::I32(arg)], &mut result)
                .expect("it runs")
        },
    );
    let recursion = matches!(guest.name, "fib" | "ackermann");
    report(guest.name, times, 1, if recursion { 1.5 } else { 1.3 })
}

fn calls(engine: &Engine, bare: &Bare) {
    const CALLS: u32 = 200_000;
    let wasm = wat::parse_str(
        "(module (memory 1) (func (export \"add\") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))",
    )
    .expect("valid text");
    let module = Module::new(engine, &wasm).expect("a valid module");
    let mut ours = Sandbox::new(Limits::DEFAULT)
        .instantiate(&module)
        .expect("no imports");
    let (mut store, instance) = bare.instance(&bare.module(&wasm));
    let add = ours.get_typed_func::<(i64, i64), i64>("add").expect("its type");
    let bare_add = instance
        .get_typed_func::<(i64, i64), i64>(&store, "add")
        .expect("its type");
    let typed_bare = |store: &mut wasmi::Store<()>| {
        for i in 0..i64::from(CALLS) {
            black_box(bare_add.call(&mut *store, (i, 1)).expect("it runs"));
        }
    };
    let times = pair(
        7,
        || {
            for i in 0..i64::from(CALLS) {
                black_box(add.call(&mut ours, (i, 1)).expect("it runs"));
            }
        },
        || typed_bare(&mut store),
    );
    report("typed call of add", times, CALLS, 1.4);
    let times = pair(
        7,
        || {
            for i in 0..i64::from(CALLS) {
                black_box(ours.call_i64("add", &[i, 1]).expect("it runs"));
            }
        },
        || typed_bare(&mut store),
    );
    report("call by name with i64", times, CALLS, 2.5);

    const INSTANCES: u32 = 20_000;
    let sandbox = Sandbox::new(Limits::DEFAULT);
    let bare_module = bare.module(&wasm);
    let times = pair(
        7,
        || {
            for _ in 0..INSTANCES {
                drop(black_box(sandbox.instantiate(&module).expect("no imports")));
            }
        },
        || {
            for _ in 0..INSTANCES {
                drop(black_box(bare.instance(&bare_module)));
            }
        },
    );
    report("new instance", times, INSTANCES, 1.3);
}

/// Calls with bytes that return them, against the two copies of the bytes that they need at least, and against bare calls.
fn bytes(engine: &Engine, bare: &Bare) {
    const CALLS: u32 = 2_000;
    let echo = r#"(module
        (import "vais" "read_args" (func $read_args (param i32)))
        (import "vais" "set_result" (func $set_result (param i32 i32)))
        (memory (export "memory") 32)
        (func (export "echo") (param $len i32) (result i32)
            (call $read_args (i32.const 0))
            (call $set_result (i32.const 0) (local.get $len))
            (i32.const 0)))"#;
    let module = Module::new(engine, wat::parse_str(echo).expect("valid text")).expect("a valid module");
    let mut ours = Sandbox::new(Limits::DEFAULT)
        .instantiate(&module)
        .expect("its imports exist");
    let input = vec![7; 1 << 20];
    let (mut first, mut second) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let times = pair(
        200,
        || drop(black_box(ours.call_bytes("echo", &[&input]).expect("it runs"))),
        || {
            first.copy_from_slice(black_box(&input));
            second.copy_from_slice(black_box(&first));
        },
    );
    report("1 MiB in and out, against 2 copies", times, 1, 2.0);

    let same = "(module (func (export \"same\") (param i32) (result i32) (local.get 0)))";
    let wasm = wat::parse_str(same).expect("valid text");
    let (mut store, instance) = bare.instance(&bare.module(&wasm));
    let same = instance
        .get_typed_func::<i32, i32>(&store, "same")
        .expect("its type");
    for (name, len) in [("12 bytes in and out", 12), ("4 KiB in and out", 4096)] {
        let times = pair(
            7,
            || {
                for _ in 0..CALLS {
                    drop(black_box(
                        ours.call_bytes("echo", &[&input[..len]]).expect("it runs"),
                    ));
                }
            },
            || {
                for _ in 0..CALLS {
                    black_box(same.call(&mut store, 1).expect("it runs"));
                }
            },
        );
        report(name, times, CALLS, 25.0);
    }
}

fn load(engine: &Engine, bare: &Bare) {
    for name in ["json", "hashmap"] {
        let wasm = guests::wasm(name).expect("checked in");
        let times = pair(
            30,
            || drop(black_box(Module::new(engine, &wasm).expect("a valid module"))),
            || drop(black_box(bare.module(&wasm))),
        );
        report(&format!("load {name} ({} bytes)", wasm.len()), times, 1, 1.6);
    }
}

fn main() {
    let names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let (engine, bare) = (Engine::default(), Bare::new());
    println!(
        "{:34} {:>12} {:>12} {:>7} {:>7}",
        "", "sandbox", "bare wasmi", "ratio", "budget"
    );
    if names.is_empty() {
        calls(&engine, &bare);
        bytes(&engine, &bare);
        load(&engine, &bare);
    }
    let wanted = |guest: &&Guest| names.is_empty() || names.iter().any(|name| name == guest.name);
    let ratios: Vec<f64> = guests::ALL
        .iter()
        .filter(wanted)
        .map(|entry| guest(entry, &engine, &bare))
        .collect();
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    println!(
        "geometric mean of {} programs: {mean:.3} (budget 1.15)",
        ratios.len()
    );
}
