//! Errors of the console's sink reach the guest.

use super::guest::*;
use dynload_sandbox::*;
use errno::*;
use std::{
    fs::File,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

const PIPE: i64 = 64;
const IO: i64 = 29;

fn guest(output: ConsoleOutput) -> Guest {
    Guest::new(
        &Sandbox::new(Limits::PERMISSIVE)
            .with_capabilities(Capabilities::CONSOLE)
            .with_console(Console::new(output).with_limit(u64::MAX)),
    )
}

fn write(guest: &mut Guest, len: u32) -> (i64, u32) {
    let [list, count] = guest.buffer(0, len);
    guest.put(OUT, &[0; 4]);
    let errno = guest.call("fd_write", &[1, list, count, OUT.into()]);
    (errno, guest.u32(OUT))
}

#[test]
fn each_error_of_a_callback_is_its_errno() {
    for (error, errno) in [
        (OutputError::BrokenPipe, PIPE),
        (OutputError::NoSpace, NOSPC),
        (OutputError::Failed, IO),
    ] {
        let mut guest = guest(ConsoleOutput::callback(move |_, _| Err(error)));
        assert_eq!(write(&mut guest, 10), (errno, 0));
        assert_eq!(
            write(&mut guest, 0),
            (SUCCESS, 0),
            "nothing was written, so nothing failed"
        );
    }
}

/// As write(2): what was written before the error is a success, and the next write reports the error.
#[test]
fn a_partial_write_succeeds() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let mut guest = guest(ConsoleOutput::callback(|_, _| {
        match CALLS.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(OutputError::NoSpace),
        }
    }));
    let whole = MEMORY - 65_536;
    let (errno, done) = write(&mut guest, whole);
    assert_eq!(errno, SUCCESS);
    assert!(0 < done && done < whole, "{done} of {whole}");
    assert_eq!(write(&mut guest, 10), (NOSPC, 0));
}

#[test]
fn an_import_without_an_errno_drops_the_output() {
    let module = wat::parse_str(
        r#"(module (import "vais" "println" (func $println (param i32 i32))) (memory (export "memory") 1)
            (func (export "run") (call $println (i32.const 0) (i32.const 5))))"#,
    );
    let module = Module::new(&Engine::default(), module.unwrap()).unwrap();
    let output = ConsoleOutput::callback(|_, _| Err(OutputError::BrokenPipe));
    let sandbox = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(Capabilities::CONSOLE)
        .with_console(Console::new(output));
    sandbox.instantiate(&module).unwrap().call("run", &[]).unwrap();
}

/// A guest that exits with the errno of its write to standard output.
const WRITES: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\06\00\00\00hello\n")
    (func (export "_start")
        (call $proc_exit (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"#;

#[test]
fn errors_of_the_hosts_own_output_reach_the_guest() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = dir.path().join("writes.wasm");
    std::fs::write(&wasm, wat::parse_str(WRITES).unwrap()).unwrap();
    let run = |stdout: Stdio| {
        let example = std::env::current_exe()
            .unwrap()
            .parent()
            .unwrap()
            .join("../examples/run");
        let mut command = Command::new(example);
        command.args(["--grant", "console"]).arg(&wasm).stdout(stdout);
        command.status().unwrap().code()
    };
    assert_eq!(run(Stdio::null()), Some(0));
    let full = File::options().write(true).open("/dev/full");
    if let Ok(full) = full {
        assert_eq!(run(full.into()), Some(NOSPC as i32));
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run(writer.into()), Some(PIPE as i32));
}
