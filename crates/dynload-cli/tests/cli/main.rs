//! The command, as a user runs it.

mod grants;
mod help;
mod inspect;
mod limits;
mod plugins;
mod prepare;
mod readme;
mod run;
mod watch;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// An empty directory in which the command runs, without the plugins and the cache of the user.
struct Workplace(TempDir);

impl Workplace {
    fn new() -> Workplace {
        Workplace(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and returns its path.
    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dynload"));
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("USERPROFILE", self.path())
            .env("TMPDIR", self.path())
            .env_remove("XDG_CACHE_HOME")
            .env_remove("VAIS_PLUGIN_PATH");
        command
    }

    fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        let output = self.command().args(args).output().unwrap();
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the command with arguments that are separated by spaces.
    fn words(&self, line: &str) -> Ended {
        self.run(line.split_whitespace())
    }
}

/// How the command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Checks the exit code.
    #[track_caller]
    fn code(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Checks that it succeeded and that this is its output.
    #[track_caller]
    fn prints(self, out: &str) {
        assert_eq!(self.code, Some(0), "{self:#?}");
        assert_eq!(self.out, out);
    }

    /// Checks that it failed with this code, and with a message that contains all of these.
    #[track_caller]
    fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.err.starts_with("dynload: "), "{self:#?}");
        for part in parts {
            assert!(self.err.contains(part), "{part} is not in {self:#?}");
        }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Checks that a JSON object has exactly these keys.
#[track_caller]
fn has_keys(value: &Value, keys: &[&str]) {
    let mut found: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let mut keys = keys.to_vec();
    found.sort_unstable();
    keys.sort_unstable();
    assert_eq!(found, keys);
}

/// Functions to call.
const FUNCTIONS: &str = r#"(module
    (memory 1)
    (func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
    (func (export "floats") (param f32 f64) (result f64 f32) (local.get 1) (local.get 0))
    (func (export "nothing"))
    (func $depth (export "depth") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0))
            (then (i32.const 0))
            (else (i32.add (i32.const 1) (call $depth (i32.sub (local.get 0) (i32.const 1)))))))
    (func (export "spin") (loop (br 0)))
    (func (export "trap") (unreachable))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

fn functions() -> Workplace {
    let place = Workplace::new();
    place.write("f.wat", FUNCTIONS);
    place
}
