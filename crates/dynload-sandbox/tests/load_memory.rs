//! The peak memory of loading a module: never more than the estimate, and refused if that is too much.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "sandbox/subject/shapes.rs"]
mod shapes;

use dynload_oracle::{guests, random, random::moves};
use dynload_sandbox::*;
use peak_alloc::PeakAlloc;
use shapes::*;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The peak memory while the module is loaded, in bytes, beyond the memory in use before.
fn peak(wasm: &[u8], config: EngineConfig) -> u64 {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let module = Module::new(&Engine::new(config), wasm);
    let peak = ALLOCATOR.peak_usage() - before;
    drop(module);
    peak as u64
}

/// One after the other: the counters cover the whole process.
#[test]
fn loading_stays_within_its_estimate_and_limit() {
    loading_stays_within_its_estimate();
    a_module_that_needs_too_much_memory_is_refused();
}

/// Parts of a function's body, each repeated, for which the interpreter or the rewriter keeps much data.
const PARTS: [&str; 24] = [
    "(memory.fill (i32.const 0) (i32.const 1) (i32.const 2))",
    "(memory.fill (local.get 0) (local.get 1) (local.get 0))",
    "(memory.copy (i32.const 0) (i32.const 1) (i32.const 2))",
    "(table.copy (i32.const 0) (i32.const 1) (i32.const 2))",
    "(table.fill (i32.const 0) (ref.null func) (i32.const 2))",
    "(memory.init $data (i32.const 0) (i32.const 1) (i32.const 2))",
    "(table.init $elem (i32.const 0) (i32.const 1) (i32.const 2))",
    "(table.set (i32.const 0) (table.get (i32.const 1)))",
    "local.get 0 if (result i32) i32.const 1 else i32.const 2 end drop",
    "local.get 1 local.get 0 if (param i32) (result i32) end drop",
    "VALUES local.get 0 if (param TYPES) (result TYPES) end DROPS",
    "VALUES local.get 0 if (param TYPES) (result TYPES) else end DROPS",
    "VALUES loop (param TYPES) (result TYPES) end DROPS",
    "VALUES block (param TYPES) (result TYPES) end DROPS",
    "local.get 0 if (result TYPES) VALUES else VALUES end DROPS",
    "block (result TYPES) VALUES local.get 0 br_if 0 end DROPS",
    "block (result TYPES) VALUES br 0 end DROPS",
    "block (result TYPES) block (result TYPES) VALUES local.get 0 br_table 0 1 end end DROPS",
    "i32.const 1 loop (param i32) (result i32) end drop",
    "(drop (select (local.get 0) (i32.const 1) (i32.eqz (local.get 1))))",
    "VALUES call $wide DROPS",
    "VALUES i32.const 0 call_indirect (type $wide) DROPS",
    "local.get 0 local.get 0 local.get 0 local.get 0 i32.const 7 local.set 0 drop drop drop drop",
    "(global.set 0 (i32.add (global.get 0) (local.get 0)))",
];

/// A module with this number of functions, each with a part repeated this number of times.
fn with_part(part: &str, times: usize, functions: usize) -> String {
    let values: String = (0..12).map(|n| format!("(i64.const {n}) ")).collect();
    let part = part
        .replace("VALUES", &values)
        .replace("TYPES", &"i64 ".repeat(12))
        .replace("DROPS", &"drop ".repeat(12));
    let function = format!("(func (param i32 i32) {})", format!("{part}\n").repeat(times));
    format!(
        r#"(module (type $wide (func (param {wide}) (result {wide}))) (memory 1) (table 2 funcref) (global (mut i32) (i32.const 0))
            (data $data "abc") (elem $elem func $wide) (func $wide (type $wide) {gets}) {})"#,
        function.repeat(functions),
        wide = "i64 ".repeat(12),
        gets = (0..12).map(|n| format!("(local.get {n})")).collect::<String>(),
    )
}

/// Modules that are mostly not code.
fn others() -> Vec<(String, Vec<u8>)> {
    let sum = format!("(i32.const 1) {}", "(i32.const 1) i32.add ".repeat(31));
    let fan = |labels: usize| {
        let blocks = "block (result i32) ".repeat(labels);
        let table: String = (0..labels).map(|n| format!("{n} ")).collect();
        format!(
            "(module (func (param i32) {blocks} i32.const 7 local.get 0 br_table {table} {} drop))",
            "end ".repeat(labels)
        )
    };
    [
        (
            "constant expressions",
            format!("(module {})", format!("(global i32 {sum})").repeat(5_000)),
        ),
        (
            "offsets",
            format!(
                "(module (memory 1) {})",
                format!("(data (offset {sum}) \"x\")").repeat(5_000)
            ),
        ),
        ("a fan of 800", fan(800)),
        ("a fan of 100", fan(100)),
        (
            "small functions",
            format!(
                "(module {})",
                "(func (param i32) (result i32) local.get 0)".repeat(20_000)
            ),
        ),
        (
            "functions that call",
            format!("(module (func $f) {})", "(func call $f)".repeat(20_000)),
        ),
        (
            "imports",
            format!("(module {})", r#"(import "a" "b" (func))"#.repeat(20_000)),
        ),
    ]
    .map(|(what, text)| (what.to_owned(), wat::parse_str(text).unwrap()))
    .to_vec()
}

fn loading_stays_within_its_estimate() {
    let shapes = families()
        .into_iter()
        .flat_map(|(what, n, family)| [n / 4, n].map(|n| (format!("{n} {what}"), family(n))));
    let guests = guests::ALL
        .iter()
        .map(|guest| (guest.name.to_owned(), guests::wasm(guest.name).unwrap()));
    let random = (0..40).map(|seed| (format!("seed {seed}"), random::program(seed).wasm));
    let moves = (0..40).map(|seed| {
        let wat = moves::program(seed, moves::Options::default());
        (format!("moves {seed}"), wat::parse_str(wat).unwrap())
    });
    let parts = PARTS.iter().flat_map(|part| {
        [(2_000, 1), (1, 2_000)].map(|(times, functions)| {
            let wat = with_part(part, times, functions);
            (
                format!("{part} x {times} x {functions}"),
                wat::parse_str(wat).unwrap(),
            )
        })
    });
    let all = shapes
        .chain(guests)
        .chain(random)
        .chain(moves)
        .chain(parts)
        .chain(others());
    let mut low = Vec::new();
    for (what, wasm) in all {
        for profile in [false, true] {
            let config = EngineConfig::default().with_profile(profile);
            let estimate = load_estimate(&wasm, &config).unwrap_or_else(|error| panic!("{what}: {error}"));
            let peak = peak(&wasm, config);
            println!(
                "{what}: {} bytes take {peak}, estimated {estimate} ({:.2} of that)",
                wasm.len(),
                estimate as f64 / peak as f64
            );
            // Even a module of no size has a few tables.
            if peak > estimate + 100_000 {
                low.push(format!("{what}: {peak}, {estimate} estimated, profile {profile}"));
            }
        }
    }
    assert!(low.is_empty(), "{low:#?}");
}

fn a_module_that_needs_too_much_memory_is_refused() {
    let (_, n, empty_ifs) = families()
        .into_iter()
        .find(|(what, ..)| *what == "empty ifs")
        .unwrap();
    let wasm = empty_ifs(n);
    let estimate = load_estimate(&wasm, &EngineConfig::default()).unwrap();
    let within = |bytes| {
        let mut limits = ModuleLimits::default();
        limits.max_load_bytes = bytes;
        Module::new(
            &Engine::new(EngineConfig::default().with_module_limits(limits)),
            &wasm,
        )
    };
    assert!(within(estimate).is_ok());
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    match within(estimate / 10) {
        Err(ModuleError::TooLarge { found, most, .. }) => {
            assert_eq!(most, estimate / 10);
            assert!((most..most + 1_000).contains(&found), "{found}");
        }
        other => panic!("{other:?}"),
    }
    // The excess is detected partway.
    let taken = (ALLOCATOR.peak_usage() - before) as u64;
    assert!(taken < estimate / 5, "{taken} of {estimate}");
}
