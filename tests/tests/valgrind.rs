//! The C programs under Valgrind's memcheck, if it is installed: no invalid access, no use of uninitialized memory, no leaks.

use std::path::PathBuf;
use std::process::Command;

use dynload_tests::artifacts::root;
use dynload_tests::host::{Compiler, Link, compile, expect_success, native_plugin, wasm_plugin};

fn is_installed() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn check(name: &str, args: &dyn Fn(&std::path::Path) -> Vec<PathBuf>, expected: &str) {
    if !is_installed() {
        println!("valgrind is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = compile(
        Compiler::C,
        &root().join(format!("tests/hosts/{name}.c")),
        Link::Shared,
        dir.path(),
    );
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite",
    ]);
    // Child processes are compilers, which are not tested here.
    valgrind.args(["--trace-children=no", "--child-silent-after-fork=yes"]);
    valgrind.arg(program).args(args(dir.path()));
    assert_eq!(expect_success(&mut valgrind), expected);
}

#[test]
fn loading_and_unloading() {
    let plugin = |dir: &std::path::Path| vec![native_plugin("plugin", dir)];
    // The output contains the path of the plugin.
    if is_installed() {
        let dir = tempfile::tempdir().unwrap();
        let path = plugin(dir.path())[0].clone();
        let expected = format!(
            "plugin_init() = 1\ndlsym finds the same: 1\npath {}, version 1\nversion 2\nunloaded 1\nagain 0\n\
             loaded 0, an error 1\n",
            path.display()
        );
        check("example_loading", &move |_| vec![path.clone()], &expected);
    }
}

#[test]
fn a_sandbox() {
    let expected = "hello from the plugin\nprocess(42) = 84\nrevoked: 0\n\
                    `process` called `vais.println`, which needs the capability console that is not granted\n\
                    valid 0, reset 1, valid 1\ndestroyed 1\nvalid 0\n";
    check(
        "example_sandbox",
        &|dir| vec![wasm_plugin("plugin", dir)],
        expected,
    );
}

/// Takes half a minute, so it runs only with `DYNLOAD_PROVE=1`.
#[test]
fn hostile_input() {
    if std::env::var_os("DYNLOAD_PROVE").is_none() {
        println!("skipped: set DYNLOAD_PROVE=1 to run it");
        return;
    }
    check(
        "hostile",
        &|dir| vec![native_plugin("plugin", dir), wasm_plugin("plugin", dir)],
        "0 failures\n",
    );
}
