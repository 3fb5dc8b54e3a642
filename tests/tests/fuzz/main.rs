//! Random sequences of calls over the whole API, from four threads on the same objects, with live, stale, forged and foreign
//! handles. Nothing may crash, hang, or fail without an error; whatever is left over is destroyed at the end.
//!
//! A fixed seed and a few thousand calls by default. `DYNLOAD_PROVE=1` makes millions with seeds of the day, and runs the same
//! under AddressSanitizer where there is a nightly toolchain.

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

/// One call of something with something. `inside` is inside of a callback, where nothing heavy is started.
fn step(world: &World, dice: &mut Dice, inside: bool) {
    world.calls.fetch_add(1, Ordering::Relaxed);
    let result = if dice.below(2) == 0 {
        flat::call(world, dice, inside)
    } else {
        primitives::call(world, dice, inside)
    };
    let code = get_load_error_code();
    world.outcomes[code as usize].fetch_add(1, Ordering::Relaxed);
    // Either of them may be; but a text is there exactly when there is a code.
    assert_eq!(
        code != 0,
        get_load_error() != 0,
        "after a call that gave {result}"
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
    // Some calls make directories, by whatever text they are given.
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
        // SAFETY: nobody runs code of the plugin any more.
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
    // Under a sanitizer the number is given.
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
    assert!(started.elapsed() < Duration::from_secs(3600), "something waits");
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
            "nothing calls {}",
            function.name
        );
    }
}

#[test]
fn random_calls_under_address_sanitizer() {
    if std::env::var_os("DYNLOAD_PROVE").is_none() || std::env::var_os("DYNLOAD_FUZZ_CALLS").is_some() {
        println!("only with DYNLOAD_PROVE=1");
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
    // The interpreter goes from operator to operator by tail calls, which the sanitizer makes into real ones. The sandbox notices
    // and runs nothing; with this feature it uses a loop.
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
    // Set by the cargo that runs this test, and not for another toolchain.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
        cargo.env_remove(name);
    }
    cargo
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("DYNLOAD_FUZZ_CALLS", "1000000");
    // Texts that are kept for ever by design are reachable, so they count as no leak.
    cargo.env("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1");
    expect_success(&mut cargo);
}
