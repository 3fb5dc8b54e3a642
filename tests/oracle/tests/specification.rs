//! The official specification tests, run on the oracle.

use std::collections::HashMap;

use dynload_oracle::{
    Error, Extern, FuncType, GlobalType, Import, Imports, InstanceId, Limits, MemoryType, Module, Schedule,
    Store, TableType, Trap, ValType, Value,
};
use dynload_spectest as spectest;
use dynload_spectest::{Engine, Proposal, Refused, SpecVersion, Stop, proposals, version};

#[test]
fn version_1() {
    version::<Script>(SpecVersion::V1, &[]);
}

#[test]
fn version_2() {
    version::<Script>(SpecVersion::V2, &[]);
}

#[test]
fn version_3() {
    version::<Script>(SpecVersion::V3, &[]);
}

#[test]
fn all_proposals() {
    // The oracle can move vectors, but not compute with them.
    let unsupported = [Proposal::Simd, Proposal::RelaxedSimd];
    proposals::<Script>(&[], &unsupported, &[]);
}

struct Script {
    store: Store<'static>,
    spectest: Vec<(&'static str, Extern)>,
}

impl Engine for Script {
    type Instance = InstanceId;

    fn new() -> Script {
        // Deep enough for every test that must return, and not too slow for those that must overflow.
        let limits = Limits {
            call_depth: Some(5000),
            ..Limits::default()
        };
        let mut store = Store::new(Schedule::default(), limits);
        let spectest = define_spectest(&mut store).expect("the host items are within the limits");
        Script { store, spectest }
    }

    fn instantiate(
        &mut self,
        wasm: &'static [u8],
        registered: &HashMap<String, InstanceId>,
    ) -> Result<InstanceId, Refused> {
        let mut imports = Imports::new();
        for (name, what) in &self.spectest {
            imports.define("spectest", name, Import::Extern(*what));
        }
        for (name, instance) in registered {
            self.store.export_all(*instance, name, &mut imports);
        }
        let module = Module::new(wasm).map_err(|error| Refused::Invalid(describe(&error)))?;
        self.store
            .instantiate(&module, &mut imports)
            .map_err(|error| match error {
                Error::Stopped(trap) => Refused::Stopped(stop(&trap)),
                error @ (Error::UnknownImport { .. } | Error::IncompatibleImport { .. }) => {
                    Refused::Unlinkable(describe(&error))
                }
                error => Refused::Invalid(describe(&error)),
            })
    }

    fn call(
        &mut self,
        of: InstanceId,
        function: &str,
        args: &[spectest::Value],
    ) -> Option<Result<Vec<spectest::Value>, Stop>> {
        let args: Vec<Value> = args.iter().map(|arg| from_script(*arg)).collect();
        Some(match self.store.call(of, function, &args) {
            Ok(values) => Ok(values.into_iter().map(to_script).collect()),
            Err(trap) => Err(stop(&trap)),
        })
    }

    fn global(&self, of: InstanceId, name: &str) -> Option<spectest::Value> {
        self.store.global(of, name).map(to_script)
    }
}

fn stop(trap: &Trap) -> Stop {
    match trap {
        Trap::CallDepth => Stop::Exhausted,
        trap => Stop::Trap(vec![trap.to_string()]),
    }
}

fn from_script(value: spectest::Value) -> Value {
    match value {
        spectest::Value::I32(value) => Value::I32(value),
        spectest::Value::I64(value) => Value::I64(value),
        spectest::Value::F32(bits) => Value::F32(bits),
        spectest::Value::F64(bits) => Value::F64(bits),
        spectest::Value::V128(value) => Value::V128(value),
        spectest::Value::NullFunc => Value::FuncRef(None),
        spectest::Value::Extern(value) => Value::ExternRef(value),
        spectest::Value::Func => unreachable!("no script passes a function"),
    }
}

fn to_script(value: Value) -> spectest::Value {
    match value {
        Value::I32(value) => spectest::Value::I32(value),
        Value::I64(value) => spectest::Value::I64(value),
        Value::F32(bits) => spectest::Value::F32(bits),
        Value::F64(bits) => spectest::Value::F64(bits),
        Value::V128(value) => spectest::Value::V128(value),
        Value::FuncRef(None) => spectest::Value::NullFunc,
        Value::FuncRef(Some(_)) => spectest::Value::Func,
        Value::ExternRef(value) => spectest::Value::Extern(value),
    }
}

fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn define_spectest(store: &mut Store<'_>) -> Result<Vec<(&'static str, Extern)>, Trap> {
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
