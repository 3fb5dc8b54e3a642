//! The paths that are counted: each in the sandbox with every limit on, and in bare wasmi.

use std::hint::black_box;
use std::time::Duration;

use dynload_bench_modules as modules;
use dynload_sandbox::{Capabilities, Engine, EngineConfig, Limits, Module, Sandbox, Validation, Value};

/// The side whose instructions are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The sandbox, with every limit on.
    Ours,
    /// wasmi: eager, unmetered.
    Bare,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Ours => "ours",
            Side::Bare => "bare",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Side> {
        [Side::Ours, Side::Bare]
            .into_iter()
            .find(|side| side.name() == name)
    }
}

/// Work that is repeated and counted.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The number of repetitions; high enough to hide the differences between two runs of a process.
    pub(crate) times: u32,
    work: Work,
}

enum Work {
    TypedCall,
    CallByName,
    /// The same, with lists of values.
    CallValues,
    HostCall,
    WasiCall,
    Instantiate,
    /// Loads this module.
    Load(fn() -> Vec<u8>, Validation),
    /// Loads this module after it was prepared; bare wasmi loads the original.
    LoadPrepared(fn() -> Vec<u8>),
    /// Calls `run` of this guest, with this argument.
    Run(&'static str, i32),
}

const fn path(name: &'static str, about: &'static str, times: u32, work: Work) -> Path {
    Path {
        name,
        about,
        times,
        work,
    }
}

/// All paths.
pub(crate) static PATHS: &[Path] = &[
    path(
        "typed-call",
        "a call of `add` through a typed handle",
        5_000,
        Work::TypedCall,
    ),
    path(
        "call-by-name",
        "a call of `add` by name; bare wasmi makes a typed call",
        5_000,
        Work::CallByName,
    ),
    path(
        "call-values",
        "a call of `add` by name with a list of values; bare wasmi makes a typed call",
        5_000,
        Work::CallValues,
    ),
    path(
        "wasi-call",
        "10 000 calls of `args_sizes_get`, in a loop; bare wasmi calls a function that does the same",
        1,
        Work::WasiCall,
    ),
    path(
        "host-call",
        "10 000 calls of a host function that adds, in a loop",
        1,
        Work::HostCall,
    ),
    path(
        "instantiate",
        "creating and dropping an instance of a loaded module",
        1_000,
        Work::Instantiate,
    ),
    path(
        "load-10k",
        "loading `hashmap`, 11 KB",
        2,
        Work::Load(small, Validation::AtLoad),
    ),
    path(
        "load-200k",
        "loading 200 KB: many copies of the code of `json`",
        1,
        Work::Load(large, Validation::AtLoad),
    ),
    path(
        "first-use-10k",
        "loading `hashmap`, validated on first use",
        2,
        Work::Load(small, Validation::OnFirstUse),
    ),
    path(
        "first-use-200k",
        "loading the 200 KB, validated on first use",
        1,
        Work::Load(large, Validation::OnFirstUse),
    ),
    path(
        "prepared-10k",
        "loading `hashmap`, prepared",
        2,
        Work::LoadPrepared(small),
    ),
    path(
        "prepared-200k",
        "loading the 200 KB, prepared",
        1,
        Work::LoadPrepared(large),
    ),
    path("run-fib", "calls", 1, Work::Run("fib", 20)),
    path("run-json", "branches and short calls", 1, Work::Run("json", 60)),
    path("run-sort", "loops and memory", 1, Work::Run("sort", 1)),
    path(
        "run-exits",
        "branches out of blocks, the worst case of metering",
        1,
        Work::Run("exits", 20_000),
    ),
];

/// Calls a host function `$n` times.
const HOST_CALLS: &str = r#"(module (import "env" "add" (func $add (param i64 i64) (result i64)))
    (func (export "run") (param $n i64) (result i64) (local $sum i64)
        (loop $again
            (local.set $sum (call $add (local.get $sum) (local.get $n)))
            (br_if $again (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
        (local.get $sum)))"#;

/// Calls a function of WASI `$n` times.
const WASI_CALLS: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "run") (param $n i64) (result i64) (local $sum i64)
        (loop $again
            (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (call $sizes (i32.const 8) (i32.const 16)))))
            (br_if $again (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
        (local.get $sum)))"#;

/// Returns the path of this name.
pub(crate) fn find(name: &str) -> Option<&'static Path> {
    PATHS.iter().find(|path| path.name == name)
}

fn small() -> Vec<u8> {
    modules::guest("hashmap").expect("checked in")
}

fn large() -> Vec<u8> {
    let json = modules::guest("json").expect("checked in");
    modules::repeated(&json, 40).expect("a module without imports")
}

impl Path {
    /// Repeats the work `times` times on one side.
    pub(crate) fn run(&self, side: Side, times: u32) {
        match side {
            Side::Ours => self.work.ours(times),
            Side::Bare => self.work.bare(times),
        }
    }
}

impl Work {
    fn ours(&self, times: u32) {
        let engine = Engine::default();
        let load = |wasm: &[u8]| Module::new(&engine, wasm).expect("a valid module");
        let mut sandbox = Sandbox::new(
            Limits::DEFAULT
                .with_fuel(u64::MAX / 2)
                .with_time(Duration::from_millis(3_600_000)),
        );
        sandbox.func_wrap("env", "add", Capabilities::NONE, |_, (a, b): (i64, i64)| {
            Ok(a.wrapping_add(b))
        });
        let instance = |wasm: &[u8]| sandbox.instantiate(&load(wasm)).expect("no imports");
        match *self {
            Work::TypedCall => {
                let mut instance = instance(&modules::assemble(modules::ADD));
                let add = instance
                    .get_typed_func::<(i64, i64), i64>("add")
                    .expect("its type");
                for n in 0..i64::from(times) {
                    black_box(add.call(&mut instance, (n, 1)).expect("it runs"));
                }
            }
            Work::CallByName => {
                let mut instance = instance(&modules::assemble(modules::ADD));
                for n in 0..i64::from(times) {
                    black_box(instance.call_i64("add", &[n, 1]).expect("it runs"));
                }
            }
            Work::CallValues => {
                let mut instance = instance(&modules::assemble(modules::ADD));
                for n in 0..i64::from(times) {
                    let args = [Value::I64(n), Value::I64(1)];
                    black_box(instance.call("add", &args).expect("it runs"));
                }
            }
            Work::HostCall | Work::WasiCall => {
                let calls = if matches!(self, Work::WasiCall) {
                    WASI_CALLS
                } else {
                    HOST_CALLS
                };
                let mut instance = instance(&modules::assemble(calls));
                for _ in 0..times {
                    black_box(instance.call("run", &[Value::I64(10_000)]).expect("it runs"));
                }
            }
            Work::Instantiate => {
                let module = load(&modules::assemble(modules::ADD));
                for _ in 0..times {
                    drop(black_box(sandbox.instantiate(&module).expect("no imports")));
                }
            }
            Work::Load(wasm, validation) => {
                let wasm = wasm();
                let engine = Engine::new(EngineConfig::default().with_validation(validation));
                for _ in 0..times {
                    drop(black_box(Module::new(&engine, &wasm).expect("a valid module")));
                }
            }
            Work::LoadPrepared(wasm) => {
                let prepared = Module::prepare(&engine, wasm()).expect("a valid module");
                for _ in 0..times {
                    drop(black_box(
                        Module::from_prepared(&engine, &prepared).expect("a prepared module"),
                    ));
                }
            }
            Work::Run(guest, argument) => {
                let mut instance = instance(&modules::guest(guest).expect("checked in"));
                for _ in 0..times {
                    black_box(instance.call("run", &[Value::I32(argument)]).expect("it runs"));
                }
            }
        }
    }

    fn bare(&self, times: u32) {
        let mut config = wasmi::Config::default();
        config.compilation_mode(wasmi::CompilationMode::Eager);
        // An engine keeps the code of its modules forever, so each module has its own engine here, too.
        let load =
            |wasm: &[u8]| wasmi::Module::new(&wasmi::Engine::new(&config), wasm).expect("a valid module");
        let instance = |module: &wasmi::Module| {
            let mut store = wasmi::Store::new(module.engine(), ());
            let instance = wasmi::Instance::new(&mut store, module, &[]).expect("no imports");
            (store, instance)
        };
        match *self {
            Work::TypedCall | Work::CallByName | Work::CallValues => {
                let (mut store, instance) = instance(&load(&modules::assemble(modules::ADD)));
                let add = instance
                    .get_typed_func::<(i64, i64), i64>(&store, "add")
                    .expect("its type");
                for n in 0..i64::from(times) {
                    black_box(add.call(&mut store, (n, 1)).expect("it runs"));
                }
            }
            Work::HostCall => {
                let module = load(&modules::assemble(HOST_CALLS));
                let mut store = wasmi::Store::new(module.engine(), ());
                let add = wasmi::Func::wrap(&mut store, |a: i64, b: i64| a.wrapping_add(b));
                let instance = wasmi::Instance::new(&mut store, &module, &[add.into()]).expect("its import");
                let run = instance
                    .get_typed_func::<i64, i64>(&store, "run")
                    .expect("its type");
                for _ in 0..times {
                    black_box(run.call(&mut store, 10_000).expect("it runs"));
                }
            }
            Work::WasiCall => {
                let module = load(&modules::assemble(WASI_CALLS));
                let mut store = wasmi::Store::new(module.engine(), ());
                let sizes = wasmi::Func::wrap(
                    &mut store,
                    |mut caller: wasmi::Caller<'_, ()>, count: i32, bytes: i32| -> i32 {
                        let memory = caller.get_export("memory").and_then(wasmi::Extern::into_memory);
                        let memory = memory.expect("exported");
                        for at in [count, bytes] {
                            memory
                                .write(&mut caller, at as usize, &[0; 4])
                                .expect("in bounds");
                        }
                        0
                    },
                );
                let instance =
                    wasmi::Instance::new(&mut store, &module, &[sizes.into()]).expect("its import");
                let run = instance
                    .get_typed_func::<i64, i64>(&store, "run")
                    .expect("its type");
                for _ in 0..times {
                    black_box(run.call(&mut store, 10_000).expect("it runs"));
                }
            }
            Work::Instantiate => {
                let module = load(&modules::assemble(modules::ADD));
                for _ in 0..times {
                    drop(black_box(instance(&module)));
                }
            }
            Work::Load(wasm, _) | Work::LoadPrepared(wasm) => {
                let wasm = wasm();
                for _ in 0..times {
                    drop(black_box(load(&wasm)));
                }
            }
            Work::Run(guest, argument) => {
                let (mut store, instance) = instance(&load(&modules::guest(guest).expect("checked in")));
                let run = instance.get_func(&store, "run").expect("exported");
                let ty = run.ty(&store);
                let mut result = [wasmi::Val::default_for_ty(ty.results()[0])];
                for _ in 0..times {
                    run.call(&mut store, &[wasmi::Val::I32(argument)], &mut result)
                        .expect("it runs");
                    black_box(&result);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_runs_on_both_sides() {
        for path in PATHS {
            assert!(std::ptr::eq(find(path.name).unwrap(), path));
            path.run(Side::Ours, 1);
            path.run(Side::Bare, 1);
        }
    }
}
