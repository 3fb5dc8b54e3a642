//! The guests: their results are correct, and the checked-in binaries match the sources.

use dynload_oracle::guests::{self, Guest};
use dynload_oracle::{Imports, Limits, Oracle, Schedule, Usage, Value};

#[track_caller]
fn run(wasm: &[u8], argument: i32) -> (Value, Usage) {
    let mut oracle = Oracle::new(wasm, Imports::new(), Schedule::default()).expect("the guest is valid");
    oracle
        .instantiate(Limits::default())
        .expect("the guest needs no imports");
    let outcome = oracle.call("run", &[Value::I32(argument)], Limits::default());
    match outcome.result.as_deref() {
        Ok([value]) => (*value, outcome.usage),
        other => panic!("{other:?}"),
    }
}

#[test]
fn known_answers() {
    let cases = [
        ("ackermann", 10, Value::I32(23)),
        ("fib", 20, Value::I32(6765)),
        ("queens", 6, Value::I32(4)),
        ("queens", 8, Value::I32(92)),
        // The digest, CRC-32 and Adler-32 of the same bytes, from other implementations.
        ("sha256", 1, Value::I32(-2077838187)),
        ("checksum", 2, Value::I64(9048678675700448302)),
        ("sieve", 10_000, Value::I32(1229)),
        // Collatz: no step from 1, one from 2, seven from 3.
        ("vm", 3, Value::I64(8)),
    ];
    for (name, argument, expected) in cases {
        let wasm = guests::wasm(name).expect("the binary is checked in");
        assert_eq!(run(&wasm, argument).0, expected, "{name}({argument})");
    }
}

#[test]
fn small_runs_are_small_and_succeed() {
    for Guest { name, small, .. } in guests::ALL {
        let wasm = guests::wasm(name).expect("the binary is checked in");
        let (value, usage) = run(&wasm, *small);
        assert!(
            !matches!(value, Value::I32(-1) | Value::I64(-1)),
            "{name} returned -1, its failure value"
        );
        assert!(
            (2_000..2_000_000).contains(&usage.fuel),
            "{name} burns {}",
            usage.fuel
        );
    }
}

#[test]
fn checked_in_binaries_match_the_sources() {
    for guest in guests::ALL {
        if guest.language == "c" && !has_pinned_clang() {
            continue;
        }
        let built = guests::build(guest.name).expect("the guest compiles");
        assert!(
            built == guests::wasm(guest.name).expect("the binary is checked in"),
            "{} is out of date",
            guest.name
        );
    }
}

/// Returns whether the pinned clang is installed: other versions produce other bytes from the same source.
fn has_pinned_clang() -> bool {
    let clang = std::env::var_os("CLANG").unwrap_or_else(|| "clang".into());
    let output = std::process::Command::new(clang).arg("--version").output();
    let readme = std::fs::read_to_string(guests::folder().join("README.md")).expect("the README exists");
    let version = |text: &str| text.lines().next().map(str::to_owned);
    let Some(installed) = output
        .ok()
        .and_then(|output| version(&String::from_utf8_lossy(&output.stdout)))
    else {
        return false;
    };
    readme.contains(&installed)
}
