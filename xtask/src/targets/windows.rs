//! Windows, under Wine: the tests that are not Unix's own, and programs in C, by the conventions of MinGW and of Visual C++.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, output, root, run};
use crate::failure::{During, Failure};

pub(super) const TRIPLE: &str = "x86_64-pc-windows-gnu";
const GCC: &str = "x86_64-w64-mingw32-gcc";
/// Debian installs it outside of PATH.
pub(super) const WINE: &str = "/usr/lib/wine/wine64";

/// The tests that run, with their options for cargo. Most of native's and those that start a compiler are Unix's own.
const TESTS: &[(&str, &str)] = &[
    ("dynload-diagnostics", "--lib"),
    ("dynload-caps", "--lib --test caps"),
    ("dynload-native", "--lib --test portable"),
    (
        "dynload-sandbox",
        "--lib --test sandbox --test services --test http --features http",
    ),
    (
        "dynload-sandbox",
        "--test blocked_output --test working_directory --test worker_memory --features http",
    ),
    ("dynload-discovery", "--lib --test discovery"),
    ("dynload-hotreload", "--lib --test reload"),
    ("dynload-plugins", "--lib --test plugins"),
    ("dynload-ffi", "--lib"),
    ("dynload-cli", "--bins --test cli"),
];

/// What `tests/hosts/portable.c` prints.
const PRINTED: &str = "\
loaded 1, answer 41
overwritten 1, answer 41
version 2, answer 42
no such function: 0, an error 1
unloaded 1
limited 1
double(21) = 0
denied 1
reset 1
hello without std
double(21) = 42, fuel 12
spin() = 0, stopped 1
";

/// Runs everything.
pub(super) fn test() -> Result<String, Failure> {
    let wine = Wine::new()?;
    // Tests run it.
    run(wine
        .cargo("build")
        .args(["-p", "dynload-sandbox", "--example", "run"]))?;
    for (package, tests) in TESTS {
        run(wine
            .cargo("test")
            .args(["-p", package])
            .args(tests.split_whitespace())
            .args(["--", "--test-threads", "2"]))?;
    }
    wine.hosts()?;
    Ok("the tests, the DLL and programs in C run in Wine".into())
}

/// A Windows without anything installed.
struct Wine {
    prefix: PathBuf,
    target: PathBuf,
}

impl Wine {
    fn new() -> Result<Wine, Failure> {
        let target = super::directory()?;
        let wine = Wine {
            prefix: target.join("wine"),
            target,
        };
        std::fs::create_dir_all(&wine.prefix).during(wine.prefix.display())?;
        let system = wine.prefix.join("drive_c/windows/system32");
        if !system.exists() {
            run(wine.start(Path::new("wineboot")).arg("-i"))?;
        }
        // Rust's standard library uses one function of this library, which Wine 8 lacks.
        let random = system.join("bcryptprimitives.dll");
        if !random.exists() {
            let source = root().join("xtask/src/targets/windows/bcryptprimitives.c");
            run(Command::new(GCC)
                .args(["-shared", "-o"])
                .arg(&random)
                .arg(source)
                .arg("-ladvapi32"))?;
        }
        for version in [1, 2] {
            let library = wine.target.join(format!("answer{version}.dll"));
            let source = wine.target.join("answer.c");
            let text = format!("__declspec(dllexport) int answer(void) {{ return 4{version}; }}\n");
            std::fs::write(&source, text).during(source.display())?;
            run(Command::new(GCC).args(["-shared", "-o"]).arg(library).arg(source))?;
        }
        wine.guests()?;
        Ok(wine)
    }

    /// Compiles the C programs that are guests in the tests of the sandbox.
    fn guests(&self) -> Result<(), Failure> {
        let sandbox = root().join("crates/dynload-sandbox");
        for name in ["clock", "files", "network", "reactor", "stdio", "workers"] {
            let mut compiler = Command::new("clang");
            compiler
                .args(["--target=wasm32-wasi", "-O2", "-I"])
                .arg(sandbox.join("guest"))
                .arg(sandbox.join("tests/guests_c").join(format!("{name}.c")))
                .arg("-o")
                .arg(self.target.join(format!("{name}.wasm")));
            if name == "reactor" {
                compiler.arg("-mexec-model=reactor");
            }
            run(&mut compiler)?;
        }
        Ok(())
    }

    /// Returns a command that starts a program of Windows.
    fn start(&self, program: &Path) -> Command {
        let mut command = Command::new("timeout");
        command.args(["1200", WINE]).arg(program);
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command.env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all");
    }

    fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo([subcommand, "--target", TRIPLE, "--target-dir"]);
        command
            .arg(&self.target)
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", GCC)
            .env(
                "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER",
                format!("timeout 1200 {WINE}"),
            )
            // Wine names the root of this system Z:.
            .env("DYNLOAD_LIBRARIES", format!("Z:{}", self.target.display()))
            .env("DYNLOAD_GUESTS", format!("Z:{}", self.target.display()));
        self.environment(&mut command);
        command
    }

    /// Builds the C library and programs that use it, and compares what they print.
    fn hosts(&self) -> Result<(), Failure> {
        run(self.cargo("build").args(["-p", "dynload-shared"]))?;
        let libraries = self.target.join(TRIPLE).join("debug");
        let mut visual_c = Command::new("clang");
        visual_c
            .args(["--target=x86_64-pc-windows-msvc", "-ffreestanding"])
            .args(["-Wpedantic", "-Wgnu", "-include", "dynload_plugin.h", "-I"])
            .arg(root().join("xtask/src/targets/windows/msvc"));
        for (name, mut compiler) in [("mingw", Command::new(GCC)), ("msvc", visual_c)] {
            let object = libraries.join(format!("{name}.o"));
            let program = libraries.join(format!("{name}.exe"));
            run(compiler
                .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-c", "-I"])
                .arg(root().join("crates/dynload-ffi/include"))
                .arg("-I")
                .arg(root().join("crates/dynload-native/include"))
                .arg(root().join("tests/hosts/portable.c"))
                .arg("-o")
                .arg(&object))?;
            // The linker of Visual C++ would need its libraries. The object has its conventions already.
            run(Command::new(GCC)
                .arg(object)
                .arg("-o")
                .arg(&program)
                .arg("-L")
                .arg(&libraries)
                .arg("-ldynload"))?;
            self.host(&libraries, &program)?;
        }
        Ok(())
    }

    /// Compares what a host prints.
    fn host(&self, libraries: &Path, program: &Path) -> Result<(), Failure> {
        for (from, to) in [
            (self.target.join("answer1.dll"), "plugin.dll"),
            (root().join("tests/no_std/src/plugin.wasm"), "plugin.wasm"),
        ] {
            let to = libraries.join(to);
            std::fs::copy(from, &to).during(to.display())?;
        }
        let found = output(
            self.start(program)
                .args(["plugin.dll", "../../answer2.dll"])
                .arg("plugin.wasm")
                .current_dir(libraries),
        )?;
        let found = found.replace("\r\n", "\n");
        if found == PRINTED {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{} printed\n{found}instead of\n{PRINTED}",
            program.display()
        )))
    }
}
