//! The limits of `dynload run`.

use super::{Ended, Workplace, functions};
use dynload_sandbox::ModuleLimit;

/// Returns a number of the report of `--usage`.
#[track_caller]
fn reading(ended: &Ended, before: &str) -> u64 {
    let rest = &ended.err[ended.err.find(before).unwrap() + before.len()..];
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn each_limit_is_exact() {
    let place = functions();
    for call in ["add f.wat 40 2", "depth f.wat 9"] {
        let ended = place.words(&format!("run --usage --invoke {call}")).code(0);
        for (option, before, name) in [
            ("--fuel", "fuel: ", "fuel"),
            ("--memory", "peak memory: ", "memory"),
            ("--stack", "peak stack: ", "stack"),
            ("--depth", "peak call depth: ", "call depth"),
        ] {
            let used = reading(&ended, before);
            assert!(used > 0, "{ended:#?}");
            place
                .words(&format!("run {option} {used} --invoke {call}"))
                .code(0);
            place
                .words(&format!("run {option} {} --invoke {call}", used - 1))
                .fails(
                    134,
                    &[&format!("the {name} limit"), &format!("raise it with `{option}`")],
                );
        }
    }
}

#[test]
fn sizes_have_suffixes() {
    let place = functions();
    // One page, which grows to three.
    place
        .words("run --memory 192K --invoke grow f.wat 2")
        .prints("1\n");
    place
        .words("run --memory 191K --invoke grow f.wat 2")
        .prints("-1\n");
    place
        .words("run --memory 64x --invoke grow f.wat 2")
        .fails(2, &["'64x'", "64K"]);
}

#[test]
fn the_time_limit_has_its_own_exit_code() {
    let place = functions();
    place.words("run --time 50ms --invoke spin f.wat").fails(
        124,
        &["exceeded the time limit of 50 ms", "raise it with `--time`"],
    );
    place
        .words("run --time none --invoke depth f.wat 900")
        .prints("900\n");
    place
        .words("run --time 5 --invoke spin f.wat")
        .fails(2, &["'5'", "5s"]);
    place
        .words("run --time 1s --invoke spin f.wat")
        .fails(124, &["exceeded the time limit of 1 s;"]);
    // Instantiation is within the limit too.
    place.write(
        "start.wat",
        r#"(module (func $spin (loop (br 0))) (start $spin) (func (export "_start")))"#,
    );
    place
        .words("run --time 50ms start.wat")
        .fails(124, &["the start function"]);
}

/// Not options, and not in the words of a library.
#[test]
fn a_wrong_number_is_reported_with_its_option_and_range() {
    let place = functions();
    for (option, value, part) in [
        ("--fuel", "-1", "write a whole number"),
        ("--memory", "-1K", "write a whole number"),
        (
            "--stack",
            "20000000000G",
            "it is larger than 18446744073709551615",
        ),
        ("--time", "-1s", "write a whole number with a unit"),
        (
            "--depth",
            "x",
            "write a whole number from 0 to 18446744073709551615",
        ),
        (
            "--depth",
            "18446744073709551616",
            "from 0 to 18446744073709551615",
        ),
        (
            "--workers",
            "4294967296",
            "write a whole number from 0 to 4294967295",
        ),
        ("--workers", "-1", "write a whole number from 0 to 4294967295"),
        ("--module-limit", "-1", "NAME=N"),
    ] {
        place
            .words(&format!("run {option} {value} f.wat"))
            .fails(2, &[&format!("invalid value '{value}' for '{option} <"), part]);
    }
    place
        .words("watch --debounce -1s f.wat")
        .fails(2, &["invalid value '-1s' for '--debounce <"]);
}

#[test]
fn presets_set_all_limits() {
    let place = functions();
    // The number of frames: 500, 1000, 5000.
    for (preset, frames) in [("restrictive", 500), ("default", 1_000), ("permissive", 5_000)] {
        let run = |depth: u32| place.words(&format!("run --limits {preset} --invoke depth f.wat {depth}"));
        run(frames - 1).code(0);
        run(frames).fails(134, &["call depth limit"]);
    }
    // An option changes the preset, whichever comes first.
    place
        .words("run --depth 600 --limits restrictive --invoke depth f.wat 599")
        .code(0);
    place
        .words("run --limits lax f.wat")
        .fails(2, &["'lax'", "permissive"]);
}

#[test]
fn each_module_limit_refuses_a_module_that_exceeds_it() {
    let place = Workplace::new();
    let text = r#"(module
        (table 20 funcref) (memory 1)
        (elem (i32.const 0) 0 0 0) (data (i32.const 0) "abc")
        (func (export "name") (param i32 i32) (result i32) (local i64)
            (block (block (block)))
            (block (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result)
                drop drop drop drop drop drop drop drop drop drop
                (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
                drop drop drop drop drop)
            (local.get 0)))"#;
    // The block needs its operands.
    let operands = "(local.get 0) ".repeat(20);
    let params = "i32 ".repeat(20);
    let drops = "drop ".repeat(20);
    let text = text.replace(
        &text[text.find("(block (param").unwrap()..text.rfind("(local.get 0)))").unwrap()],
        &format!("{operands} (block (param {params}) {drops})\n"),
    );
    let bytes = wat::parse_str(&text).unwrap();
    place.write("m.wasm", &bytes);
    let run = |limit: String| place.words(&format!("run --invoke name --module-limit {limit} m.wasm 7 8"));
    run("bytes=1G".to_owned()).prints("7\n");
    for limit in ModuleLimit::ALL {
        let name = limit.name();
        run(format!("{name}=0")).fails(126, &["the limit is 0", &format!("`--module-limit {name}=N`")]);
    }
    run("memories=0".to_owned()).fails(126, &["the module has 1 table, and"]);
    run("load-bytes=1".to_owned()).fails(
        126,
        &["the module takes at least ", " bytes of memory for loading"],
    );
    place.write("two.wat", "(module (memory 0) (memory 0))");
    place
        .words("run --module-limit memories=1 two.wat")
        .fails(126, &["the module has 2 memories, and"]);
    // The boundaries of those that are easy to count.
    for (name, count) in [
        ("bytes", bytes.len()),
        ("elements", 3),
        ("params", 20),
        ("locals", 3),
        ("total-locals", 3),
        ("name-bytes", 4),
        ("carried-values", 4),
    ] {
        run(format!("{name}={count}")).prints("7\n");
        run(format!("{name}={}", count - 1)).fails(126, &[&format!("the limit is {}", count - 1)]);
    }
    place
        .words("run --module-limit locls=1 m.wasm")
        .fails(2, &["did you mean `locals`?"]);
    place
        .words("run --module-limit locals m.wasm")
        .fails(2, &["NAME=N"]);
    place
        .words("run --module-limit locals=x m.wasm")
        .fails(2, &["64K"]);
}
