//! Builds plugins with the commands of `docs/plugins.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dynload_oracle::languages::{has_rust_target, is_required, named, runs};
use tempfile::TempDir;

/// A language, and how it is compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Toolchain {
    /// C without a C library, with these flags.
    C(&'static [&'static str]),
    /// C with wasi-libc, as a reactor.
    WasiLibc,
    /// C++17 without libraries.
    Cpp,
    Wat,
    Rust,
    Zig,
    /// With these options.
    AssemblyScript(&'static [&'static str]),
}

/// The flags of the header, of `docs/plugins.md` and of `dynload new`.
pub(crate) const C: Toolchain = Toolchain::C(&["-O2", "-mbulk-memory", "-ffreestanding"]);

/// The options of `docs/plugins.md`.
pub(crate) const ASSEMBLY_SCRIPT: Toolchain = Toolchain::AssemblyScript(&["--use", "abort="]);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the plugin of `docs/plugins.md` as a module, or `None` if the toolchain is not installed.
pub(crate) fn documented(toolchain: Toolchain) -> Option<Vec<u8>> {
    let source = format!("docs/plugins/text.{}", toolchain.extension());
    compile(toolchain, &root().join(source))
}

/// Compiles a source, or returns `None` if the toolchain is not installed.
pub(crate) fn source(toolchain: Toolchain, text: &str) -> Option<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory
        .path()
        .join("source")
        .with_extension(toolchain.extension());
    fs::write(&path, format!("{}\n", text.trim_end())).unwrap();
    compile(toolchain, &path)
}

fn compile(toolchain: Toolchain, source: &Path) -> Option<Vec<u8>> {
    if let Toolchain::Wat = toolchain {
        return Some(wat::parse_file(source).unwrap());
    }
    if !toolchain.is_installed() {
        assert!(
            !is_required(toolchain.extension()),
            "the toolchain for {toolchain:?} is not installed"
        );
        eprintln!("skipped: the toolchain for {toolchain:?} is not installed");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("plugin.wasm");
    run(&mut toolchain.command(source, &output, &directory));
    Some(fs::read(output).unwrap())
}

/// Returns the arguments of the command that compiles the plugin of `docs/plugins.md`.
pub(crate) fn arguments(toolchain: Toolchain) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let command = toolchain.command(Path::new("text"), Path::new("text.wasm"), &directory);
    let arguments = command.get_args();
    arguments
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

fn run(command: &mut Command) {
    let ran = command
        .output()
        .unwrap_or_else(|error| panic!("{error}: {command:?}"));
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{command:?}: {errors}");
}

impl Toolchain {
    /// The extension of its sources, and its name in `DYNLOAD_LANGUAGES`.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Toolchain::C(_) | Toolchain::WasiLibc | Toolchain::Cpp => "c",
            Toolchain::Wat => "wat",
            Toolchain::Rust => "rs",
            Toolchain::Zig => "zig",
            Toolchain::AssemblyScript(_) => "ts",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            // clang is a requirement of the tests.
            Toolchain::C(_) | Toolchain::Cpp | Toolchain::Wat => true,
            Toolchain::WasiLibc => Path::new("/usr/include/wasm32-wasi/stdio.h").exists(),
            Toolchain::Rust => has_rust_target("wasm32-unknown-unknown"),
            Toolchain::Zig => runs(named("DYNLOAD_ZIG", "zig"), &["version"]),
            Toolchain::AssemblyScript(_) => asc()
                .arg("--version")
                .output()
                .is_ok_and(|ran| ran.status.success()),
        }
    }

    /// Returns the command that compiles a source.
    fn command(self, source: &Path, output: &Path, directory: &TempDir) -> Command {
        match self {
            Toolchain::C(flags) => {
                let mut command = clang("c", source, output);
                command.args(["-std=c99", "--target=wasm32", "-nostdlib", "-Wl,--no-entry"]);
                command.args(flags);
                command
            }
            Toolchain::Cpp => {
                let mut command = clang("c++", source, output);
                command.args(["-std=c++17", "--target=wasm32", "-nostdlib", "-Wl,--no-entry"]);
                command.args(["-O2", "-mbulk-memory", "-ffreestanding"]);
                command
            }
            Toolchain::WasiLibc => {
                let mut command = clang("c", source, output);
                command.args(["-std=c99", "--target=wasm32-wasi", "-mexec-model=reactor", "-O2"]);
                command
            }
            Toolchain::Wat => unreachable!("it needs no program"),
            Toolchain::Rust => {
                let library = directory.path().join("libdynload_guest.rlib");
                let crate_root = root().join("crates/dynload-guest/src/lib.rs");
                run(rustc(&crate_root, &library)
                    .args(["--crate-name", "dynload_guest", "--crate-type", "rlib"])
                    .args(["--cfg", "feature=\"alloc\""]));
                let mut command = rustc(source, output);
                command.args(["--crate-name", "plugin", "--crate-type", "cdylib", "--extern"]);
                command.arg(format!("dynload_guest={}", library.display()));
                command
            }
            Toolchain::Zig => {
                let mut command = Command::new(named("DYNLOAD_ZIG", "zig"));
                command.args([
                    "build-exe",
                    "-target",
                    "wasm32-freestanding",
                    "-O",
                    "ReleaseSmall",
                ]);
                command.args(["-fno-entry", "-rdynamic"]);
                command
                    .arg(format!("-femit-bin={}", output.display()))
                    .arg(source);
                command.env("ZIG_GLOBAL_CACHE_DIR", directory.path().join("cache"));
                command.env("ZIG_LOCAL_CACHE_DIR", directory.path().join("local"));
                command
            }
            Toolchain::AssemblyScript(options) => {
                let mut command = asc();
                // It accepts only relative paths to sources.
                command.current_dir(source.parent().unwrap());
                command.arg(source.file_name().unwrap());
                command.args(["-O", "-o"]).arg(output).args(options);
                command
            }
        }
    }
}

/// Returns a command for clang that fails on every warning.
fn clang(language: &str, source: &Path, output: &Path) -> Command {
    let mut command = Command::new("clang");
    command.args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]);
    command.arg(header().parent().unwrap());
    command.args(["-x", language]).arg(source).arg("-o").arg(output);
    command
}

/// The path of the header for guests.
pub(crate) fn header() -> PathBuf {
    root().join("crates/dynload-sandbox/guest/dynload_guest.h")
}

fn rustc(source: &Path, output: &Path) -> Command {
    let mut command = Command::new("rustc");
    command.args(["--edition", "2024", "--target", "wasm32-unknown-unknown", "-O"]);
    command.args(["-D", "warnings", "-o"]).arg(output).arg(source);
    command
}

/// The compiler of AssemblyScript: a program, or a script for Node.js.
fn asc() -> Command {
    match std::env::var_os("DYNLOAD_ASC") {
        Some(script) => {
            let mut command = Command::new(named("DYNLOAD_NODE", "node"));
            command.arg(script);
            command
        }
        None => Command::new("asc"),
    }
}
