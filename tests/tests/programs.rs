//! Other programs: hostile ones, ones with threads, ones that define the flat functions themselves, Python.

use std::process::Command;

use dynload_tests::artifacts::{artifacts, root};
use dynload_tests::host::{BOTH, Compiler, Link, compile, expect_success, native_plugin, wasm_plugin};

#[test]
fn hostile_input() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        native_plugin("plugin", dir.path()),
        wasm_plugin("plugin", dir.path()),
    ];
    for link in BOTH {
        let program = compile(
            Compiler::C,
            &root().join("tests/hosts/hostile.c"),
            link,
            dir.path(),
        );
        assert_eq!(expect_success(Command::new(program).args(&args)), "0 failures\n");
    }
}

#[test]
fn four_threads() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        native_plugin("plugin", dir.path()),
        wasm_plugin("plugin", dir.path()),
        wasm_plugin("imports", dir.path()),
    ];
    let program = compile(
        Compiler::C,
        &root().join("tests/hosts/threads.c"),
        Link::Shared,
        dir.path(),
    );
    assert_eq!(expect_success(Command::new(program).args(&args)), "0 failures\n");
}

/// By default, SIGPIPE ends a C program.
#[test]
fn closed_pipes() {
    let dir = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let program = compile(
        Compiler::C,
        &root().join("tests/hosts/closed_pipes.c"),
        Link::Shared,
        dir.path(),
    );
    let output = expect_success(
        Command::new(program)
            .arg(wasm_plugin("pipes", dir.path()))
            .arg(data.path()),
    );
    assert_eq!(output, "0 failures\n");
}

#[test]
fn calls_at_exit_at_thread_end_and_from_a_constructor() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = wasm_plugin("plugin", dir.path());
    let [starts, stops] = ["starts_itself.c", "stops_itself.c"].map(|name| {
        let source = dir.path().join(name);
        std::fs::copy(root().join("tests/native").join(name), &source).unwrap();
        source
    });
    let program = compile(
        Compiler::C,
        &root().join("tests/hosts/last_calls.c"),
        Link::Shared,
        dir.path(),
    );
    let output = expect_success(Command::new(program).args([&plugin, &starts, &stops]));
    assert_eq!(output, "0 failures\n");
}

#[test]
fn a_program_that_defines_the_flat_names() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = wasm_plugin("plugin", dir.path());
    for link in BOTH {
        let program = compile(
            Compiler::C,
            &root().join("tests/hosts/own_names.c"),
            link,
            dir.path(),
        );
        let expected = "primitive 42\nerror 5, none of mine used: 1\nmine 3 mine 1.5 7 0.5\ntheirs 1\n";
        assert_eq!(expect_success(Command::new(program).arg(&plugin)), expected);
    }
}

#[test]
fn a_program_with_first_class_structs() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = wasm_plugin("plugin", dir.path());
    for link in BOTH {
        let program = compile(
            Compiler::Clang,
            &root().join("tests/hosts/own_names.ll"),
            link,
            dir.path(),
        );
        assert_eq!(expect_success(Command::new(program).arg(&plugin)), "3 42 3 1\n");
    }
}

#[test]
fn the_python_package() {
    let dir = tempfile::tempdir().unwrap();
    let mut python = Command::new("python3");
    python
        .arg(root().join("python/tests/test_dynload.py"))
        .env("DYNLOAD_LIBRARY", &artifacts().shared)
        .env("PYTHONPATH", root().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NATIVE_PLUGIN", native_plugin("plugin", dir.path()))
        .env("WASM_PLUGIN", wasm_plugin("plugin", dir.path()));
    expect_success(&mut python);
}
