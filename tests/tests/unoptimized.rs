//! A build whose dependencies believe that they are optimized, and are not: the interpreter's tail calls are plain calls then.
//! So it is where a program links at another level than it compiled its crates at, as with a documentation test of one that
//! asks for fat LTO.

use std::fs;
use std::process::Command;

use dynload_tests::artifacts::root;
use dynload_tests::host::expect_success;

const PROGRAM: &str = r#"
use dynload_sandbox::{Engine, Module, ModuleError};

fn main() {
    match Module::new(&Engine::default(), b"\0asm\x01\0\0\0") {
        Ok(_) => println!("loaded"),
        Err(ModuleError::UnsafeBuild) => println!("refused"),
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
    let run = |features: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(dir.path());
        cargo.args([
            "run",
            "--quiet",
            "--release",
            "--features",
            features,
            "--target-dir",
        ]);
        // Behind what the profile says, which build scripts go by.
        cargo.arg(&target_dir).env("RUSTFLAGS", "-Copt-level=0");
        expect_success(&mut cargo)
    };
    assert_eq!(run(""), "refused\n");
    assert_eq!(run("portable"), "loaded\n");
}
