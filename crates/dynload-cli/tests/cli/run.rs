//! `dynload run`: exit codes, limits, grants.

use std::io::Write;
use std::process::Stdio;

use super::{Ended, Workplace};

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

/// Functions to call.
const FUNCTIONS: &str = r#"(module
    (memory 1)
    (func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
    (func (export "floats") (param f32 f64) (result f64 f32) (local.get 1) (local.get 0))
    (func (export "nothing"))
    (func $depth (export "depth") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0))
            (then (i32.const 0))
            (else (i32.add (i32.const 1) (call $depth (i32.sub (local.get 0) (i32.const 1)))))))
    (func (export "spin") (loop (br 0)))
    (func (export "trap") (unreachable))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

fn exits_with(code: i32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code}))))"#
    )
}

fn functions() -> Workplace {
    let place = Workplace::new();
    place.write("f.wat", FUNCTIONS);
    place
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
            "1 arguments were passed; pass 2",
        ],
    );
    place
        .words("run --invoke add f.wat 1 x")
        .fails(2, &["`x` is not an i64"]);
    place
        .words("run --invoke ad f.wat")
        .fails(2, &["`ad` is not an exported function; did you mean `add`?"]);
    place
        .words("run --invoke memory f.wat")
        .fails(2, &["not an exported function"]);
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
        &["does not export `_start`", "--invoke", "_initialize, value"],
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
        .words("run script")
        .fails(126, &["not a valid WebAssembly module"]);
    place
        .words("run import.wat")
        .fails(126, &["unresolved imports: `env.f`", "`wasi_snapshot_preview1`"]);
    place.words("run memory64.wat").fails(126, &["`--memory64`"]);
    place.words("run --memory64 memory64.wat").prints("");
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
    // Instantiation is within the limit too.
    place.write(
        "start.wat",
        r#"(module (func $spin (loop (br 0))) (start $spin) (func (export "_start")))"#,
    );
    place
        .words("run --time 50ms start.wat")
        .fails(124, &["the start function"]);
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
        (elem (i32.const 0) $big $big $big) (data (i32.const 0) "abc")
        (func $big (export "name") (param i32 i32) (result i32) (local i64)
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
    for name in [
        "bytes",
        "items",
        "elements",
        "constant-operators",
        "memories",
        "params",
        "locals",
        "total-locals",
        "body-bytes",
        "nesting",
        "carried-values",
        "load-bytes",
        "name-bytes",
    ] {
        run(format!("{name}=0")).fails(126, &["at most 0", "`--module-limit NAME=N`"]);
    }
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
        run(format!("{name}={}", count - 1)).fails(126, &["at most"]);
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

#[test]
fn a_scope_without_its_capability_is_a_usage_error() {
    let place = functions();
    for (options, remedy) in [
        ("--dir .", "--grant fs_read,fs_write"),
        ("--grant fs_write --dir-ro .", "--grant fs_read"),
        ("--env A=b", "--grant env"),
        ("--net *:443", "--grant network"),
        ("--program /bin/true", "--grant process"),
        ("--workers 2", "--grant threading"),
    ] {
        place
            .words(&format!("run {options} --invoke nothing f.wat"))
            .fails(2, &["has no effect without the capability", remedy]);
    }
    #[cfg(unix)]
    place
        .words(
            "run --grant fs_read,fs_write|env --grant network --grant process,threading --dir . --env A=b --net *:443 \
             --program /bin/true --workers 2 --invoke nothing f.wat",
        )
        .prints("");
}

#[test]
fn wrong_scopes_are_usage_errors() {
    let place = functions();
    place
        .words("run --grant consol f.wat")
        .fails(2, &["did you mean `console`?"]);
    place
        .words("run --grant network --net example.com f.wat")
        .fails(2, &["'example.com'"]);
    place
        .words("run --grant process --program git f.wat")
        .fails(2, &["absolute path"]);
    place
        .words("run --grant env --env =x f.wat")
        .fails(2, &["the name is empty"]);
    place
        .words("run --grant fs_read --dir .::/a/../b f.wat")
        .fails(2, &["`..`"]);
    #[cfg(unix)]
    place
        .words("run --grant fs_read --dir nothing f.wat")
        .fails(2, &["cannot open the directory `nothing`"]);
}

/// A command that creates a directory and exits with the errno.
#[cfg(unix)]
const MAKE_DIRECTORY: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_create_directory" (func $create (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 0) "new")
    (func (export "_start") (call $exit (call $create (i32.const 3) (i32.const 0) (i32.const 3)))))"#;

#[cfg(unix)]
#[test]
fn directories_are_writable_or_read_only() {
    let place = Workplace::new();
    place.write("make.wat", MAKE_DIRECTORY);
    place.write("data/file", "");
    let new = place.path().join("data/new");
    for denied in [
        "run --grant fs_read,fs_write --dir-ro data make.wat",
        "run --grant fs_read --dir data make.wat",
        "run make.wat",
    ] {
        assert_ne!(place.words(denied).code, Some(0), "{denied}");
        assert!(!new.exists(), "{denied}");
    }
    place
        .words("run --grant fs_read,fs_write --dir data::/d make.wat")
        .prints("");
    assert!(new.is_dir());
}

#[cfg(unix)]
#[test]
fn variables_have_the_value_of_the_host_or_a_fixed_one() {
    let place = Workplace::new();
    place.write(
        "env.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (drop (call $sizes (i32.const 0) (i32.const 4)))
                (drop (call $get (i32.const 100) (i32.const 1000)))
                (i32.store (i32.const 16) (i32.const 1000))
                (i32.store (i32.const 20) (i32.load (i32.const 4)))
                (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))"#,
    );
    let output = place
        .command()
        .args([
            "run",
            "--grant",
            "console,env",
            "--env",
            "HOST",
            "--env",
            "FIXED=a=b",
            "env.wat",
        ])
        .env("HOST", "of the host")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "HOST=of the host\0FIXED=a=b\0"
    );
}
