//! `dynload watch`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::Workplace;

/// A running `dynload watch`, which is ended when it is dropped.
pub(crate) struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    pub(crate) fn start(place: &Workplace, line: &str) -> Watching {
        let mut command = place.command();
        command.arg("watch").args(line.split_whitespace());
        Watching::spawn(command)
    }

    fn spawn(mut command: Command) -> Watching {
        let mut child = command
            .args(["--debounce", "20ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Watching { child, lines }
    }

    /// Waits for the next line.
    #[cfg(unix)]
    #[track_caller]
    fn next(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// Waits for a line that contains `part`, and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = Vec::new();
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line contains {part}: {seen:#?}");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn returns(value: &str) -> String {
    format!(r#"(module (func (export "value") (result i32) {value}))"#)
}

#[test]
fn each_save_is_reloaded_and_called() {
    let place = Workplace::new();
    place.write("p.wat", returns("(i32.const 1)"));
    let watching = Watching::start(&place, "p.wat --call value");
    watching.wait_for("version 1 runs");
    watching.wait_for("value() = 1");
    place.write("p.wat", returns("(i32.const 2)"));
    watching.wait_for("version 2 runs");
    watching.wait_for("value() = 2");
    // An error leaves the running version, and is reported with its line.
    place.write("p.wat", returns("(i32.cnst 3)"));
    let failed = watching.wait_for("failed to load: cannot load the new version: ");
    assert!(failed.contains("p.wat:1:46: unknown operator"), "{failed}");
    place.write("p.wat", returns("(unreachable)"));
    watching.wait_for("value() failed: `value` trapped: unreachable executed");
}

#[test]
fn limits_and_capabilities_apply() {
    let place = Workplace::new();
    place.write("spin.wat", returns("(loop (br 0)) (i32.const 1)"));
    let watching = Watching::start(&place, "spin.wat --call value --time 50ms");
    watching.wait_for("exceeded the time limit of 50 ms; raise it with `--time`");
    drop(watching);
    let print = r#"(module (import "vais" "println" (func $print (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "hello")
        (func (export "value") (call $print (i32.const 0) (i32.const 5))))"#;
    place.write("print.wat", print);
    Watching::start(&place, "print.wat --call value").wait_for("grant it with `--grant console`");
    let watching = Watching::start(&place, "print.wat --call value --grant console");
    watching.wait_for("hello");
    let line = watching.wait_for("value()");
    assert!(line.ends_with("  value()"), "{line}");
    place
        .words("watch print.wat --dir .")
        .fails(2, &["`--dir` has no effect"]);
}

#[test]
fn a_binary_module_is_reloaded() {
    let place = Workplace::new();
    let bytes = |value: u32| wat::parse_str(returns(&format!("(i32.const {value})"))).unwrap();
    place.write("p.wasm", bytes(1));
    let watching = Watching::start(&place, "p.wasm --call value");
    watching.wait_for("value() = 1");
    // A writer that has not finished: the rest is waited for.
    let second = bytes(2);
    place.write("p.wasm", &second[..second.len() - 3]);
    place.write("p.wasm", &second);
    watching.wait_for("value() = 2");
}

/// Regression: `_initialize` ran a second time.
#[test]
fn a_reactor_is_initialized_once() {
    let place = Workplace::new();
    place.write(
        "p.wat",
        r#"(module (global $count (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $count (i32.add (global.get $count) (i32.const 1))))
            (func (export "value") (result i32) (global.get $count)))"#,
    );
    Watching::start(&place, "p.wat --call value").wait_for("value() = 1");
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no compiler")]
fn a_build_command_creates_the_module() {
    let place = Workplace::new();
    let source = |value: u32| {
        format!("__attribute__((export_name(\"value\"))) long long value(void) {{ return {value}; }}\n")
    };
    place.write("p.c", source(1));
    let mut command = place.command();
    command.args(["watch", "p.c", "--call", "value", "--build"]);
    command.arg("clang --target=wasm32 -nostdlib -Wl,--no-entry -o {out} {src}");
    let watching = Watching::spawn(command);
    watching.wait_for("value() = 1");
    place.write("p.c", "int value(void) { return }\n");
    watching.wait_for("failed to build");
    watching.wait_for("error:");
    place.write("p.c", source(2));
    watching.wait_for("value() = 2");
}

#[cfg(unix)]
#[test]
fn a_native_library_is_built_and_never_loaded() {
    let place = Workplace::new();
    place.write(
        "p.c",
        "#include <stdio.h>\n__attribute__((constructor)) static void start(void) { puts(\"loaded\"); fflush(stdout); }\n",
    );
    let watching = Watching::start(&place, "p.c");
    let mut lines = vec![watching.next()];
    while !lines
        .last()
        .unwrap()
        .contains("a native library, inspected and not loaded: ")
    {
        lines.push(watching.next());
    }
    for words in ["loaded in", "runs"] {
        assert!(!lines.concat().contains(words), "{lines:#?}");
    }
    let why = "`--call` has no effect, because without `--build` `p.c` is a native library";
    place.words("watch p.c --call value").fails(2, &[why]);
}

/// Of a pipe, without a wait for the end of the command.
#[cfg(unix)]
#[test]
fn lines_are_printed_before_the_first_build_ends() {
    let place = Workplace::new();
    place.write("p.c", "int value;\n");
    place.write("build.sh", "mkfifo p.pipe; read line < p.pipe");
    let mut command = place.command();
    command.args(["watch", "./p.c", "--also", "p.h", "--build", "sh build.sh"]);
    let watching = Watching::spawn(command);
    let source = place.path().join("p.c");
    assert_eq!(
        watching.next(),
        format!("watching {}; press Ctrl-C to stop", source.display())
    );
    assert_eq!(watching.next().trim(), "p.h does not exist; waiting for it too");
    // Nothing has changed.
    assert!(watching.next().ends_with("  building: sh build.sh"));
    ends_with(&place, watching, "TERM", 143);
}

#[cfg(unix)]
#[test]
fn the_path_is_shown_without_dots() {
    let place = Workplace::new();
    place.write("target/p.wat", "(module)");
    std::fs::create_dir_all(place.path().join("deep/er")).unwrap();
    std::os::unix::fs::symlink("deep/er", place.path().join("link")).unwrap();
    let root = place.path().canonicalize().unwrap();
    let watching = Watching::start(&place, "./link/../../target/./p.wat");
    let shown = root.join("target/p.wat");
    assert!(
        watching
            .next()
            .starts_with(&format!("watching {};", shown.display()))
    );
    watching.wait_for("version 1 runs");
}

#[test]
fn a_source_that_does_not_exist_is_waited_for() {
    let place = Workplace::new();
    let watching = Watching::start(&place, "p.wat --call value");
    watching.wait_for("the source does not exist; waiting for it");
    place.write("p.wat", returns("(i32.const 1)"));
    watching.wait_for("value() = 1");
    let mut command = place.command();
    command.args(["watch", "p.c", "--build", "false"]);
    Watching::spawn(command).wait_for("the source does not exist; waiting for it");
}

#[test]
fn a_source_that_cannot_be_built_is_a_usage_error() {
    let place = Workplace::new();
    place.write("p.txt", "");
    let ended = place.words("watch p.txt");
    let said = format!("{}{}", ended.out, ended.err)
        .matches("there is no builder")
        .count();
    assert_eq!(said, 1, "{ended:#?}");
    ended.fails(2, &["there is no builder for", "pass it with `--build`"]);
}

#[test]
fn a_removed_source_is_reported_and_waited_for() {
    let place = Workplace::new();
    let path = place.write("p.wat", returns("(i32.const 1)"));
    let watching = Watching::start(&place, "p.wat --call value");
    watching.wait_for("value() = 1");
    std::fs::remove_file(&path).unwrap();
    watching.wait_for("the source was removed; waiting for it");
    // The same content is not a new version.
    place.write("p.wat", returns("(i32.const 1)"));
    watching.wait_for("the source exists again");
    std::fs::remove_file(&path).unwrap();
    watching.wait_for("the source was removed; waiting for it");
    place.write("p.wat", returns("(i32.const 2)"));
    watching.wait_for("value() = 2");
}

/// Ends `watching` with a signal, and checks the exit code and that nothing remains.
#[cfg(unix)]
#[track_caller]
fn ends_with(place: &Workplace, mut watching: Watching, signal: &str, code: i32) {
    let pid = watching.child.id().to_string();
    let status = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
    assert!(status.success());
    assert_eq!(watching.child.wait().unwrap().code(), Some(code));
    let left: Vec<_> = std::fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("dynload-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(unix)]
#[test]
fn a_signal_removes_the_copies_and_determines_the_exit_code() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let place = Workplace::new();
        place.write("p.wat", returns("(i32.const 1)"));
        let watching = Watching::start(&place, "p.wat --call value");
        watching.wait_for("value() = 1");
        ends_with(&place, watching, signal, code);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_call_and_a_build() {
    let place = Workplace::new();
    let print = r#"(module (import "vais" "println" (func $print (param i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "begun")
        (func (export "spin") (call $print (i32.const 0) (i32.const 5)) (loop (br 0))))"#;
    place.write("spin.wat", print);
    let watching = Watching::start(&place, "spin.wat --call spin --time none --grant console");
    watching.wait_for("begun");
    ends_with(&place, watching, "INT", 130);

    place.write("p.c", "");
    let begun = place.path().join("begun");
    place.write(
        "build.sh",
        format!("mkfifo {0}.pipe; : > {0}; read line < {0}.pipe", begun.display()),
    );
    let mut command = place.command();
    command.args(["watch", "p.c", "--build", "sh build.sh"]);
    let watching = Watching::spawn(command);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun.exists() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    ends_with(&place, watching, "TERM", 143);
}
