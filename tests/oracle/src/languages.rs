//! The same program in C, Rust, Go and Zig, compiled by the toolchain of each language.
//!
//! The program reports what it sees and does through the standard library of its language: arguments, variables, input, a
//! directory, files, numbers, time, random bytes. All four print the same, exit with the same code, and leave the same files.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The arguments after the program's own name.
pub const ARGUMENTS: &[&str] = &["two words", "", "größe"];
/// The environment.
pub const ENVIRONMENT: &[(&str, &str)] = &[("NAME", "value"), ("EMPTY", ""), ("WITH", "a=b")];
/// The standard input.
pub const INPUT: &str = "the standard input";
/// The guest's name of the directory that [`check`] prepares.
pub const GUEST_DIRECTORY: &str = "/data";
/// What the program writes to standard output.
const REPORT: &str = "\
arguments: two words||größe
environment: EMPTY= NAME=value WITH=a=b
input: the standard input
directory directory
file file
symlink link
symlink outside
through a symlink: deep
missing: true
outside: refused true
exists: true
lines: 1001 bytes: 8894
numbers: 919439618
slept: true
random: true
";
/// What it writes to standard error.
const ERRORS: &str = "to standard error\n";
/// Its exit code.
const EXIT_CODE: i32 = 7;

/// A language, with its toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// clang and wasi-libc.
    C,
    /// The target `wasm32-wasip1` of `rustc`.
    Rust,
    /// `GOOS=wasip1 GOARCH=wasm`.
    Go,
    /// The target `wasm32-wasi`.
    Zig,
}

impl Language {
    /// Returns the file name of the source.
    fn source(self) -> &'static str {
        match self {
            Language::C => "report.c",
            Language::Rust => "report.rs",
            Language::Go => "report.go",
            Language::Zig => "report.zig",
        }
    }

    /// Compiles the program.
    ///
    /// `DYNLOAD_GO` and `DYNLOAD_ZIG` name the compilers; without them they are searched for in `PATH`. Returns `None` if the
    /// toolchain is not installed.
    ///
    /// # Errors
    ///
    /// Returns what the compiler printed if it fails. A missing toolchain is an error too if `DYNLOAD_LANGUAGES`, a list like
    /// `c,go`, contains the extension of its files.
    fn build(self) -> io::Result<Option<Vec<u8>>> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("languages")
            .join(self.source());
        let directory = tempfile::tempdir()?;
        let output = directory.path().join("report.wasm");
        if !self.is_installed() {
            let extension = source.extension().unwrap_or_default();
            if is_required(&extension.to_string_lossy()) {
                return Err(io::Error::other(format!(
                    "the toolchain for {self:?} is not installed"
                )));
            }
            return Ok(None);
        }
        let ran = self.compiler(&source, &output, directory.path()).output()?;
        if !ran.status.success() {
            let errors = String::from_utf8_lossy(&ran.stderr);
            return Err(io::Error::other(format!("{}: {errors}", self.source())));
        }
        fs::read(output).map(Some)
    }

    fn is_installed(self) -> bool {
        match self {
            Language::C => {
                Path::new("/usr/include/wasm32-wasi/stdio.h").exists() && runs("clang", &["--version"])
            }
            Language::Rust => has_rust_target("wasm32-wasip1"),
            Language::Go => runs(named("DYNLOAD_GO", "go"), &["version"]),
            Language::Zig => runs(named("DYNLOAD_ZIG", "zig"), &["version"]),
        }
    }

    fn compiler(self, source: &Path, output: &Path, directory: &Path) -> Command {
        match self {
            Language::C => {
                let mut command = Command::new("clang");
                command.args(["--target=wasm32-wasi", "-O2", "-o"]);
                command.args([output, source]);
                command
            }
            Language::Rust => {
                let mut command = Command::new("rustc");
                command.args(["--edition", "2024", "--target", "wasm32-wasip1", "-O", "-o"]);
                command.args([output, source]);
                command
            }
            Language::Go => {
                let mut command = Command::new(named("DYNLOAD_GO", "go"));
                command.args(["build", "-o"]).args([output, source]);
                command.envs([
                    ("GOOS", "wasip1"),
                    ("GOARCH", "wasm"),
                    ("GOTOOLCHAIN", "local"),
                    ("GOFLAGS", ""),
                ]);
                command.env("GOCACHE", directory.join("cache"));
                command
            }
            Language::Zig => {
                let mut command = Command::new(named("DYNLOAD_ZIG", "zig"));
                command.args(["build-exe", "-target", "wasm32-wasi", "-O", "ReleaseSafe"]);
                command
                    .arg(format!("-femit-bin={}", output.display()))
                    .arg(source);
                command.env("ZIG_GLOBAL_CACHE_DIR", directory.join("cache"));
                command.env("ZIG_LOCAL_CACHE_DIR", directory.join("local"));
                command
            }
        }
    }
}

/// Returns whether `DYNLOAD_LANGUAGES`, a list like `c,go`, requires the toolchain for files with this extension.
#[must_use]
pub fn is_required(extension: &str) -> bool {
    let required = env::var("DYNLOAD_LANGUAGES").unwrap_or_default();
    required.split(',').any(|name| name == extension)
}

/// Returns the program that an environment variable names, or the default.
#[must_use]
pub fn named(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| default.into()).into()
}

/// Returns whether `rustc` has the standard library for a target.
#[must_use]
pub fn has_rust_target(target: &str) -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .is_ok_and(|ran| Path::new(String::from_utf8_lossy(&ran.stdout).trim_end()).exists())
}

/// Returns whether a program is installed: it runs with these arguments, and succeeds.
pub fn runs(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|ran| ran.status.success())
}

/// Creates the directory that the program reads and changes. It is `top/root`; `top/outside` is out of its reach.
///
/// # Errors
///
/// Returns the error of creating a file.
fn create_directory(top: &Path) -> io::Result<PathBuf> {
    let root = top.join("root");
    fs::create_dir_all(root.join("directory"))?;
    fs::create_dir(top.join("outside"))?;
    fs::write(top.join("outside/secret"), "secret")?;
    fs::write(root.join("file"), "file")?;
    fs::write(root.join("directory/deep"), "deep")?;
    symlink("directory", root.join("link"))?;
    symlink("../outside", root.join("outside"))?;
    Ok(root)
}

/// What an engine reports of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// The standard output.
    pub output: String,
    /// The standard error.
    pub errors: String,
    /// The exit code, if the program exited.
    pub exit_code: Option<i32>,
}

/// Compiles the program and runs it with `run`, which gets the module and the directory for [`GUEST_DIRECTORY`]. Skips a
/// language whose toolchain is not installed.
///
/// # Panics
///
/// If it does not compile, or does anything but what is expected.
pub fn check(language: Language, run: impl FnOnce(&[u8], &Path) -> Run) {
    let Some(wasm) = language.build().expect("the program compiles") else {
        eprintln!("skipped: the toolchain for {language:?} is not installed");
        return;
    };
    let top = tempfile::tempdir().expect("creates a directory");
    let root = create_directory(top.path()).expect("creates files");
    let expected = Run {
        output: REPORT.to_owned(),
        errors: ERRORS.to_owned(),
        exit_code: Some(EXIT_CODE),
    };
    assert_eq!(run(&wasm, &root), expected);
    check_directory(&root);
}

/// Checks what the program made of the directory: one directory with one file of seven bytes, and nothing else.
///
/// # Panics
///
/// If anything else changed.
fn check_directory(root: &Path) {
    let names = |path: &Path| {
        let entries = fs::read_dir(path).expect("the directory is readable");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("the directory is readable").file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(root), ["directory", "file", "link", "made", "outside"]);
    assert_eq!(names(&root.join("made")), ["lines"]);
    assert_eq!(names(&root.join("directory")), ["deep"]);
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("the file is readable");
    assert_eq!(
        [
            read("made/lines"),
            read("file"),
            read("directory/deep"),
            read("../outside/secret")
        ],
        ["line 0\n", "file", "deep", "secret"]
    );
}
