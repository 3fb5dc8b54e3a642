//! Measures the cost of a call through the flat API: `wasm_call2` by name against wasmi's typed call, and
//! `get_function` against `dlsym`.
//!
//! Run it with `cargo bench -p dynload-ffi`. The functions are called through their addresses, as in a C program that
//! is linked against the shared library. The two sides alternate, and the fastest round of each counts: on a machine
//! that also does other work, the slow rounds measure that work.
//!
//! With `--only wasm-ours` (or `wasm-bare`, `native-ours`, `native-bare`) and a number of calls, it makes only those
//! calls, for a tool that counts instructions.

use std::ffi::{CString, c_char, c_void};
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use dynload_ffi::abi::{ModuleHandle, WasmInstance};
use dynload_ffi::flat::{
    get_function, get_load_error_code, load_module, sandbox_load, sandbox_new, wasm_call2,
};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

const CALLS: u32 = 20_000;
const ROUNDS: u32 = 101;
const ADD: &str =
    r#"(module (func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1))))"#;

/// Makes the given number of calls.
type Calls = Box<dyn FnMut(u32)>;

/// Two implementations of the same operation, and the budget: the maximum ratio of the first's time to the second's.
struct Pair {
    name: &'static str,
    ours: Calls,
    bare: Calls,
    budget: f64,
}

fn wasm() -> Pair {
    let wasm = wat::parse_str(ADD).expect("a valid module");
    // SAFETY: the bytes outlive the call.
    let plugin = unsafe { sandbox_load(sandbox_new(), wasm.as_ptr() as i64, wasm.len() as i64) };
    let call: unsafe extern "C" fn(WasmInstance, i64, i64, i64) -> i64 = black_box(wasm_call2);
    // SAFETY: the name is a static text.
    let ours = move |a: i64, b: i64| unsafe { call(plugin, c"add".as_ptr() as i64, a, b) };

    let engine = wasmi::Engine::default();
    let module = wasmi::Module::new(&engine, &wasm).expect("a valid module");
    let mut store = wasmi::Store::new(&engine, ());
    let instance = wasmi::Instance::new(&mut store, &module, &[]).expect("no imports");
    let add = instance
        .get_typed_func::<(i64, i64), i64>(&store, "add")
        .expect("exported");

    assert_eq!(ours(40, 2), 42);
    Pair {
        name: "wasm_call2, against a typed call",
        ours: Box::new(move |calls| {
            for n in 0..i64::from(calls) {
                assert_eq!(ours(black_box(n), 2), n + 2);
            }
        }),
        bare: Box::new(move |calls| {
            for n in 0..i64::from(calls) {
                let sum = add.call(&mut store, (black_box(n), 2));
                assert_eq!(sum.ok(), Some(n + 2));
            }
        }),
        budget: 2.5,
    }
}

fn native() -> Pair {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (source, library) = (
        directory.path().join("plugin.c"),
        directory.path().join("plugin.so"),
    );
    // As many names as a real plugin: a lookup takes longer than in a library with one name.
    let functions: Vec<String> = (0..200)
        .map(|n| format!("int plugin_{n}(void) {{ return {n}; }}\n"))
        .collect();
    std::fs::write(&source, functions.concat()).expect("room for a file");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "the C compiler failed"
    );
    let path = CString::new(library.to_str().expect("a path in UTF-8")).expect("no NUL");
    // SAFETY: the path is a text, and the library runs no code when it is loaded.
    let module: ModuleHandle = unsafe { load_module(path.as_ptr() as i64) };
    assert_ne!(module.handle, 0, "error {}", get_load_error_code());
    let handle = module.handle as *mut c_void;
    let look: unsafe extern "C" fn(ModuleHandle, i64) -> i64 = black_box(get_function);
    // SAFETY: the name is a static text.
    let ours = move || unsafe { look(module, black_box(c"plugin_150").as_ptr() as i64) };
    // SAFETY: the handle is of a library that stays open, and the name ends with a NUL.
    let bare = move || unsafe { dlsym(handle, black_box(c"plugin_150").as_ptr()) } as i64;
    assert!(ours() != 0 && ours() == bare());
    Pair {
        name: "get_function, against dlsym",
        ours: Box::new(move |calls| (0..calls).for_each(|_| _ = black_box(ours()))),
        bare: Box::new(move |calls| (0..calls).for_each(|_| _ = black_box(bare()))),
        budget: 1.3,
    }
}

fn fastest(pair: &mut Pair) -> (Duration, Duration) {
    let time = |calls: &mut Calls| {
        let start = Instant::now();
        calls(CALLS);
        start.elapsed() / CALLS
    };
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        best.0 = best.0.min(time(&mut pair.ours));
        best.1 = best.1.min(time(&mut pair.bare));
    }
    best
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let only = arguments.iter().position(|word| word == "--only");
    if let Some([_, which, calls]) = only.and_then(|at| arguments.get(at..at + 3)) {
        let calls = calls.parse().expect("a number of calls");
        let mut pair = if which.starts_with("wasm") {
            wasm()
        } else {
            native()
        };
        match which.ends_with("ours") {
            true => (pair.ours)(calls),
            false => (pair.bare)(calls),
        }
        return;
    }
    println!(
        "{:34} {:>8} {:>8} {:>7} {:>7}",
        "", "ours", "bare", "ratio", "budget"
    );
    for mut pair in [wasm(), native()] {
        let (ours, bare) = fastest(&mut pair);
        let ratio = ours.as_nanos() as f64 / bare.as_nanos() as f64;
        let (ours, bare) = (ours.as_nanos(), bare.as_nanos());
        let over = if ratio <= pair.budget { "" } else { "  OVER" };
        println!(
            "{:34} {ours:>5} ns {bare:>5} ns {ratio:>7.2} {:>7.2}{over}",
            pair.name, pair.budget
        );
    }
}
