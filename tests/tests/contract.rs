//! The guarantees of the header beyond its functions: signal handlers, `fork`, callbacks that do not return.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use dynload_tests::artifacts::root;
use dynload_tests::host::{BOTH, Compiler, Link, compile, expect_success, native_plugin, wasm_plugin};

/// Wraps a program in `timeout` of coreutils, which kills it if it would block forever.
fn bounded(program: &std::path::Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60"]).arg(program);
    command
}

#[test]
fn an_interrupt_from_a_signal_handler_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = wasm_plugin("plugin", dir.path());
    for link in BOTH {
        let program = compile(
            Compiler::C,
            &root().join("tests/hosts/signals.c"),
            link,
            dir.path(),
        );
        assert_eq!(expect_success(bounded(&program).arg(&plugin)), "0 failures\n");
    }
}

#[test]
fn parent_and_child_both_work_after_a_fork() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        native_plugin("plugin", dir.path()),
        wasm_plugin("plugin", dir.path()),
    ];
    let program = compile(
        Compiler::C,
        &root().join("tests/hosts/forks.c"),
        Link::Shared,
        dir.path(),
    );
    assert_eq!(expect_success(bounded(&program).args(&args)), "0 failures\n");
}

#[test]
fn a_hot_reloader_of_the_parent_is_an_error_in_a_forked_child_and_a_new_one_works() {
    let dir = tempfile::tempdir().unwrap();
    let program = compile(
        Compiler::C,
        &root().join("tests/hosts/forks_reloader.c"),
        Link::Shared,
        dir.path(),
    );
    let output = bounded(&program)
        .arg(dir.path().join("plugin.wat"))
        .output()
        .unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!((out.as_str(), errors.as_str()), ("0 failures\n", ""));
}

#[test]
fn a_callback_that_does_not_return_ends_the_process_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        ("run", wasm_plugin("imports", dir.path()), "a host function"),
        ("process", wasm_plugin("plugin", dir.path()), "the console"),
    ];
    for link in BOTH {
        let program = compile(
            Compiler::Cpp,
            &root().join("tests/hosts/leaves.cpp"),
            link,
            dir.path(),
        );
        for (export, plugin, what) in &rows {
            for way in ["throw", "exit", "cancel"] {
                // Run directly: `timeout` would report the exit status differently.
                let output = Command::new(&program)
                    .args([way, export])
                    .arg(plugin)
                    .output()
                    .unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                let seen = format!("{link:?} {export} {way}: {} {errors}", output.status);
                assert_eq!(output.status.signal(), Some(6), "{seen}");
                let message = format!("dynload: {what} was left by an exception");
                assert!(errors.contains(&message), "{seen}");
                assert!(output.stdout.is_empty(), "{seen}");
            }
            let fine = Command::new(&program)
                .args(["return", export])
                .arg(plugin)
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&fine.stdout), "still here\n");
        }
    }
}
