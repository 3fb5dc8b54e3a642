//! Tests of names that are not Unicode, or as long as the file system allows.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dynload_hotreload::{ArtifactKind, BuildCommand, Builder, Config, ReloadError, Reloader, Step};

use crate::harness::*;
use crate::native::{self, call, loader};

/// The longest name on the usual file systems, in bytes (pathconf(3), `_PC_NAME_MAX`).
const NAME_MAX: usize = 255;

fn odd(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

fn c(value: u32) -> String {
    format!("long long value(void) {{ return {value}; }}\n")
}

fn rust(value: u32) -> String {
    format!("#[no_mangle] pub extern \"C\" fn value() -> i64 {{ {value} }}\n")
}

/// Loads a source, edits it, and loads it again.
fn two_versions(source: &Path, code: impl Fn(u32) -> String) {
    fs::write(source, code(1)).unwrap();
    let config = Config::new(source).with_debounce(std::time::Duration::ZERO);
    let reloader = Reloader::new(config, loader()).unwrap();
    reloader.start().unwrap();
    let error = reloader.last_error().map(|error| error.report());
    assert_eq!(reloader.version(), 1, "{error:?}");
    fs::write(source, code(2)).unwrap();
    await_version(&reloader, 2);
    assert_eq!(call(&reloader.current().unwrap(), "value"), 2);
}

/// Returns a path whose last name has the maximum length.
fn longest(dir: &Dir, extension: &str) -> PathBuf {
    dir.at(&format!(
        "{}.{extension}",
        "x".repeat(NAME_MAX - 1 - extension.len())
    ))
}

#[test]
fn sources_with_the_longest_names_are_built_and_loaded() {
    let dir = Dir::new();
    two_versions(&longest(&dir, "c"), c);
    two_versions(&longest(&dir, "rs"), rust);
}

#[test]
fn libraries_with_odd_names_are_loaded() {
    let dir = Dir::new();
    let library = native::compile(&dir, "plain", &c(1));
    for source in [longest(&dir, "so"), dir.path().join(odd(b"\xff\xfe.so"))] {
        assert_eq!(ArtifactKind::of(&source), ArtifactKind::Native);
        fs::copy(&library, &source).unwrap();
        let reloader = Reloader::new(Config::new(&source), loader()).unwrap();
        reloader.start().unwrap();
        let error = reloader.last_error().map(|error| error.report());
        assert_eq!(reloader.version(), 1, "{error:?}");
        assert_eq!(call(&reloader.current().unwrap(), "value"), 1);
    }
}

#[test]
fn sources_whose_names_are_not_unicode_are_built_by_compilers_that_accept_them() {
    let dir = Dir::new();
    let inside = dir.path().join(odd(b"\xff"));
    fs::create_dir(&inside).unwrap();
    two_versions(&inside.join(odd(b"\xfe.c")), c);
    // A command gets the name unchanged.
    let source = inside.join(odd(b"a\xfe.txt"));
    fs::write(&source, text(7)).unwrap();
    let command = BuildCommand::new("cp").args(["{src}", "{out}"]);
    let config = text_config(&source)
        .with_builder(Builder::Command(command))
        .with_output_dir(inside.join("out"));
    let reloader = text_reloader(config);
    reloader.start().unwrap();
    let error = reloader.last_error().map(|error| error.report());
    assert_eq!(reloader.version(), 1, "{error:?}");
    assert_eq!(reloader.current().unwrap().call(), 7);
}

#[test]
fn an_error_names_the_compiler_that_accepts_only_unicode_and_the_path() {
    let dir = Dir::new();
    let inside = dir.path().join(odd(b"\xff"));
    fs::create_dir(&inside).unwrap();
    let plain = dir.write("plain.rs", rust(1));
    let cases = [
        (inside.join("plugin.rs"), dir.at("out"), "rustc"),
        (dir.path().join(odd(b"\xfe.rs")), dir.at("out"), "rustc"),
        (plain, inside.join("out"), "rustc"),
        (inside.join("Cargo.toml"), dir.at("out"), "cargo"),
    ];
    for (source, out, builder) in cases {
        fs::write(&source, rust(1)).unwrap();
        let reloader = text_reloader(Config::new(&source).with_output_dir(&out));
        let mut trace = Trace::of(&reloader);
        reloader.start().unwrap();
        let (step, error) = trace.await_failure();
        assert_eq!((step, trace.count("building")), (Step::Build, 0));
        match &*error {
            ReloadError::NotUnicode { program, path, .. } => {
                assert_eq!(program, builder);
                assert!(path == &source || path.starts_with(&out), "{path:?}");
            }
            other => panic!("{other:?}"),
        }
        assert!(error.report().contains("rename it"), "{}", error.report());
    }
}
