//! `cargo xtask vais`: the Vais module and its examples with a real compiler.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::arguments::Arguments;
use crate::cargo::{c_compiler, cargo, is_available, output, root, run, target_dir};
use crate::failure::{During, Failure};

/// The examples, with what they print. `hot_reload` runs until it is killed; only its first line is read.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "capabilities",
        "the plugin requests no network access\nsafe to load\n",
    ),
    ("loading", "plugin_init was found\nreloaded\n"),
    ("sandbox", "hello from the plugin\nthe result is 84\n"),
    ("hot_reload", "version 1 is running\n"),
];

/// The plugin of the sandbox example.
const GUEST: &str = r#"
__attribute__((import_module("vais"), import_name("println"))) void println(const char *text, int len);
__attribute__((export_name("process"))) long long process(long long x) {
    println("hello from the plugin", 21);
    return 2 * x;
}
"#;

/// A plugin for the hot reload example.
const PLUGIN: &str = "F tick() -> i64 { 1 }\n";

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
            place.check(&program, expected)?;
            println!("{example}, {library} library: ok");
        }
    }
    Ok(())
}

/// Returns a source in the dialect.
pub(crate) fn in_words(source: &str) -> String {
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

    /// Writes the plugins that the examples load.
    fn prepare(&self) -> Result<(), Failure> {
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

    /// Compiles an example, with the module beside it, to LLVM's text format.
    fn compile(&self, example: &str, dialect: Dialect) -> Result<(), Failure> {
        let write = |name: &str, source: String| {
            let source = source.replace("U std/dynload", "U dynload");
            let source = if dialect == Dialect::Words {
                in_words(&source)
            } else {
                source
            };
            self.write(name, &source)
        };
        write(
            "dynload.vais",
            Place::read("crates/dynload-ffi/vais/dynload.vais")?,
        )?;
        let path = format!("crates/dynload-ffi/vais/examples/{example}.vais");
        write(&format!("{example}.vais"), Place::read(&path)?)?;
        write("src/plugin.vais", PLUGIN.to_owned())?;
        let mut build = Command::new(&self.compiler);
        build.current_dir(&self.directory);
        run(build
            .args(["build", &format!("./{example}.vais"), "--emit-ir", "-o"])
            .arg(format!("{example}.ll")))
    }

    /// Links an example, and returns the program.
    fn link(&self, example: &str, library: &str) -> Result<PathBuf, Failure> {
        let clang = ["clang-16", "clang-17", "clang-18", "clang-19", "clang"]
            .into_iter()
            .find(|name| is_available(name, &["--version"]))
            .ok_or_else(|| Failure::new("linking needs clang: on Debian, apt-get install clang-16"))?;
        let built = target_dir()?.join("debug");
        let program = self.directory.join(format!("{example}-{library}"));
        let mut link = Command::new(clang);
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

    /// Runs a program until it has printed what is expected.
    fn check(&self, program: &Path, expected: &str) -> Result<(), Failure> {
        let compilers = self.compiler.parent().unwrap_or(Path::new("."));
        let path = std::env::var("PATH").unwrap_or_default();
        // Through a pipe, `puts` would write nothing before the program ends.
        let mut child = Command::new("stdbuf")
            .arg("--output=L")
            .arg(program)
            .current_dir(&self.directory)
            .env("LD_LIBRARY_PATH", &self.directory)
            // Hot reload runs `vaisc`.
            .env("PATH", format!("{}:{path}", compilers.display()))
            .stdout(Stdio::piped())
            .spawn()
            .during(format_args!("cannot run `{}`", program.display()))?;
        let lines = child.stdout.take().map(BufReader::new);
        let printed: Vec<String> = lines
            .into_iter()
            .flat_map(BufRead::lines)
            .take(expected.lines().count())
            .map_while(Result::ok)
            .collect();
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
