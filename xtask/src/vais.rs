//! `cargo xtask vais`: the Vais module and its examples with a real compiler.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::arguments::Arguments;
use crate::cargo::{c_compiler, cargo, is_available, output, root, run, target_dir};
use crate::failure::{During, Failure};

/// Where the module is installed, in each dialect. The compiler finds it by its name, so each has a directory of its own.
pub(crate) const INSTALLED: [&str; 2] = [
    "share/dynload/vais/dynload.vais",
    "share/dynload/vais/words/dynload.vais",
];

/// The examples, with what they print. `hot_reload` runs until it is killed; a module that its plugin imports is saved after
/// the first line.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "capabilities",
        "the plugin requests no network access\nsafe to load\n",
    ),
    ("loading", "plugin_init was found\ninitialized\nreloaded\n"),
    ("sandbox", "hello from the plugin\nthe result is 84\n"),
    ("hot_reload", "version 1 is running\na new version is running\n"),
];

/// The plugin of the sandbox example.
const GUEST: &str = r#"
__attribute__((import_module("vais"), import_name("println"))) void println(const char *text, int len);
__attribute__((export_name("process"))) long long process(long long x) {
    println("hello from the plugin", 21);
    return 2 * x;
}
"#;

/// A plugin for the hot reload example, and the module that it imports.
const PLUGIN: &str = "U steps\nF tick() -> i64 { step() }\n";
const IMPORTED: [&str; 2] = ["F step() -> i64 { 1 }\n", "F step() -> i64 { 2 }\n"];

/// A Vais plugin that is compiled to WebAssembly.
const WASM_PLUGIN: &str = "F process(x: i64) -> i64 { 2 * x }\n";

/// The module, as it is in the repository.
const MODULE: &str = "crates/dynload-ffi/vais/dynload.vais";

/// The keywords of a compiler.
#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    /// `F`, `S`, `X F`, `U`, `E`: those of the specification.
    Letters,
    /// `fn`, `struct`, `impl fn`, `use`, `else`.
    Words,
}

pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let compiler = arguments
        .value("--compiler")?
        .ok_or_else(|| Failure::new("the compiler is missing: pass --compiler PATH, the program `vaisc`"))?;
    arguments.end()?;
    let compiler = std::path::absolute(&compiler).during(format_args!("invalid path `{compiler}`"))?;
    run(&mut cargo([
        "build",
        "-p",
        "dynload-shared",
        "-p",
        "dynload-static",
    ]))?;
    let directory = target_dir()?.join("xtask/vais");
    if directory.exists() {
        std::fs::remove_dir_all(&directory)
            .during(format_args!("cannot remove `{}`", directory.display()))?;
    }
    let place = Place { compiler, directory };
    place.prepare()?;
    let dialect = place.dialect()?;
    let version = output(Command::new(&place.compiler).arg("--version"))?;
    println!("compiler: {}", version.trim());
    for (example, expected) in EXAMPLES {
        place.compile(example, dialect)?;
        for library in ["shared", "static"] {
            let program = place.link(example, library)?;
            place.check(&program, expected, dialect)?;
            println!("{example}, {library} library: ok");
        }
    }
    place.check_wasm(dialect)?;
    println!("a plugin compiled to WebAssembly: ok");
    Ok(())
}

/// Returns the module in the dialect [`Words`](Dialect::Words).
pub(crate) fn module_in_words() -> Result<String, Failure> {
    Ok(in_words(&Place::read(MODULE)?))
}

/// Returns a source in the dialect [`Words`](Dialect::Words).
fn in_words(source: &str) -> String {
    let mut words = String::new();
    for line in source.lines() {
        let line = match line.split_once(' ') {
            Some(("X", rest)) => format!("impl fn{}", rest.strip_prefix('F').unwrap_or(rest)),
            Some(("F", rest)) => format!("fn {rest}"),
            Some(("S", rest)) => format!("struct {rest}"),
            Some(("U", rest)) => format!("use {rest}"),
            _ => line.to_owned(),
        };
        words += &line.replace("} E {", "} else {");
        words.push('\n');
    }
    words
}

struct Place {
    compiler: PathBuf,
    directory: PathBuf,
}

impl Place {
    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.directory.join(name);
        let parent = path.parent().unwrap_or(&self.directory);
        std::fs::create_dir_all(parent).during(format_args!("cannot create `{}`", parent.display()))?;
        std::fs::write(&path, text).during(format_args!("cannot write `{}`", path.display()))
    }

    fn read(path: &str) -> Result<String, Failure> {
        let path = root().join(path);
        std::fs::read_to_string(&path).during(format_args!("cannot read `{}`", path.display()))
    }

    /// Writes the plugins that the examples load, and a `clang` for the compiler that can read its output.
    fn prepare(&self) -> Result<(), Failure> {
        self.write("bin/clang", &format!("#!/bin/sh\nexec {} \"$@\"\n", clang()?))?;
        run(Command::new("chmod")
            .arg("+x")
            .arg(self.directory.join("bin/clang")))?;
        self.write("plugin.c", "long plugin_init(void) { return 1; }\n")?;
        self.write("guest.c", GUEST)?;
        let mut compiler = c_compiler();
        compiler.current_dir(&self.directory);
        run(compiler.args(["-shared", "-fPIC", "-o", "libplugin.so", "plugin.c"]))?;
        let mut clang = Command::new("clang");
        clang.current_dir(&self.directory);
        clang.args(["--target=wasm32", "-O1", "-nostdlib", "-Wl,--no-entry"]);
        run(clang.args(["-o", "plugin.wasm", "guest.c"]))
    }

    /// Finds out which keywords the compiler has.
    fn dialect(&self) -> Result<Dialect, Failure> {
        for (dialect, source) in [
            (Dialect::Letters, "F main() -> i64 { 0 }\n"),
            (Dialect::Words, "fn main() -> i64 { 0 }\n"),
        ] {
            self.write("dialect.vais", source)?;
            let mut check = Command::new(&self.compiler);
            check
                .current_dir(&self.directory)
                .args(["check", "./dialect.vais"]);
            if check.output().is_ok_and(|checked| checked.status.success()) {
                return Ok(dialect);
            }
        }
        Err(Failure::new(format!(
            "`{}` accepts neither `F main` nor `fn main`: is it a Vais compiler?",
            self.compiler.display()
        )))
    }

    /// Writes a source in the compiler's dialect.
    fn write_source(&self, name: &str, source: &str, dialect: Dialect) -> Result<(), Failure> {
        match dialect {
            Dialect::Letters => self.write(name, source),
            Dialect::Words => self.write(name, &in_words(source)),
        }
    }

    /// Compiles an example to LLVM's text format, with the module as it is installed.
    fn compile(&self, example: &str, dialect: Dialect) -> Result<(), Failure> {
        self.write_source(INSTALLED[dialect as usize], &Place::read(MODULE)?, dialect)?;
        let path = format!("crates/dynload-ffi/vais/examples/{example}.vais");
        let source = Place::read(&path)?.replace("U std/dynload", "U dynload");
        self.write_source(&format!("{example}.vais"), &source, dialect)?;
        let installed = self.directory.join(INSTALLED[dialect as usize]);
        let mut build = Command::new(&self.compiler);
        build
            .current_dir(&self.directory)
            .env("VAIS_DEP_PATHS", installed.parent().unwrap_or(&self.directory));
        run(build
            .args(["build", &format!("./{example}.vais"), "--emit-ir", "-o"])
            .arg(format!("{example}.ll")))
    }

    /// Compiles a plugin to WebAssembly, and calls it with the command `dynload`.
    fn check_wasm(&self, dialect: Dialect) -> Result<(), Failure> {
        self.write_source("process.vais", WASM_PLUGIN, dialect)?;
        let mut build = Command::new(&self.compiler);
        build.current_dir(&self.directory);
        run(build.args([
            "build",
            "./process.vais",
            "--target",
            "wasm32-wasi",
            "--emit-ir",
            "-o",
            "process.ll",
        ]))?;
        let mut compile = Command::new(clang()?);
        compile
            .current_dir(&self.directory)
            .args(["--target=wasm32-wasi", "-Wno-override-module"]);
        run(compile.args(["-c", "process.ll", "-o", "process.o"]))?;
        let mut link = Command::new("wasm-ld");
        link.current_dir(&self.directory)
            .args(["--no-entry", "--export=process"]);
        run(link.args(["process.o", "-o", "process.wasm"]))?;
        let mut call = cargo([
            "run",
            "--quiet",
            "-p",
            "dynload-cli",
            "--",
            "run",
            "--invoke",
            "process",
        ]);
        call.arg(self.directory.join("process.wasm")).arg("21");
        let printed = output(&mut call)?;
        if printed.trim() == "42" {
            return Ok(());
        }
        Err(Failure::new(format!(
            "`process` returned `{}` instead of 42",
            printed.trim()
        )))
    }

    /// Links an example, and returns the program.
    fn link(&self, example: &str, library: &str) -> Result<PathBuf, Failure> {
        let built = target_dir()?.join("debug");
        let program = self.directory.join(format!("{example}-{library}"));
        let mut link = Command::new(clang()?);
        link.current_dir(&self.directory).arg("-Wno-override-module");
        link.args(self.modules(example)?);
        if library == "static" {
            link.arg(built.join("libdynload.a"))
                .args(["-lm", "-ldl", "-lpthread"]);
        } else {
            link.arg("-L").arg(&built).arg("-ldynload");
            // The name that the library gives itself.
            let name = self.directory.join("libdynload.so.0.1");
            if !name.exists() {
                let source = built.join("libdynload.so");
                std::fs::copy(&source, &name).during(format_args!("cannot copy `{}`", source.display()))?;
            }
        }
        run(link.arg("-o").arg(&program))?;
        Ok(program)
    }

    /// Returns what the compiler wrote for an example: one file for each module, whose names begin with the example's.
    fn modules(&self, example: &str) -> Result<Vec<PathBuf>, Failure> {
        let entries = std::fs::read_dir(&self.directory)
            .during(format_args!("cannot read `{}`", self.directory.display()))?;
        let mut modules: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        modules.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(example) && name.ends_with(".ll")
        });
        modules.sort();
        Ok(modules)
    }

    /// Runs a program until it has printed what is expected. After its first line, the imported module is saved.
    fn check(&self, program: &Path, expected: &str, dialect: Dialect) -> Result<(), Failure> {
        self.write_source("src/plugin.vais", PLUGIN, dialect)?;
        self.write_source("src/steps.vais", IMPORTED[0], dialect)?;
        let compilers = self.compiler.parent().unwrap_or(Path::new("."));
        let path = std::env::var("PATH").unwrap_or_default();
        // Through a pipe, `puts` would write nothing before the program ends.
        let mut child = Command::new("stdbuf")
            .arg("--output=L")
            .arg(program)
            .current_dir(&self.directory)
            .env("LD_LIBRARY_PATH", &self.directory)
            // Hot reload runs `vaisc`, and that runs `clang`.
            .env(
                "PATH",
                format!(
                    "{}:{}:{path}",
                    self.directory.join("bin").display(),
                    compilers.display()
                ),
            )
            .stdout(Stdio::piped())
            .spawn()
            .during(format_args!("cannot run `{}`", program.display()))?;
        let lines = child.stdout.take().map(BufReader::new);
        let lines = lines.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let mut printed = Vec::new();
        for line in lines.take(expected.lines().count()) {
            printed.push(line);
            if printed.len() == 1 {
                self.write_source("src/steps.vais", IMPORTED[1], dialect)?;
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        if printed.iter().eq(expected.lines()) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "`{}` printed {printed:?} instead of {expected:?}",
            program.display()
        )))
    }
}

/// Returns a clang that reads what the compilers write.
fn clang() -> Result<&'static str, Failure> {
    ["clang-16", "clang-17", "clang-18", "clang-19", "clang"]
        .into_iter()
        .find(|name| is_available(name, &["--version"]))
        .ok_or_else(|| Failure::new("linking needs clang: on Debian, apt-get install clang-16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_replaced_only_where_they_are_keywords() {
        let letters = "U dynload\nX F f(F: i64) -> i64\nS Pair {\n    S: i64\n}\nF main() -> i64 {\n    I f(1) == 1 { 0 } E { 1 }\n}\n";
        let words = "use dynload\nimpl fn f(F: i64) -> i64\nstruct Pair {\n    S: i64\n}\nfn main() -> i64 {\n    I f(1) == 1 { 0 } else { 1 }\n}\n";
        assert_eq!(in_words(letters), words);
    }
}
