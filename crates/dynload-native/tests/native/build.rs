//! Building plugins.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A directory in which one test builds.
pub(crate) struct Workshop {
    directory: TempDir,
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Workshop {
    pub(crate) fn new() -> Workshop {
        Workshop {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Builds a C library; `arguments` follow the source.
    #[track_caller]
    pub(crate) fn c(&self, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let (source, out) = (self.write(&format!("{name}.c"), source), self.path(name));
        std::fs::create_dir_all(out.parent().unwrap()).unwrap();
        run(Command::new("cc")
            .args([
                "-shared",
                "-fPIC",
                "-g0",
                "-O1",
                "-I",
                concat!(env!("CARGO_MANIFEST_DIR"), "/include"),
            ])
            .args(["-x", "c"])
            .arg(&source)
            .args(["-x", "none"])
            .args(arguments)
            .arg("-o")
            .arg(&out)
            .current_dir(self.directory.path()));
        out
    }

    /// Builds a C library with a function `answer()` that returns `number`, in the file `name`.
    #[track_caller]
    pub(crate) fn answering(&self, name: &str, number: i32) -> PathBuf {
        self.c(name, &format!("int answer(void) {{ return {number}; }}"), &[])
    }

    /// Builds a Rust plugin that may use this crate.
    #[track_caller]
    pub(crate) fn rust(&self, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let (source, out) = (self.write(&format!("{name}.rs"), source), self.path(name));
        run(rustc()
            .args([
                "--crate-type",
                "cdylib",
                "--crate-name",
                "plugin",
                "-C",
                "debuginfo=0",
            ])
            .arg("--extern")
            .arg(format!("dynload_native={}", plugin_side(arguments).display()))
            .args(arguments)
            .arg(&source)
            .arg("-o")
            .arg(&out));
        out
    }
}

fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.args(["--edition", "2024"]);
    command
}

/// Builds this crate as a plugin uses it: without features, and so without dependencies.
fn plugin_side(arguments: &[&str]) -> PathBuf {
    static UNWIND: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    static ABORT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let abort = arguments.contains(&"panic=abort");
    let built = if abort { &ABORT } else { &UNWIND };
    built
        .get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let out = directory.path().join("libdynload_native.rlib");
            run(rustc()
                .args([
                    "--crate-type",
                    "rlib",
                    "--crate-name",
                    "dynload_native",
                    "-C",
                    "debuginfo=0",
                ])
                .args(if abort { &["-C", "panic=abort"][..] } else { &[] })
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
                .arg("-o")
                .arg(&out));
            (directory, out)
        })
        .1
        .clone()
}

/// Replaces `target` with `source` as a build tool does: with a new file of the same name.
pub(crate) fn rename_over(source: &Path, target: &Path) {
    std::fs::copy(source, target.with_extension("new")).unwrap();
    std::fs::rename(target.with_extension("new"), target).unwrap();
}
