//! The code of the fuzz targets: a plain library, so that tests can run it too.

#![forbid(unsafe_code)]

mod gpu;
#[path = "../../crates/dynload-sandbox/tests/sandbox/subject/sandbox.rs"]
mod subject;
#[path = "../../crates/dynload-sandbox/tests/sandbox/subject/values.rs"]
mod values;

use std::sync::OnceLock;

use dynload_oracle::{self as oracle, Oracle, random};
use dynload_sandbox::{
    Capabilities, Engine, EngineConfig, Limits, Module, ModuleError, Sandbox, SeededEntropy, Signature, Value,
};
pub use gpu::gpu_frames;
use subject::{sandbox, wide};
use values::{bits, to_sandbox};

/// How far a module got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// The sandbox does not accept the bytes as a module.
    Nothing,
    /// The module was compiled, but not instantiated.
    Compiled,
    /// Every export was called.
    Ran,
}

const FUEL: u64 = 20_000;
const MEMORY: u64 = 4 << 20;

/// Loads a module and calls each of its exported functions twice, under tiny limits.
///
/// # Panics
///
/// If the module fails without a typed error, or if it uses more than the limits allow.
pub fn load_and_run(wasm: &[u8]) -> Reached {
    static ENGINES: OnceLock<[Engine; 2]> = OnceLock::new();
    let engines = ENGINES.get_or_init(|| {
        [false, true].map(|more| Engine::new(EngineConfig::default().with_profile(more).with_memory64(more)))
    });
    let mut reached = Reached::Nothing;
    for engine in engines {
        let module = match Module::new(engine, wasm) {
            Ok(module) => module,
            // This build refuses every module, so fuzzing it would find nothing.
            Err(refused @ ModuleError::UnsafeBuild(_)) => panic!("{refused}"),
            Err(_) => continue,
        };
        reached = reached.max(Reached::Compiled);
        let limits = Limits::RESTRICTIVE
            .with_fuel(FUEL)
            .with_memory_bytes(MEMORY)
            .with_call_depth(100);
        let sandbox = Sandbox::new(limits)
            .with_capabilities(Capabilities::RANDOM | Capabilities::CONSOLE | Capabilities::TIME)
            .with_entropy(SeededEntropy(1));
        let Ok(mut instance) = sandbox.instantiate(&module) else {
            continue;
        };
        let exports: Vec<(String, Signature)> = module
            .exports()
            .filter_map(|export| {
                export
                    .ty
                    .func()
                    .map(|signature| (export.name.to_owned(), signature.clone()))
            })
            .collect();
        for (name, signature) in exports.iter().chain(&exports) {
            let args: Vec<Value> = signature.params.iter().copied().filter_map(Value::zero).collect();
            let result = instance.call(name, &args);
            let usage = instance.usage();
            assert!(usage.fuel <= FUEL, "{usage:?}");
            assert!(usage.peak_memory_bytes <= MEMORY, "{usage:?}");
            assert!(
                usage.peak_call_depth.is_none_or(|depth| depth <= 100),
                "{usage:?}"
            );
            assert!(
                usage
                    .peak_stack_bytes
                    .is_none_or(|bytes| bytes <= limits.max_stack_bytes),
                "{usage:?}"
            );
            if let Err(error) = result {
                assert!(!error.to_string().is_empty());
                if instance.poisoned_by().is_some() && instance.reset().is_err() {
                    break;
                }
            }
        }
        reached = Reached::Ran;
    }
    reached
}

/// Returns whether a result is bitwise equal to the oracle's.
fn same(found: &Value, wanted: &oracle::Value) -> bool {
    let wanted = to_sandbox(wanted);
    found.ty() == wanted.ty() && bits(found) == bits(&wanted)
}

/// Generates a program from the bytes, runs it in the sandbox and in the oracle, and returns the number of calls that returned.
///
/// The first byte selects what the program may contain and the fuel slices in which it runs.
///
/// # Panics
///
/// If results or readings differ, if a limit of exactly what a call needs stops it, or if a limit of one less does not.
pub fn meter(bytes: &[u8]) -> usize {
    let choice = bytes.first().copied().unwrap_or_default();
    let options = random::Options {
        imports: choice & 1 != 0,
        two_memories: choice & 2 != 0,
        traps: choice & 4 != 0,
        ..random::Options::default()
    };
    let slice = [None, Some(1), Some(7), Some(1_000)][usize::from(choice >> 6)];
    let program = random::program_from(bytes.get(1..).unwrap_or_default(), &options);
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::new(EngineConfig::default().with_profile(true)));

    let schedule = oracle::Schedule::default();
    let mut reference = Oracle::new(&program.wasm, random::imports(), schedule).expect("a valid program");
    let module = Module::new(engine, &program.wasm).expect("a valid program");
    let start = reference.instantiate(oracle::Limits::default());
    let instance = sandbox(wide(), slice).instantiate(&module);
    let (start, mut instance) = match (start, instance) {
        (Ok(start), Ok(instance)) => (start, instance),
        (Err(_), Err(_)) => return 0,
        (start, instance) => panic!("oracle: {start:?}, sandbox: {:?}", instance.map(|_| ())),
    };
    assert_eq!(instance.usage().fuel, start.fuel, "instantiation");
    let mut returned = 0;
    for call in &program.calls {
        let wanted = reference.call(&call.name, &call.args, oracle::Limits::default());
        let args: Vec<Value> = call.args.iter().map(to_sandbox).collect();
        let found = instance.call(&call.name, &args);
        let usage = instance.usage();
        match (&wanted.result, &found) {
            (Ok(wanted), Ok(found)) => {
                let equal = wanted.len() == found.len() && found.iter().zip(wanted).all(|(f, w)| same(f, w));
                assert!(equal, "{}: got {found:?}, expected {wanted:?}", call.name);
            }
            (Err(_), Err(_)) => break,
            (wanted, found) => panic!("{}: got {found:?}, expected {wanted:?}", call.name),
        }
        assert_eq!(usage.fuel, wanted.usage.fuel, "{}: fuel", call.name);
        assert_eq!(
            usage.peak_call_depth,
            Some(wanted.usage.peak_call_depth),
            "{}: depth",
            call.name
        );
        assert_eq!(
            usage.peak_stack_bytes,
            Some(wanted.usage.peak_stack_bytes),
            "{}: stack",
            call.name
        );
        assert_eq!(
            usage.peak_memory_bytes, wanted.usage.peak_memory_bytes,
            "{}: memory",
            call.name
        );
        if returned == 0 && wanted.usage.fuel > start.fuel {
            tight(&module, &call.name, &args, wanted.usage.fuel, slice);
        }
        returned += 1;
    }
    returned
}

/// Runs the first call of a program with exactly the fuel that it needs, and with one less.
fn tight(module: &Module, export: &str, args: &[Value], fuel: u64, slice: Option<u64>) {
    for (limit, fits) in [(fuel, true), (fuel - 1, false)] {
        let mut instance = sandbox(wide().with_fuel(limit), slice)
            .instantiate(module)
            .expect("fuel for the start");
        let result = instance.call(export, args);
        assert_eq!(
            result.is_ok(),
            fits,
            "{export} needs {fuel} and has {limit}: {result:?}"
        );
    }
}
