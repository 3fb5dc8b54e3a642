//! `dynload run`: exit codes, arguments, functions.

use std::io::Write;
use std::process::Stdio;

use super::{FUNCTIONS, Workplace, functions};

/// A command that writes its arguments, and exits with their number.
const ARGS: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $args (i32.const 100) (i32.const 1000)))
        (i32.store (i32.const 16) (i32.const 1000))
        (i32.store (i32.const 20) (i32.load (i32.const 4)))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
        (call $exit (i32.load (i32.const 0)))))"#;

fn exits_with(code: i32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code}))))"#
    )
}

#[test]
fn the_exit_code_is_that_of_the_guest() {
    let place = Workplace::new();
    for (code, expected) in [
        (0, 0),
        (1, 1),
        (3, 3),
        (124, 124),
        (255, 255),
        (256, 0),
        (-1, 255),
    ] {
        place.write("exit.wat", exits_with(code));
        let ended = place.words("run exit.wat").code(expected);
        assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
    }
    place.write("return.wat", "(module (func (export \"_start\")))");
    place.words("run return.wat").prints("");
}

#[test]
fn words_after_the_module_are_the_arguments_of_the_guest() {
    let place = Workplace::new();
    place.write("args.wat", ARGS);
    let ended = place
        .words("run --grant console args.wat one --usage --fuel 1 -- --help")
        .code(7);
    assert_eq!(ended.out, "args.wat\0one\0--usage\0--fuel\x001\0--\0--help\0");
    assert_eq!(ended.err, "");
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_utf8_is_a_usage_error() {
    use std::os::unix::ffi::OsStrExt;
    let place = functions();
    let word = std::ffi::OsStr::from_bytes(b"a\xff");
    place
        .run(["run".as_ref(), "f.wat".as_ref(), word])
        .fails(2, &["is not UTF-8"]);
    // Options that are not UTF-8 are refused by the parser.
    place
        .run(["run".as_ref(), "--invoke".as_ref(), word])
        .fails(2, &["UTF-8"]);
}

#[test]
fn binary_and_text_are_recognized_by_their_contents() {
    let place = Workplace::new();
    place.write("add.wasm", wat::parse_str(FUNCTIONS).unwrap());
    place.write("text", FUNCTIONS);
    place.write("comment.wasm", format!(";; text\n{FUNCTIONS}"));
    for file in ["add.wasm", "text", "comment.wasm"] {
        place
            .words(&format!("run --invoke add {file} 40 2"))
            .prints("42\n");
    }
}

#[cfg(unix)]
#[test]
fn the_guest_has_the_standard_streams() {
    let place = Workplace::new();
    place.write(
        "echo.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 100))
                (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    let mut child = place
        .command()
        .args(["run", "--grant", "console", "echo.wat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"hello\n"[..], &b"hello\n"[..])
    );
}

#[test]
fn invoke_parses_arguments_by_type_and_prints_results_by_line() {
    let place = functions();
    place.words("run --invoke add f.wat 40 2").prints("42\n");
    place.words("run --invoke add f.wat -1 0xff").prints("254\n");
    place
        .words("run --invoke floats f.wat 1.5 -0.25")
        .prints("-0.25\n1.5\n");
    place.words("run --invoke nothing f.wat").prints("");
    place.words("run --invoke add f.wat 1").fails(
        2,
        &[
            "`add` has the type (i64, i64) -> (i64)",
            "pass 2 arguments, not 1",
        ],
    );
    place.words("run --invoke add f.wat 1 x").fails(
        2,
        &["`add` has the type (i64, i64) -> (i64), and `x` is not a number of type i64"],
    );
    place
        .words("run --invoke ad f.wat")
        .fails(2, &["`ad` is not an exported function; did you mean `add`?"]);
    place
        .words("run --invoke memory f.wat")
        .fails(2, &["not an exported function"]);
}

#[test]
fn a_message_does_not_count_one_as_several() {
    let place = functions();
    place
        .words("run --depth 1 --invoke depth f.wat 1")
        .fails(134, &["exceeded the call depth limit of 1 frame;"]);
    place
        .words("run --invoke depth f.wat")
        .fails(2, &["pass 1 argument, not 0"]);
}

#[test]
fn a_float_result_has_as_few_digits_as_identify_it() {
    let place = functions();
    place
        .words("run --invoke floats f.wat 3.4028235e38 1e300")
        .prints("1e300\n3.4028235e38\n");
    place
        .words("run --invoke floats f.wat nan -inf")
        .prints("-inf\nnan\n");
}

#[test]
fn a_number_outside_the_range_of_its_type_is_an_error() {
    let place = functions();
    place
        .words("run --invoke floats f.wat 1e39 0")
        .fails(2, &["`1e39` is outside the range of f32"]);
    place
        .words("run --invoke floats f.wat 0 -1e309")
        .fails(2, &["`-1e309` is outside the range of f64"]);
    place
        .words("run --invoke depth f.wat 4294967296")
        .fails(2, &["`4294967296` is outside the range of i32"]);
}

#[test]
fn the_message_about_a_module_limit_names_the_option() {
    let place = functions();
    let ended = place
        .words("run --module-limit locals=0 --invoke depth f.wat 1")
        .code(126);
    assert!(ended.err.contains("`--module-limit locals=N`"), "{ended:#?}");
    assert!(!ended.err.contains("::"), "{ended:#?}");
}

#[test]
fn a_reactor_is_initialized_before_a_call() {
    let place = Workplace::new();
    place.write(
        "reactor.wat",
        r#"(module (global $ready (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $ready (i32.const 7)))
            (func (export "value") (result i32) (global.get $ready)))"#,
    );
    place.words("run --invoke value reactor.wat").prints("7\n");
    place.words("run --invoke _initialize reactor.wat").prints("");
    place.words("run reactor.wat").fails(
        126,
        &["does not export `_start`", "--invoke", "`_initialize`, `value`"],
    );
}

#[test]
fn a_file_that_is_not_a_module_has_its_own_exit_code() {
    let place = Workplace::new();
    place.write("empty.wasm", "");
    place.write("text.wat", "(module (func $f (call $g)))");
    place.write("script", "#!/bin/sh\n");
    place.write(
        "import.wat",
        r#"(module (import "env" "f" (func)) (func (export "_start")))"#,
    );
    place.write(
        "memory64.wat",
        r#"(module (memory i64 1) (func (export "_start")))"#,
    );
    place
        .words("run empty.wasm")
        .fails(126, &["`empty.wasm`", "an empty file"]);
    place
        .words("run text.wat")
        .fails(126, &["text.wat:1:", "unknown func", "$g"]);
    place
        .words("run empty.wasm --then more")
        .fails(126, &["an empty file"]);
    place
        .words("audit --path nowhere")
        .fails(2, &["`nowhere`", "does not exist"]);
    place
        .words("list --path nowhere")
        .fails(2, &["`nowhere`", "does not exist"]);
    place
        .words("run script")
        .fails(126, &["not a WebAssembly module", "another kind"]);
    place
        .words("run import.wat")
        .fails(126, &["unresolved imports: `env.f`", "`wasi_snapshot_preview1`"]);
    place.words("run memory64.wat").fails(126, &["`--memory64`"]);
    place.words("run --memory64 memory64.wat").prints("");
    place.write(
        "imported.wat",
        r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#,
    );
    place
        .words("run imported.wat")
        .fails(126, &["`env.memory`", "or pass `--imported-memory`"]);
    place.words("run --imported-memory imported.wat").prints("");
    #[cfg(unix)]
    place.words("run .").fails(126, &["cannot read `.`"]);
}

#[test]
fn a_file_that_does_not_exist_has_its_own_exit_code() {
    Workplace::new()
        .words("run nothing.wasm")
        .fails(127, &["`nothing.wasm` does not exist"]);
}

#[test]
fn an_aborted_guest_has_its_own_exit_code() {
    let place = functions();
    place
        .words("run --invoke trap f.wat")
        .fails(134, &["f.wat: `trap` trapped: unreachable executed"]);
    place.write(
        "print.wat",
        r#"(module (import "vais" "println" (func $print (param i32 i32)))
            (memory (export "memory") 1) (data (i32.const 0) "hello")
            (func (export "_start") (call $print (i32.const 0) (i32.const 5))))"#,
    );
    place
        .words("run print.wat")
        .fails(134, &["capability console", "grant it with `--grant console`"]);
    place.words("run --grant console print.wat").prints("hello\n");
    let ended = place.words("run --grant time --usage print.wat").code(134);
    assert!(ended.err.contains("\nnot granted: console\n"), "{ended:#?}");
}

#[test]
fn names_are_quoted_also_the_empty_one() {
    let place = Workplace::new();
    place.write(
        "f.wat",
        r#"(module (func (export "") (param i32)) (func (export "a, b")))"#,
    );
    place
        .words("run f.wat")
        .fails(126, &[r#"with `--invoke`: "", `a, b`"#]);
    place
        .run(["run", "--invoke", "", "f.wat"])
        .fails(2, &[r#"f.wat: "" has the type (i32) -> ()"#]);
    place.write("g.wat", "(module)");
    place
        .run(["run", "--invoke", "", "g.wat"])
        .fails(2, &[r#"g.wat: "" is not an exported function"#]);
    let text = place.words("inspect f.wat").code(0).out;
    assert!(text.contains("\n  \"\"    (i32) -> ()\n"), "{text}");
}

#[test]
fn an_error_does_not_quote_a_whole_file() {
    let place = Workplace::new();
    place.write("zeros.wat", [0; 4096]);
    place.write(
        "long.wat",
        format!("(module {} (func nop nope))", "(func)".repeat(1_000)),
    );
    for file in ["zeros.wat", "long.wat"] {
        let ended = place.words(&format!("run {file}")).code(126);
        assert!(
            ended.err.len() < 500 && ended.err.contains(&format!("{file}:1:")),
            "{ended:#?}"
        );
    }
    place.write("short.wat", "(module (func nope))");
    place
        .words("run short.wat")
        .fails(126, &["1 | (module (func nope))"]);
}

#[test]
fn remedies_are_those_of_the_command() {
    let place = Workplace::new();
    place.write("native", b"\x7fELF");
    let ended = place.words("run native").code(126);
    assert!(
        ended.err.contains("dynload inspect") && !ended.err.contains("dynload-native"),
        "{ended:#?}"
    );
}

/// A guest that is called with texts. `join` joins two; `fail` returns its argument as an error; `config` returns the value of
/// the name that is its argument.
const TEXTS: &str = r#"(module
    (import "vais" "read_args" (func $read (param i32)))
    (import "vais" "set_result" (func $set (param i32 i32)))
    (import "vais" "config_get" (func $config (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 40)
    (func (export "join") (param i32 i32) (result i32)
        (call $read (i32.const 0))
        (call $set (i32.const 0) (i32.add (local.get 0) (local.get 1)))
        (i32.const 0))
    (func (export "fail") (param i32) (result i32)
        (call $read (i32.const 0))
        (call $set (i32.const 0) (local.get 0))
        (i32.const 1))
    (func (export "config") (param i32) (result i32) (local $len i32)
        (call $read (i32.const 0))
        (local.set $len (call $config (i32.const 0) (local.get 0) (i32.const 1000) (i32.const 1000)))
        (if (i32.lt_s (local.get $len) (i32.const 0)) (then (return (i32.const 1))))
        (call $set (i32.const 1000) (local.get $len))
        (i32.const 0)))"#;

fn texts() -> Workplace {
    let place = Workplace::new();
    place.write("t.wat", TEXTS);
    place
}

#[test]
fn text_passes_arguments_as_they_are_and_writes_the_result() {
    let place = texts();
    place
        .words("run --invoke join --text t.wat 40 grüße")
        .prints("40grüße");
    place
        .run(["run", "--invoke", "join", "--text", "t.wat", "", "--text"])
        .prints("--text");
    place
        .run(["run", "--invoke", "join", "--text", "t.wat", "", ""])
        .prints("");
    place.words("run --invoke join --text t.wat a").fails(
        2,
        &[
            "`join` has the type (i32, i32) -> (i32)",
            "(i32) -> (i32), which has",
        ],
    );
    place.words("run --text t.wat a").fails(2, &["--invoke"]);
}

#[test]
fn a_hyphen_is_the_standard_input() {
    let place = texts();
    let mut input = vec![b'x'; 1 << 20];
    input.extend(b"\xff\0\r\n");
    let mut child = place
        .command()
        .args(["run", "--invoke", "join", "--text", "t.wat", "> ", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, [b"> ", &input[..]].concat());
}

#[test]
fn an_error_of_a_function_of_texts_is_the_message() {
    let place = texts();
    let ended = place.run(["run", "--invoke", "fail", "--text", "t.wat", "no \x1b[2J colour"]);
    assert_eq!(ended.out, "");
    ended.fails(1, &["dynload: t.wat: `fail` failed: no \\u{1b}[2J colour\n"]);
}

#[test]
fn a_function_of_texts_that_is_called_with_numbers_names_the_option() {
    let place = texts();
    place
        .words("run --invoke fail t.wat hello")
        .fails(2, &["`hello` is not a number", "pass `--text`"]);
    place
        .words("run --invoke fail t.wat 5")
        .fails(134, &["called `vais.read_args`", "pass `--text`"]);
    let ended = functions().words("run --invoke add f.wat 1 x").code(2);
    assert!(!ended.err.contains("--text"), "{ended:#?}");
}

#[test]
fn the_configuration_reaches_the_guest() {
    let place = texts();
    let line = "run --config greeting=a=b --config empty= --invoke config --text t.wat";
    place.words(&format!("{line} greeting")).prints("a=b");
    place.words(&format!("{line} empty")).prints("");
    place
        .words(&format!("{line} none"))
        .fails(1, &["`config` failed"]);
    place
        .words("run --config greeting --invoke config --text t.wat greeting")
        .fails(2, &["--config", "write NAME=VALUE"]);
}

#[cfg(unix)]
#[test]
fn a_cache_keeps_modules_and_is_not_trusted_if_others_can_write_to_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = Workplace::new();
    place.write(
        "answer.wat",
        r#"(module (func (export "f") (result i64) (i64.const 42)))"#,
    );
    for _ in 0..2 {
        place
            .words("run --cache kept/modules --invoke f answer.wat")
            .prints("42\n");
        let entries = std::fs::read_dir(place.path().join("kept/modules")).unwrap();
        assert_eq!(entries.count(), 1);
    }
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(place.path().join("kept/modules"), open).unwrap();
    place
        .words("run --cache kept/modules --invoke f answer.wat")
        .fails(
            2,
            &["the cache `kept/modules` cannot be used", "others can write"],
        );
}
