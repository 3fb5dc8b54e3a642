//! What loading a module takes in memory at its peak: never more than is estimated, and refused where that is too much.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "subject/shapes.rs"]
mod shapes;

use dynload_oracle::{guests, random, random::moves};
use dynload_sandbox::*;
use peak_alloc::PeakAlloc;
use shapes::*;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that are taken at once while the module is loaded, beyond those that are taken before.
fn peak(wasm: &[u8]) -> u64 {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let module = Module::new(&Engine::default(), wasm);
    let peak = ALLOCATOR.peak_usage() - before;
    drop(module);
    peak as u64
}

/// One after the other: what is counted is all that the process takes.
#[test]
fn loading_takes_what_it_may() {
    loading_takes_no_more_than_is_estimated();
    a_module_that_takes_too_much_is_refused();
}

fn loading_takes_no_more_than_is_estimated() {
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
    for (what, wasm) in shapes.chain(guests).chain(random).chain(moves) {
        let estimate =
            load_estimate(&wasm, &EngineConfig::default()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let peak = peak(&wasm);
        let size = wasm.len() as u64;
        println!(
            "{what}: {size} bytes take {peak} ({:.1}x), estimated {estimate} ({:.1}x of that)",
            peak as f64 / size as f64,
            estimate as f64 / peak as f64
        );
        // A module of no size has a few tables all the same.
        assert!(peak <= estimate + 100_000, "{what}: {peak}, {estimate} estimated");
    }
}

fn a_module_that_takes_too_much_is_refused() {
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
        Err(ModuleError::TooLarge { found, limit, .. }) => {
            assert_eq!(limit, estimate / 10);
            assert!((limit..limit + 1_000).contains(&found), "{found}");
        }
        other => panic!("{other:?}"),
    }
    // It was found out on the way.
    let taken = (ALLOCATOR.peak_usage() - before) as u64;
    assert!(taken < estimate / 5, "{taken} of {estimate}");
}
