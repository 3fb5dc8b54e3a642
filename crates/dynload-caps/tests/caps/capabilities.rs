//! Flags, names, numbers and limits.

use dynload_caps::{Capabilities, Limits};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::time::Duration;

#[test]
fn numbers_and_names_are_those_of_the_specification() {
    let numbers = [
        (Capabilities::NONE, 0, "none"),
        (Capabilities::CONSOLE, 1, "console"),
        (Capabilities::TIME, 2, "time"),
        (Capabilities::RANDOM, 4, "random"),
        (Capabilities::FS_READ, 8, "fs_read"),
        (Capabilities::FS_WRITE, 16, "fs_write"),
        (Capabilities::NETWORK, 32, "network"),
        (Capabilities::ENV, 64, "env"),
        (Capabilities::PROCESS, 128, "process"),
        (Capabilities::THREADING, 256, "threading"),
        (Capabilities::GPU, 512, "gpu"),
    ];
    for (flag, number, name) in numbers {
        assert_eq!(flag.bits(), number);
        assert_eq!(flag.to_string(), name);
        assert_eq!(name.parse(), Ok(flag));
        assert_eq!(name.to_uppercase().parse(), Ok(flag));
        assert_eq!(Capabilities::from_raw(number), Ok(flag));
        assert_eq!(flag.name(), (number != 0).then_some(name));
    }
    assert_eq!(Capabilities::all().bits(), 1023);
    assert_eq!(Capabilities::DANGEROUS.bits(), 16 + 32 + 64 + 128);
}

#[test]
fn a_set_with_any_of_the_four_is_dangerous() {
    for flag in Capabilities::all().iter() {
        let expected = ["fs_write", "network", "process", "env"].contains(&flag.name().unwrap());
        assert_eq!(flag.is_dangerous(), expected, "{flag}");
        assert_eq!((flag | Capabilities::CONSOLE).is_dangerous(), expected, "{flag}");
    }
    assert!(!Capabilities::NONE.is_dangerous());
}

#[test]
fn unknown_bits_are_refused_and_never_granted() {
    for number in [1024, i64::MIN, -1, i64::MAX] {
        let error = Capabilities::from_raw(number).unwrap_err();
        assert_eq!(error.bits(), number.cast_unsigned() & !1023);
    }
    let forged = Capabilities::from_bits_retain(1024 | 1);
    assert!(!forged.has(Capabilities::from_bits_retain(1024)));
    assert!(forged.has(Capabilities::CONSOLE));
    assert_eq!(forged.to_string(), "console|0x400");
}

#[test]
fn text_forms_are_parsed() {
    for text in ["", "  ", "none", "NONE", "none|none"] {
        assert_eq!(text.parse(), Ok(Capabilities::NONE), "{text:?}");
    }
    let both = Capabilities::FS_READ | Capabilities::ENV;
    for text in [
        "fs_read|env",
        " env , FS_READ ",
        "fs-read,env",
        "none|env|fs_read|env",
    ] {
        assert_eq!(text.parse(), Ok(both), "{text:?}");
    }
    assert_eq!(format!("{:>8}|", Capabilities::ENV), "     env|");
}

#[test]
fn errors_suggest_the_nearest_name() {
    let error = "console|fs_raed".parse::<Capabilities>().unwrap_err();
    assert_eq!((error.word.as_str(), error.nearest), ("fs_raed", Some("fs_read")));
    assert_eq!(
        error.to_string(),
        "unknown capability \"fs_raed\": did you mean `fs_read`?"
    );
    let error = "telepathy".parse::<Capabilities>().unwrap_err();
    assert!(error.to_string().ends_with(
        "the known names are none, console, time, random, fs_read, fs_write, network, env, process, threading, gpu"
    ));
    assert!(
        "console||env"
            .parse::<Capabilities>()
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
    assert!(
        "x".repeat(1 << 20)
            .parse::<Capabilities>()
            .unwrap_err()
            .to_string()
            .len()
            < 400
    );
}

#[test]
fn presets_have_the_documented_limits() {
    let table = [
        (Limits::DEFAULT, [67_108_864, 5_000, 1_048_576, 1_000]),
        (Limits::RESTRICTIVE, [16_777_216, 1_000, 262_144, 500]),
        (Limits::PERMISSIVE, [268_435_456, 60_000, 4_194_304, 5_000]),
    ];
    for (limits, numbers) in table {
        let found = [
            limits.max_memory_bytes,
            limits.max_time.as_millis() as u64,
            limits.max_stack_bytes,
            limits.max_call_depth,
        ];
        assert_eq!(found, numbers);
        assert_eq!(limits.max_fuel, None);
    }
    assert_eq!(Limits::default(), Limits::DEFAULT);
}

/// Returns a configuration with the same cases in every run, or many more and new ones if `DYNLOAD_PROVE` is set.
fn cases(short: u32, long: u32) -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var_os("DYNLOAD_PROVE") {
        Some(_) => (long, RngSeed::Random),
        None => (short, RngSeed::Fixed(0x6479_6e6c_6f61_6401)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(256, 100_000))]
    #[test]
    fn the_text_form_round_trips(bits in 0u64..1024) {
        let caps = Capabilities::from_raw(bits).unwrap();
        prop_assert_eq!(caps.to_string().parse(), Ok(caps));
        prop_assert_eq!(caps.names().count() as u32, bits.count_ones());
    }

    #[test]
    fn has_requires_every_bit(held in any::<u64>(), required in any::<u64>()) {
        let (caps, requested) = (Capabilities::from_bits_retain(held), Capabilities::from_bits_retain(required));
        let each = (0..64).filter(|bit| required >> bit & 1 == 1).all(|bit| bit < 10 && held >> bit & 1 == 1);
        prop_assert_eq!(caps.has(requested), each);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC*") {
        if let Err(error) = text.parse::<Capabilities>() {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn the_intersection_is_within_both(a in limits(), b in limits()) {
        let min = a.intersection(&b);
        prop_assert_eq!(min, b.intersection(&a));
        prop_assert_eq!(min.intersection(&a), min);
        let of = |one: Limits| [one.max_memory_bytes, one.max_time.as_millis() as u64, one.max_stack_bytes, one.max_call_depth, one.max_fuel.unwrap_or(u64::MAX)];
        for ((least, a), b) in of(min).into_iter().zip(of(a)).zip(of(b)) {
            prop_assert_eq!(least, std::cmp::min(a, b));
        }
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    any::<(u64, u64, u64, u64, Option<u64>)>().prop_map(|(memory, time, stack, depth, fuel)| {
        let limits = Limits::DEFAULT
            .with_memory_bytes(memory)
            .with_time(Duration::from_millis(time))
            .with_stack_bytes(stack)
            .with_call_depth(depth);
        match fuel {
            Some(fuel) => limits.with_fuel(fuel),
            None => limits.without_fuel_limit(),
        }
    })
}
