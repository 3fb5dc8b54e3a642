//! Compiles host programs, links them against one of the libraries, runs them, and returns their output.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::artifacts::{Artifacts, artifacts, root};

/// How a program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Against the shared library.
    Shared,
    /// Against the static library.
    Static,
}

/// Both kinds of linking.
pub const BOTH: [Link; 2] = [Link::Shared, Link::Static];

/// A compiler with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// C99.
    C,
    /// C++17.
    Cpp,
    /// clang, for LLVM IR.
    Clang,
    /// C with GNU extensions, for generated code.
    Gnu,
}

const STRICT: &[&str] = &["-Wall", "-Wextra", "-pedantic", "-Werror", "-g", "-O1"];

impl Compiler {
    fn command(self) -> Command {
        let (program, flags): (_, &[&str]) = match self {
            Compiler::C => ("cc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L"]),
            // Generated code declares functions of the C library with its own types.
            Compiler::Gnu => ("cc", &["-std=gnu11", "-fno-builtin", "-w", "-O1"]),
            Compiler::Cpp => ("c++", &["-std=c++17", "-x", "c++"]),
            // clang 14 needs a flag for opaque pointers, which are the default in later versions.
            Compiler::Clang if clang_version().is_some_and(|version| version < 15) => {
                ("clang", &["-Wno-override-module", "-mllvm", "-opaque-pointers"])
            }
            Compiler::Clang => ("clang", &["-Wno-override-module"]),
        };
        let mut command = Command::new(program);
        command.args(flags);
        if matches!(self, Compiler::C | Compiler::Cpp) {
            command.args(STRICT);
        }
        command
    }
}

fn clang_version() -> Option<u32> {
    let version = expect_success(Command::new("clang").arg("-dumpversion"));
    version.split('.').next()?.trim().parse().ok()
}

/// Compiles and links a program into `dir`.
///
/// # Panics
///
/// If that fails, with the output of the compiler.
#[must_use]
pub fn compile(compiler: Compiler, source: &Path, link: Link, dir: &Path) -> PathBuf {
    let artifacts: &Artifacts = artifacts();
    let stem = source.file_stem().and_then(OsStr::to_str).expect("a name");
    let program = dir.join(format!("{stem}-{compiler:?}-{link:?}"));
    let mut command = compiler.command();
    command
        .arg("-I")
        .arg(&artifacts.include)
        .arg(source)
        .args(["-x", "none", "-o"])
        .arg(&program);
    match link {
        Link::Shared => {
            let dir = artifacts.shared.parent().expect("the library is in a directory");
            command
                .arg("-L")
                .arg(dir)
                .arg("-ldynload")
                .arg(format!("-Wl,-rpath,{}", dir.display()));
        }
        Link::Static => {
            // Without debug information, linking takes a third of the time.
            command.arg(&artifacts.archive).arg("-Wl,--strip-debug");
        }
    }
    command.args(["-lpthread", "-ldl", "-lm"]);
    expect_success(&mut command);
    program
}

/// Builds a native plugin into `dir`.
///
/// # Panics
///
/// If that fails, with the output of the compiler.
#[must_use]
pub fn native_plugin(name: &str, dir: &Path) -> PathBuf {
    let library = dir.join(format!("lib{name}.so"));
    let mut command = Command::new("cc");
    command
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(root().join("tests/native").join(format!("{name}.c")));
    expect_success(&mut command);
    library
}

/// Assembles a Wasm plugin into `dir`.
///
/// # Panics
///
/// If it is malformed.
#[must_use]
pub fn wasm_plugin(name: &str, dir: &Path) -> PathBuf {
    let source = root().join("tests/plugins").join(format!("{name}.wat"));
    let bytes = wat::parse_file(&source).unwrap_or_else(|error| panic!("{error}"));
    let path = dir.join(format!("{name}.wasm"));
    std::fs::write(&path, bytes).expect("a file");
    path
}

/// Creates a directory with a plugin `shout`, which is [`wasm_plugin`]`("plugin")` with a manifest, and returns its path.
///
/// # Panics
///
/// As [`wasm_plugin`].
pub fn string_plugins(dir: &Path) -> PathBuf {
    let plugins = dir.join("string_plugins");
    let shout = plugins.join("shout");
    std::fs::create_dir_all(&shout).expect("a directory");
    let _ = wasm_plugin("plugin", &shout);
    let manifest = "[plugin]\nid = \"shout\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"plugin.wasm\"\n\
                    [capabilities]\nneeds = [\"console\", \"time\"]\n[config.greeting]\ntype = \"string\"\n";
    std::fs::write(shout.join("plugin.toml"), manifest).expect("a file");
    plugins
}

/// Runs a command that must succeed, and returns its output.
///
/// # Panics
///
/// If it fails, with its output.
#[track_caller]
pub fn expect_success(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(
        status.success(),
        "{command:?} ended with {status}\n--- output\n{stdout}\n--- errors\n{stderr}"
    );
    stdout.into_owned()
}
