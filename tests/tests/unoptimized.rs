//! Builds in which the interpreter makes no tail calls: modules are refused before the native stack overflows, each with a
//! remedy, and the remedy works.

use std::fs;
use std::process::Command;

use dynload_tests::artifacts::root;
use dynload_tests::host::expect_success;

const PROGRAM: &str = r#"
use dynload_sandbox::{Engine, Module, ModuleError};

fn main() {
    match Module::new(&Engine::default(), b"\0asm\x01\0\0\0") {
        Ok(_) => println!("loaded"),
        Err(refused @ ModuleError::UnsafeBuild(cause)) => println!("{cause:?}: {refused}"),
        Err(other) => panic!("{other}"),
    }
}
"#;

#[test]
fn modules_are_refused_before_the_native_stack_overflows() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = format!(
        r#"
[package]
name = "unoptimized"
edition = "2024"

[features]
portable = ["dynload-sandbox/portable-dispatch"]

[dependencies]
dynload-sandbox = {{ path = {:?} }}

[workspace]
"#,
        root().join("crates/dynload-sandbox")
    );
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(root().join("Cargo.lock"), dir.path().join("Cargo.lock")).unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/main.rs"), PROGRAM).unwrap();
    let exe = std::env::current_exe().unwrap();
    let target_dir = exe.ancestors().nth(3).unwrap().join("unoptimized");
    let run = |profile: &[&str], features: &str, flags: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(dir.path());
        cargo.args(["run", "--quiet", "--release", "--features", features]);
        for setting in profile {
            cargo.args(["--config", &format!("profile.release.{setting}")]);
        }
        cargo.arg("--target-dir").arg(&target_dir).env("RUSTFLAGS", flags);
        expect_success(&mut cargo)
    };
    let refused = |profile: &[&str], flags: &str, cause: &str, help: &str| {
        let said = run(profile, "", flags);
        assert!(
            said.starts_with(cause) && said.contains(help),
            "{profile:?}: {said}"
        );
    };
    // The flag overrides the profile, which is all that build scripts see. The same happens to a program that is linked at
    // another optimization level than its crates were compiled at, such as a documentation test of one that requests fat LTO.
    // Without optimization the compiler leaves debug assertions in.
    refused(
        &[],
        "-Copt-level=0",
        "DebugAssertions",
        "`debug-assertions = false`",
    );
    assert_eq!(run(&[], "portable", "-Copt-level=0"), "loaded\n");
    refused(&[r#"lto="off""#], "", "NoTailCalls", "`codegen-units = 1`");
    assert_eq!(
        run(&[r#"lto="off""#, "package.wasmi.codegen-units=1"], "", ""),
        "loaded\n"
    );
    refused(&[r#"opt-level="s""#], "", "OptimizedForSize", "`opt-level = 3`");
    refused(
        &["debug-assertions=true"],
        "",
        "DebugAssertions",
        "`debug-assertions = false`",
    );
    // The remedy there is the way in which this workspace itself is built.
    let fast = ["wasmi", "wasmi_core", "wasmi_ir"].map(|package| format!("package.{package}.opt-level=3"));
    let fast: Vec<&str> = fast.iter().map(String::as_str).collect();
    let profile = [&[r#"opt-level="z""#], &fast[..]].concat();
    assert_eq!(run(&profile, "", ""), "loaded\n");
}
