//! Random sequences of calls over the whole API, from four threads on the same objects, with live, stale, forged and foreign
//! handles. Nothing may crash, hang, or fail without an error; the remaining objects are destroyed at the end.
//!
//! By default, a fixed seed and 50 000 calls. `DYNLOAD_PROVE=1` makes 3 million calls with a seed from the current time, and
//! runs the same test under AddressSanitizer, which requires a nightly toolchain.

mod callbacks;
mod flat;
mod primitives;
mod world;

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use dynload_ffi::flat::{get_load_error, get_load_error_code, unload_module};
use dynload_tests::artifacts::root;
use dynload_tests::header;
use dynload_tests::host::{expect_success, native_plugin, wasm_plugin};

use world::{Dice, World, destroy};

const THREADS: u64 = 4;

/// Makes one random call. `inside` is true within a callback, where no expensive work is started.
fn step(world: &World, dice: &mut Dice, inside: bool) {
    world.calls.fetch_add(1, Ordering::Relaxed);
    let result = if dice.below(2) == 0 {
        flat::call(world, dice, inside)
    } else {
        primitives::call(world, dice, inside)
    };
    let code = get_load_error_code();
    world.outcomes[code as usize].fetch_add(1, Ordering::Relaxed);
    // Any call may fail, but there is an error text exactly if there is an error code.
    assert_eq!(
        code != 0,
        get_load_error() != 0,
        "after a call that returned {result}"
    );
}

fn fuzz(seed: u64, calls: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        native_plugin("plugin", dir.path()),
        wasm_plugin("plugin", dir.path()),
        wasm_plugin("imports", dir.path()),
    ];
    let wat = dir.path().join("imports.wat");
    std::fs::copy(root().join("tests/plugins/imports.wat"), &wat).unwrap();
    let world = World::new(&files, &[wat, dir.path().to_owned()]);
    // Some calls create directories, named by the text that they receive.
    let before = std::env::current_dir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || {
                let mut dice = Dice((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (thread + 1));
                while world.calls.load(Ordering::Relaxed) < calls {
                    step(world, &mut dice, false);
                }
            });
        }
    });
    for handles in &world.handles {
        for handle in handles.lock().unwrap().drain(..) {
            destroy(handle);
        }
    }
    for module in world.modules.lock().unwrap().drain(..) {
        // SAFETY: no thread runs code of the plugin any more.
        unsafe { unload_module(module) };
    }
    std::env::set_current_dir(before).unwrap();
    let called_back = world.called_back.load(Ordering::Relaxed);
    println!(
        "guests called back {called_back} times; calls by error code: {:?}",
        world.outcomes
    );
    assert!(called_back > 0, "no guest ran far enough to call its host");
    world.calls.load(Ordering::Relaxed)
}

#[test]
fn random_calls_from_four_threads() {
    let prove = std::env::var_os("DYNLOAD_PROVE").is_some();
    // The run under the sanitizer sets the number of calls.
    let calls = std::env::var("DYNLOAD_FUZZ_CALLS")
        .ok()
        .and_then(|calls| calls.parse().ok());
    let calls = calls.unwrap_or(if prove { 3_000_000 } else { 50_000 });
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |now| now.as_secs());
    let seed = std::env::var("DYNLOAD_FUZZ_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or(if prove { now } else { 1 });
    println!("DYNLOAD_FUZZ_SEED={seed}");
    let started = Instant::now();
    let made = fuzz(seed, calls);
    println!("{made} calls in {:?}", started.elapsed());
    assert!(made >= calls);
    assert!(
        started.elapsed() < Duration::from_secs(3600),
        "the calls took too long"
    );
}

#[test]
fn no_function_is_left_out() {
    let calls = concat!(
        include_str!("flat.rs"),
        include_str!("primitives.rs"),
        include_str!("main.rs")
    );
    let functions = [header::all_flat(&root()), header::all_primitives(&root())];
    let functions: Vec<_> = functions.into_iter().flat_map(Result::unwrap).collect();
    assert!(functions.len() > 100);
    for function in functions {
        let called = format!("{}(", function.name);
        let preceded = |at: usize| calls[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        assert!(
            calls.match_indices(&called).any(|(at, _)| !preceded(at)),
            "the test does not call `{}`",
            function.name
        );
    }
}

#[test]
fn random_calls_under_address_sanitizer() {
    if std::env::var_os("DYNLOAD_PROVE").is_none() || std::env::var_os("DYNLOAD_FUZZ_CALLS").is_some() {
        println!("skipped: set DYNLOAD_PROVE=1 to run it");
        return;
    }
    let target = expect_success(Command::new("rustc").args(["-vV"]));
    let target = target
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let exe = std::env::current_exe().unwrap();
    let target_dir = exe.ancestors().nth(3).unwrap().join("asan");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args([
        "+nightly",
        "test",
        "--quiet",
        "-p",
        "dynload-tests",
        "--test",
        "fuzz",
        "--target",
        target,
    ]);
    // The interpreter dispatches from operator to operator by tail calls, which the sanitizer turns into ordinary calls. The
    // sandbox detects this and runs nothing; with this feature it uses a loop.
    cargo.args([
        "-p",
        "dynload-sandbox",
        "--features",
        "dynload-sandbox/portable-dispatch",
    ]);
    cargo
        .arg("--target-dir")
        .arg(target_dir)
        .args(["--", "random_calls_from_four_threads"]);
    // Set by the cargo that runs this test, and wrong for another toolchain.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
        cargo.env_remove(name);
    }
    cargo
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("DYNLOAD_FUZZ_CALLS", "1000000");
    // Texts that are kept forever by design are reachable, so they do not count as leaks.
    cargo.env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1");
    expect_success(&mut cargo);
}
