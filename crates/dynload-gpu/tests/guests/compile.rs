//! Compiles guests in C.

use dynload_sandbox::{Engine, Module};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compiles a guest of this directory.
pub(crate) fn guest(name: &str) -> Module {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
    module(&directory.join(name).with_extension("c"))
}

/// Compiles a guest.
pub(crate) fn module(source: &Path) -> Module {
    let name = source.file_stem().unwrap();
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(name)
        .with_extension("wasm");
    let status = Command::new("clang")
        .args([
            "--target=wasm32",
            "-O2",
            "-mbulk-memory",
            "-ffreestanding",
            "-nostdlib",
        ])
        .args(["-Wl,--no-entry", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"])
        .arg(root().join("crates/dynload-sandbox/guest"))
        .arg("-o")
        .arg(&out)
        .arg(source)
        .status()
        .expect("guests need clang and wasm-ld (Debian: clang lld)");
    assert!(status.success(), "{source:?}");
    Module::new(&Engine::default(), std::fs::read(out).unwrap()).unwrap()
}
