//! The oracle's fuel and results against Wasmtime's.
//!
//! Wasmtime 48 charges bulk operators 1 for each byte or element by default; here that is set to 0, so that the comparison
//! covers operators and function entries. Fuel is compared for calls that return: where code traps, Wasmtime has charged
//! only part of the operators before the trap.

use arbitrary::Unstructured;
use dynload_oracle::random::{self, Call, Options, moves};
use dynload_oracle::{Error, Imports, Limits, Oracle, Schedule, Trap, ValType, Value};
use wasmtime::{Config, Engine, Instance, Linker, Module, OperatorCost, Store, Val};

const PLENTY: u64 = 1 << 50;

/// The stack size of test threads: programs recurse some hundred times, with up to 400 vectors in a frame.
const STACK: usize = 128 << 20;

/// Runs a test on a thread with enough stack for the guests.
fn deep(test: fn()) {
    let thread = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(test)
        .expect("the thread can be created");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn engine() -> Engine {
    let mut cost = OperatorCost::new();
    cost.variable.memory_copy_per_byte = 0;
    cost.variable.memory_fill_per_byte = 0;
    cost.variable.memory_init_per_byte = 0;
    cost.variable.table_copy_per_element = 0;
    cost.variable.table_fill_per_element = 0;
    cost.variable.table_init_per_element = 0;
    cost.variable.table_grow_per_element = 0;
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .operator_cost(cost)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_custom_page_sizes(true)
        .wasm_tail_call(true);
    Engine::new(&config).expect("the configuration is valid on this machine")
}

/// How to handle the fuel of an instantiation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Compare,
    /// Wasmtime compiles constant expressions and charges for their operators; the oracle charges nothing.
    Ignore,
}

/// An instance of one module in each engine.
struct Pair<'a> {
    name: String,
    oracle: Oracle<'a>,
    store: Store<()>,
    instance: Instance,
}

impl<'a> Pair<'a> {
    /// Instantiates a module in both engines. Returns `None` if both fail.
    #[track_caller]
    fn new(
        engine: &Engine,
        name: String,
        wasm: &'a [u8],
        imports: Imports<'a>,
        start: Start,
    ) -> Option<Self> {
        let mut oracle =
            Oracle::new(wasm, imports, Schedule::WASMTIME).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let module = Module::new(engine, wasm).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let mut store = Store::new(engine, ());
        store.set_fuel(PLENTY).expect("fuel is on");
        let instance = linker(engine).instantiate(&mut store, &module);
        let ours = oracle.instantiate(steps());
        match (ours, instance) {
            (Ok(usage), Ok(instance)) => {
                let burned = PLENTY - store.get_fuel().expect("fuel is on");
                if start == Start::Compare {
                    // Wasmtime writes segments and calls the start function from a generated function, which costs its
                    // entry and that call.
                    let own = burned.checked_sub(usage.fuel);
                    assert!(
                        own.is_some_and(|own| own <= 2),
                        "{name}: {} at start, Wasmtime: {burned}",
                        usage.fuel
                    );
                }
                Some(Self {
                    name,
                    oracle,
                    store,
                    instance,
                })
            }
            (Err(Error::Stopped(_)), Err(_)) => None,
            (ours, theirs) => panic!("{name}: instantiation: {ours:?}, Wasmtime: {theirs:?}"),
        }
    }

    /// Calls a function in both engines. Returns whether the call returned, so that its fuel was compared.
    #[track_caller]
    fn call(&mut self, call: &Call, limits: Limits) -> bool {
        let name = &self.name;
        let func = self
            .instance
            .get_func(&mut self.store, &call.name)
            .expect("the item is exported");
        let results = self
            .oracle
            .func_type(&call.name)
            .expect("the item is exported")
            .results
            .clone();
        let args: Vec<Val> = call.args.iter().map(to_wasmtime).collect();
        let mut theirs = vec![Val::I32(0); results.len()];
        self.store.set_fuel(PLENTY).expect("fuel is on");
        let status = func.call(&mut self.store, &args, &mut theirs);
        let burned = PLENTY - self.store.get_fuel().expect("fuel is on");
        let ours = self.oracle.call(&call.name, &call.args, limits);
        match (&ours.result, status) {
            (Ok(values), Ok(())) => {
                let same = values
                    .iter()
                    .zip(&theirs)
                    .all(|(ours, theirs)| same(ours, theirs));
                assert!(same, "{name} {}: {values:?}, Wasmtime: {theirs:?}", call.name);
                assert_eq!(ours.usage.fuel, burned, "{name} {}: fuel", call.name);
                true
            }
            (Err(trap), Err(error)) => {
                let theirs = error.downcast_ref::<wasmtime::Trap>().copied();
                assert_eq!(Some(kind(trap)), theirs, "{name} {}: {trap:?}", call.name);
                false
            }
            (ours, theirs) => panic!("{name} {}: {ours:?}, Wasmtime: {theirs:?}", call.name),
        }
    }

    #[track_caller]
    fn compare_memory(&mut self, export: &str, index: usize) {
        let memory = self
            .instance
            .get_memory(&mut self.store, export)
            .expect("the item is exported");
        let same = memory.data(&self.store) == self.oracle.memory(index).expect("the memory exists");
        assert!(same, "{}: memory {index} differs", self.name);
    }
}

/// The imports of [`random::imports`].
fn linker(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    let mix = |a: i32, b: i32| a.wrapping_mul(31).wrapping_add(b);
    linker.func_wrap("env", "mix", mix).expect("the name is free");
    let back = |mut caller: wasmtime::Caller<'_, ()>, n: i32| -> wasmtime::Result<i32> {
        let back = caller
            .get_export("back")
            .and_then(|export| export.into_func())
            .expect("the item is exported");
        back.typed::<i32, i32>(&caller)?.call(&mut caller, n)
    };
    linker.func_wrap("env", "back", back).expect("the name is free");
    linker
}

fn to_wasmtime(value: &Value) -> Val {
    match *value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(value) => Val::V128(value.into()),
        Value::FuncRef(None) => Val::FuncRef(None),
        other => panic!("arguments of this kind are not generated: {other:?}"),
    }
}

fn same(ours: &Value, theirs: &Val) -> bool {
    match (ours, theirs) {
        (Value::I32(a), Val::I32(b)) => a == b,
        (Value::I64(a), Val::I64(b)) => a == b,
        (Value::F32(a), Val::F32(b)) => a == b || (ours.is_nan() && f32::from_bits(*b).is_nan()),
        (Value::F64(a), Val::F64(b)) => a == b || (ours.is_nan() && f64::from_bits(*b).is_nan()),
        (Value::V128(a), Val::V128(b)) => *a == b.as_u128(),
        (Value::FuncRef(a), Val::FuncRef(b)) => a.is_some() == b.is_some(),
        _ => false,
    }
}

fn kind(trap: &Trap) -> wasmtime::Trap {
    match trap {
        Trap::Unreachable => wasmtime::Trap::UnreachableCodeReached,
        Trap::MemoryOutOfBounds => wasmtime::Trap::MemoryOutOfBounds,
        Trap::TableOutOfBounds | Trap::UndefinedElement => wasmtime::Trap::TableOutOfBounds,
        Trap::UninitializedElement => wasmtime::Trap::IndirectCallToNull,
        Trap::IndirectCallTypeMismatch => wasmtime::Trap::BadSignature,
        Trap::IntegerDivideByZero => wasmtime::Trap::IntegerDivisionByZero,
        Trap::IntegerOverflow => wasmtime::Trap::IntegerOverflow,
        Trap::InvalidConversionToInteger => wasmtime::Trap::BadConversionToInteger,
        other => panic!("Wasmtime has no equivalent of {other:?}"),
    }
}

/// Returns `short`, or fifty times as much with `DYNLOAD_PROVE=1`.
fn times(short: u64) -> u64 {
    if std::env::var_os("DYNLOAD_PROVE").is_some() {
        short * 50
    } else {
        short
    }
}

fn steps() -> Limits {
    Limits {
        steps: Some(50_000_000),
        ..Limits::default()
    }
}

#[track_caller]
fn compare_random(seeds: std::ops::Range<u64>, options: &Options) {
    let engine = engine();
    let mut returned = 0;
    for seed in seeds {
        let program = random::program_with(seed, options);
        let name = format!("seed {seed}");
        let Some(mut pair) = Pair::new(&engine, name, &program.wasm, random::imports(), Start::Compare)
        else {
            continue;
        };
        for call in &program.calls {
            returned += u64::from(pair.call(call, steps()));
        }
        pair.compare_memory("memory0", 0);
    }
    assert!(returned > 0, "no call returned");
}

#[test]
fn random_programs() {
    deep(|| compare_random(0..times(300), &Options::default()));
}

#[test]
fn random_programs_with_all_features() {
    deep(|| {
        let options = Options {
            imports: true,
            vectors: true,
            two_memories: true,
            traps: true,
            ..Options::default()
        };
        compare_random(10_000..10_000 + times(150), &options);
    });
}

/// Programs that move operands around, in all three variants.
#[test]
fn moves() {
    deep(|| {
        let engine = engine();
        let mut returned = 0;
        for seed in 0..times(420) {
            let options = moves::Options {
                memory64: seed % 3 == 1,
                vectors: seed % 3 == 2,
            };
            let wasm = wat::parse_str(moves::program(seed, options)).expect("the program is valid");
            let name = format!("moves {seed}");
            let Some(mut pair) = Pair::new(&engine, name, &wasm, Imports::new(), Start::Ignore) else {
                continue;
            };
            for of in moves::ARGUMENTS {
                let call = Call {
                    name: moves::RUN.into(),
                    args: moves::arguments(of),
                };
                returned += u64::from(pair.call(&call, steps()));
            }
        }
        assert!(returned > 100, "only {returned} calls returned");
    });
}

#[test]
fn guests() {
    deep(|| {
        let engine = engine();
        for guest in dynload_oracle::guests::ALL {
            let wasm = dynload_oracle::guests::wasm(guest.name).expect("the binary is checked in");
            let mut pair = Pair::new(&engine, guest.name.into(), &wasm, Imports::new(), Start::Compare)
                .expect("guests instantiate");
            let call = Call {
                name: "run".into(),
                args: vec![Value::I32(guest.small)],
            };
            assert!(pair.call(&call, steps()), "{} returns", guest.name);
        }
    });
}

#[test]
fn smith_modules() {
    deep(compare_smith);
}

fn compare_smith() {
    let engine = engine();
    let (mut returned, mut trapped, mut skipped) = (0, 0, 0);
    for seed in 0..times(200) {
        let Some(wasm) = smith_module(seed) else {
            skipped += 1;
            continue;
        };
        let Some(mut pair) = Pair::new(
            &engine,
            format!("smith {seed}"),
            &wasm,
            Imports::new(),
            Start::Ignore,
        ) else {
            continue;
        };
        let calls: Vec<Call> = {
            let module = pair.oracle.module();
            module
                .exported_funcs()
                .map(|(name, ty)| Call {
                    name: name.to_owned(),
                    args: ty.params.iter().map(|ty| ValType::zero(*ty)).collect(),
                })
                .collect()
        };
        for call in &calls {
            if pair.call(call, steps()) {
                returned += 1
            } else {
                trapped += 1
            }
        }
    }
    println!("{returned} calls returned, {trapped} trapped, {skipped} modules skipped");
    assert!(returned > 50, "only {returned} calls returned");
}

/// Generates a terminating module with wasm-smith. Returns `None` if the bytes do not result in one.
fn smith_module(seed: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for byte in &mut bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
    let config = wasm_smith::Config {
        max_imports: 0,
        min_funcs: 4,
        min_exports: 6,
        max_memories: 2,
        max_memory32_bytes: 1 << 20,
        max_table_elements: 1000,
        disallow_traps: !seed.is_multiple_of(4),
        canonicalize_nans: true,
        bulk_memory_enabled: true,
        tail_call_enabled: true,
        multi_value_enabled: true,
        // Externref needs a collector in Wasmtime.
        reference_types_enabled: false,
        simd_enabled: false,
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        ..wasm_smith::Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(2000).ok()?;
    Some(module.to_bytes())
}
