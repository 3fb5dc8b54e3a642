//! The plugin and the programs with which the READMEs and the header begin: built and run as these pages say.

use std::fs;
use std::path::Path;
use std::process::Command;

use dynload_tests::artifacts::{artifacts, root};
use dynload_tests::host::{BOTH, Compiler, compile, expect_success};
use dynload_tests::markdown::blocks;
use tempfile::TempDir;

const OUTPUT: &str = "HELLO FROM A PLUGIN\n";

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Returns a directory with the compiled plugin.
fn with_plugin(source: &str, command: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shout.c"), source).unwrap();
    expect_success(Command::new("sh").args(["-c", command]).current_dir(&dir));
    assert!(dir.path().join("shout.wasm").exists());
    dir
}

/// Compiles the program with each library, and checks its output where the plugin is and its error elsewhere.
fn check_c(program: &str, with_plugin: &Path) {
    let elsewhere = tempfile::tempdir().unwrap();
    let source = elsewhere.path().join("program.c");
    fs::write(&source, program).unwrap();
    for link in BOTH {
        let program = compile(Compiler::C, &source, link, elsewhere.path());
        assert_eq!(
            expect_success(Command::new(&program).current_dir(with_plugin)),
            OUTPUT
        );
        let output = Command::new(&program).current_dir(&elsewhere).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && error.contains("`shout.wasm`"),
            "{error}"
        );
    }
}

/// Runs a program with the package of this repository.
fn check_python(program: &str, with_plugin: &Path, output: &str) {
    let mut python = Command::new("python3");
    python
        .env("DYNLOAD_LIBRARY", &artifacts().shared)
        .env("PYTHONPATH", root().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    python.args(["-c", program]).current_dir(with_plugin);
    assert_eq!(expect_success(&mut python), output);
}

/// Checks a page that has a plugin in C and then a program in C, and returns the directory of the compiled plugin.
fn check_readme(page: &str) -> TempDir {
    let [plugin, program, ..] = blocks(page, "c")[..] else {
        panic!("two blocks of C")
    };
    let dir = with_plugin(plugin, blocks(page, "sh")[0]);
    check_c(program, dir.path());
    dir
}

#[test]
fn the_readme() {
    let page = page("README.md");
    let dir = check_readme(&page);
    check_python(blocks(&page, "python")[0], dir.path(), OUTPUT);
}

#[test]
fn the_readme_of_the_c_library() {
    check_readme(&page("crates/dynload-ffi/README.md"));
}

#[test]
fn the_readme_of_the_python_package() {
    let page = page("python/README.md");
    let dir = with_plugin(blocks(&page, "c")[0], blocks(&page, "sh")[0]);
    check_python(blocks(&page, "python")[0], dir.path(), blocks(&page, "text")[0]);
}

#[test]
fn the_header() {
    let header = page("crates/dynload-ffi/include/dynload.h");
    let (comment, _) = header.split_once("*/").unwrap();
    // Indented lines are code, and empty lines between them.
    let mut blocks = vec![String::new()];
    for line in comment.lines() {
        match line.strip_prefix(" *     ") {
            Some(code) => blocks.last_mut().unwrap().push_str(&format!("{code}\n")),
            None if line == " *" => blocks.last_mut().unwrap().push('\n'),
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.trim().is_empty());
    let [plugin, command, program] = &blocks[..] else {
        panic!("three blocks of code: {blocks:?}")
    };
    let dir = with_plugin(plugin, command);
    check_c(program, dir.path());
}
