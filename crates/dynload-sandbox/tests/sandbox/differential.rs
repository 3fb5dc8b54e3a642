//! Random modules, rewritten and original, on the same interpreter: same results, traps, memories, tables and globals.
//!
//! The interpreter computes some modules wrong (see `wasmi_workarounds.rs`), and the rewriter works around that. Where the
//! two differ, the independent oracle decides.

use arbitrary::Unstructured;
use dynload_oracle::{self as oracle, Oracle};
use dynload_sandbox::{EngineConfig, Translation, rewritten};
use wasmi::{
    CompilationMode, Config, Engine, Error, Extern, ExternType, Func, Instance, Module, Nullable, Ref, Store,
    StoreLimits, StoreLimitsBuilder, TrapCode, Val, ValType,
};

fn modules() -> u64 {
    if std::env::var_os("DYNLOAD_PROVE").is_some() {
        10_000
    } else {
        400
    }
}

/// A module that terminates; `None` if the bytes produce none.
fn smith(seed: u64) -> Option<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let bytes: Vec<u8> = (0..2_000 + 200 * (seed % 20)).map(|_| byte()).collect();
    let config = wasm_smith::Config {
        max_imports: 0,
        min_funcs: 3,
        min_types: 2,
        export_everything: true,
        max_memories: 2,
        max_memory32_bytes: 1 << 20,
        max_tables: 3,
        max_table_elements: 1_000,
        // Modules without traps get further, those with traps have them in the middle of things.
        disallow_traps: !seed.is_multiple_of(3),
        canonicalize_nans: true,
        bulk_memory_enabled: true,
        extended_const_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        tail_call_enabled: true,
        simd_enabled: cfg!(all(feature = "simd", target_endian = "little")),
        relaxed_simd_enabled: false,
        custom_page_sizes_enabled: seed.is_multiple_of(2),
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        shared_everything_threads_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(1_000).ok()?;
    Some(module.to_bytes())
}

/// The check of lengths refuses no valid module: where addresses have 32 bits, each module passes through it.
#[test]
fn no_length_of_a_valid_module_is_overlong() {
    let modules = (0..300).filter_map(smith);
    let with_data = modules.inspect(|wasm| assert_eq!(dynload_diagnostics::overlong_length(wasm), None));
    let data = |wasm: &Vec<u8>| {
        let mut sections = wasmparser::Parser::new(0).parse_all(wasm);
        sections
            .any(|payload| matches!(payload, Ok(wasmparser::Payload::DataSection(data)) if data.count() > 0))
    };
    assert!(with_data.filter(data).count() > 50);
}

/// A value, as far as two stores can have the same one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Bits(ValType, u128),
    Null(ValType),
    Reference(ValType),
}

fn seen(value: &Val) -> Seen {
    let ty = value.ty();
    match value {
        Val::I32(value) => Seen::Bits(ty, *value as u32 as u128),
        Val::I64(value) => Seen::Bits(ty, *value as u64 as u128),
        Val::F32(value) => Seen::Bits(ty, value.to_bits().into()),
        Val::F64(value) => Seen::Bits(ty, value.to_bits().into()),
        Val::V128(value) => Seen::Bits(ty, value.as_u128()),
        Val::FuncRef(Nullable::Null) | Val::ExternRef(Nullable::Null) => Seen::Null(ty),
        Val::FuncRef(_) | Val::ExternRef(_) => Seen::Reference(ty),
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Returned(Vec<Seen>),
    Trapped(TrapCode),
    Failed(String),
}

impl Outcome {
    fn of_error(error: &Error) -> Outcome {
        match error.as_trap_code() {
            Some(code) => Outcome::Trapped(code),
            None => Outcome::Failed(error.to_string()),
        }
    }
}

/// Everything that a module exports.
#[derive(Debug, Clone, PartialEq, Default)]
struct Contents {
    globals: Vec<(String, Seen)>,
    memories: Vec<(String, Vec<u8>)>,
    tables: Vec<(String, Vec<bool>)>,
}

/// An instance of the original or of the rewritten module.
struct Side {
    store: Store<StoreLimits>,
    instance: Instance,
}

impl Side {
    /// The original module, without metering.
    fn plain(wasm: &[u8]) -> Result<Side, Outcome> {
        let mut config = config();
        config.consume_fuel(false);
        Side::new(&Engine::new(&config), wasm)
    }

    /// The module as a sandbox runs it, with metering and the start function called afterwards.
    fn rewritten(wasm: &[u8], with: EngineConfig) -> Result<Side, Outcome> {
        let bytes = rewritten(wasm, &with).expect("a valid module");
        let mut side = Side::new(&Engine::new(&config()), &bytes)?;
        let Side { store, instance } = &mut side;
        if let Some(table) = instance.get_table(&*store, "\0dynload.host") {
            let nothing = Func::wrap(&mut *store, |_asked: i64, _room: i64| {});
            for index in 0..2 {
                table
                    .set(&mut *store, index, Nullable::Val(nothing).into())
                    .expect("the table has two elements");
            }
        }
        match side.call("\0dynload.start", &[]) {
            None | Some(Outcome::Returned(_)) => Ok(side),
            Some(failed) => Err(failed),
        }
    }

    fn new(engine: &Engine, wasm: &[u8]) -> Result<Side, Outcome> {
        let module = Module::new(engine, wasm).expect("a valid module");
        // A table may grow to 32 GiB.
        let limits = StoreLimitsBuilder::new()
            .memory_size(8 << 20)
            .table_elements(20_000)
            .build();
        let mut store = Store::new(engine, limits);
        store.limiter(|limits| limits);
        store.set_fuel(u64::MAX).ok();
        match Instance::new(&mut store, &module, &[]) {
            Ok(instance) => Ok(Side { store, instance }),
            // Some errors name handles, which differ.
            Err(error) if error.as_trap_code().is_none() => Err(Outcome::Failed("instantiation".into())),
            Err(error) => Err(Outcome::of_error(&error)),
        }
    }

    /// Calls an export with these arguments; `None` if it does not exist.
    fn call(&mut self, name: &str, args: &[Val]) -> Option<Outcome> {
        let func = self.instance.get_func(&self.store, name)?;
        if let Some(counters) = self.instance.get_global(&self.store, "\0dynload.frames") {
            // Functions report their first use while the highest bit is set.
            let counters_without_frames = Val::I64(i64::MIN);
            counters
                .set(&mut self.store, counters_without_frames)
                .expect("a mutable i64");
        }
        self.store.set_fuel(u64::MAX).ok();
        let ty = func.ty(&self.store);
        let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        Some(match func.call(&mut self.store, args, &mut results) {
            Ok(()) => Outcome::Returned(results.iter().map(seen).collect()),
            Err(error) => Outcome::of_error(&error),
        })
    }

    fn contents(&self) -> Contents {
        let mut contents = Contents::default();
        for export in self.instance.exports(&self.store) {
            let name = export.name().to_owned();
            if name.starts_with('\0') {
                continue;
            }
            match export.into_extern() {
                Extern::Global(global) => contents.globals.push((name, seen(&global.get(&self.store)))),
                Extern::Memory(memory) => contents.memories.push((name, memory.data(&self.store).to_vec())),
                Extern::Table(table) => {
                    let size = table.size(&self.store);
                    let is_null = |index| {
                        table
                            .get(&self.store, index)
                            .is_none_or(|element: Ref| element.is_null())
                    };
                    contents.tables.push((name, (0..size).map(is_null).collect()));
                }
                Extern::Func(_) => {}
            }
        }
        contents.globals.sort_by(|a, b| a.0.cmp(&b.0));
        contents.memories.sort();
        contents.tables.sort();
        contents
    }
}

/// The interpreter's configuration in a sandbox.
fn config() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Eager)
        .set_max_recursion_depth(20_000)
        .set_max_stack_height(64 << 20)
        .wasm_custom_page_sizes(true)
        .wasm_wide_arithmetic(false);
    config
}

/// The error of the oracle's instantiation, `Some(None)` if it succeeds, and `None` if the oracle cannot decide.
fn oracles_instantiation(wasm: &[u8]) -> Option<Option<Outcome>> {
    let mut reference = Oracle::new(wasm, oracle::Imports::new(), oracle::Schedule::default()).ok()?;
    match reference.instantiate(oracle::Limits::default()) {
        Ok(_) => Some(None),
        Err(oracle::Error::Stopped(trap)) => trap_code(&trap).map(|code| Some(Outcome::Trapped(code))),
        Err(_) => None,
    }
}

/// The oracle's outcome of the calls so far, if it can decide.
fn oracles_answer(wasm: &[u8], calls: &[(String, Vec<Val>)]) -> Option<Outcome> {
    let mut reference = Oracle::new(wasm, oracle::Imports::new(), oracle::Schedule::default()).ok()?;
    reference.instantiate(oracle::Limits::default()).ok()?;
    let mut last = None;
    for (name, args) in calls {
        let args: Option<Vec<oracle::Value>> = args.iter().map(to_oracle).collect();
        last = Some(reference.call(name, &args?, oracle::Limits::default()).result);
    }
    match last? {
        Ok(values) => {
            let values: Option<Vec<Seen>> = values.iter().map(of_oracle).collect();
            Some(Outcome::Returned(values?))
        }
        Err(trap) => trap_code(&trap).map(Outcome::Trapped),
    }
}

/// The interpreter's code for a trap of the oracle; `None` for a trap that Wasm does not define.
fn trap_code(trap: &oracle::Trap) -> Option<TrapCode> {
    Some(match trap {
        oracle::Trap::Unreachable => TrapCode::UnreachableCodeReached,
        oracle::Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        oracle::Trap::TableOutOfBounds | oracle::Trap::UndefinedElement => TrapCode::TableOutOfBounds,
        oracle::Trap::UninitializedElement => TrapCode::IndirectCallToNull,
        oracle::Trap::IndirectCallTypeMismatch => TrapCode::BadSignature,
        oracle::Trap::IntegerDivideByZero => TrapCode::IntegerDivisionByZero,
        oracle::Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        oracle::Trap::InvalidConversionToInteger => TrapCode::BadConversionToInteger,
        _ => return None,
    })
}

fn to_oracle(value: &Val) -> Option<oracle::Value> {
    Some(match value {
        Val::I32(value) => oracle::Value::I32(*value),
        Val::I64(value) => oracle::Value::I64(*value),
        Val::F32(value) => oracle::Value::F32(value.to_bits()),
        Val::F64(value) => oracle::Value::F64(value.to_bits()),
        Val::FuncRef(Nullable::Null) => oracle::Value::FuncRef(None),
        Val::ExternRef(Nullable::Null) => oracle::Value::ExternRef(None),
        Val::V128(value) => oracle::Value::V128(value.as_u128()),
        _ => return None,
    })
}

fn of_oracle(value: &oracle::Value) -> Option<Seen> {
    Some(match value {
        oracle::Value::I32(value) => Seen::Bits(ValType::I32, *value as u32 as u128),
        oracle::Value::I64(value) => Seen::Bits(ValType::I64, *value as u64 as u128),
        oracle::Value::F32(bits) => Seen::Bits(ValType::F32, (*bits).into()),
        oracle::Value::F64(bits) => Seen::Bits(ValType::F64, (*bits).into()),
        oracle::Value::V128(bits) => Seen::Bits(ValType::V128, *bits),
        oracle::Value::FuncRef(None) => Seen::Null(ValType::FuncRef),
        oracle::Value::ExternRef(None) => Seen::Null(ValType::ExternRef),
        oracle::Value::FuncRef(Some(_)) => Seen::Reference(ValType::FuncRef),
        oracle::Value::ExternRef(Some(_)) => Seen::Reference(ValType::ExternRef),
    })
}

/// Arguments that differ by type and by round.
fn argument(ty: ValType, round: u64) -> Val {
    match (ty, round) {
        (ValType::I32, 1) => Val::I32(-7),
        (ValType::I64, 1) => Val::I64(1 << 40),
        (ValType::F32, 1) => Val::F32(1.5_f32.into()),
        (ValType::F64, 1) => Val::F64((-0.0_f64).into()),
        _ => Val::default_for_ty(ty),
    }
}

#[derive(Debug, Default)]
struct Tally {
    returned: u64,
    trapped: u64,
    not_instantiated: u64,
    plain_is_wrong: u64,
}

/// Runs every export of a module on both sides, and compares everything after each call.
fn compare(seed: u64, wasm: &[u8], tally: &mut Tally) {
    let translation = if seed % 4 < 2 {
        Translation::OnFirstUse
    } else {
        Translation::OnReportedFirstUse
    };
    let config = EngineConfig::default()
        .with_profile(seed % 2 == 1)
        .with_translation(translation);
    let (mut plain, mut rewritten) = match (Side::plain(wasm), Side::rewritten(wasm, config)) {
        (Ok(plain), Ok(rewritten)) => (plain, rewritten),
        (plain, rewritten) => {
            let (plain, rewritten) = (plain.err(), rewritten.err());
            if plain != rewritten {
                let right = oracles_instantiation(wasm)
                    .unwrap_or_else(|| panic!("seed {seed}: {plain:?} plain, {rewritten:?} rewritten"));
                assert_eq!(
                    right, rewritten,
                    "seed {seed}: instantiation: plain {plain:?}; the oracle is right"
                );
                tally.plain_is_wrong += 1;
            }
            tally.not_instantiated += 1;
            return;
        }
    };
    assert_eq!(
        plain.contents(),
        rewritten.contents(),
        "seed {seed}: after instantiation"
    );
    let module = Module::new(&Engine::new(&self::config()), wasm).expect("a valid module");
    let functions: Vec<(String, Vec<ValType>)> = module
        .exports()
        .filter_map(|export| match export.ty() {
            ExternType::Func(ty) => Some((export.name().to_owned(), ty.params().to_vec())),
            _ => None,
        })
        .collect();
    let mut calls = Vec::new();
    for round in 0..2 {
        for (name, params) in &functions {
            let args: Vec<Val> = params.iter().map(|ty| argument(*ty, round)).collect();
            calls.push((name.clone(), args.clone()));
            let wanted = plain.call(name, &args).expect("an export");
            let found = rewritten.call(name, &args).expect("an export");
            if wanted == Outcome::Trapped(TrapCode::StackOverflow) {
                return;
            }
            let same = wanted == found && plain.contents() == rewritten.contents();
            if !same {
                let right = oracles_answer(wasm, &calls);
                let right = right
                    .unwrap_or_else(|| panic!("seed {seed}: {name}: {wanted:?} plain, {found:?} rewritten"));
                assert_eq!(
                    right, found,
                    "seed {seed}: {name}: plain {wanted:?}; the oracle is right"
                );
                tally.plain_is_wrong += 1;
                return;
            }
            match found {
                Outcome::Returned(_) => tally.returned += 1,
                _ => tally.trapped += 1,
            }
        }
    }
}

#[test]
fn rewriting_changes_nothing() {
    let mut tally = Tally::default();
    let mut generated = 0;
    for seed in 0..modules() {
        if let Some(wasm) = smith(seed) {
            generated += 1;
            compare(seed, &wasm, &mut tally);
        }
    }
    println!("{generated} modules: {tally:?}");
    assert!(generated * 10 > modules() * 9, "only {generated} modules");
    assert!(
        tally.returned > generated && tally.trapped > generated / 10,
        "{tally:?}"
    );
    assert!(
        tally.plain_is_wrong * 20 < generated,
        "the interpreter is wrong too often for a comparison: {tally:?}"
    );
}

/// Programs that are hard to meter are hard to rewrite too.
#[test]
fn programs_that_are_hard_to_meter_compute_the_same() {
    let mut tally = Tally::default();
    for seed in 0..modules() / 2 {
        let options = oracle::random::Options {
            traps: seed % 2 == 0,
            ..oracle::random::Options::default()
        };
        compare(
            seed,
            &oracle::random::program_with(seed, &options).wasm,
            &mut tally,
        );
    }
    println!("{tally:?}");
    assert!(tally.returned > modules() / 2, "{tally:?}");
}
