//! Runs both fuzz targets over a fixed corpus: `cargo test --no-default-features`.

use dynload_fuzz::{Reached, load_and_run, meter};
use dynload_oracle::{guests, random};

/// Returns pseudorandom bytes generated from a seed.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

fn rounds() -> u64 {
    if std::env::var_os("DYNLOAD_PROVE").is_some() {
        20_000
    } else {
        200
    }
}

#[test]
fn whole_and_damaged_modules_are_loaded_and_run() {
    let mut reached = std::collections::BTreeMap::new();
    for guest in ["exits", "fib", "coroutine"] {
        let whole = guests::wasm(guest).expect("a guest");
        assert_eq!(load_and_run(&whole), Reached::Ran, "{guest}");
    }
    for seed in 0..rounds() {
        let mut wasm = random::module(seed % 50);
        assert_eq!(load_and_run(&wasm), Reached::Ran);
        for pair in bytes(seed, 6).chunks(2) {
            let at = 8 + (usize::from(pair[0]) << 8 | usize::from(pair[1])) % (wasm.len() - 8);
            wasm[at] = pair[1];
        }
        *reached.entry(load_and_run(&wasm)).or_insert(0) += 1;
    }
    println!("{reached:?}");
    assert!(reached.len() > 1, "{reached:?}");
}

#[test]
fn programs_generated_from_any_bytes_are_metered_exactly() {
    let mut returned = meter(&[]);
    for seed in 0..rounds() {
        returned += meter(&bytes(seed, 50 + (seed as usize % 30) * 40));
    }
    println!("{returned} calls returned");
    assert!(returned > 100, "only {returned} calls returned");
}
