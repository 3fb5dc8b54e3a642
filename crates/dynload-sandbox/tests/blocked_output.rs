//! A console that is the host's own, unread output: a guest that writes to it ends at its deadline, however it writes.
//!
//! Each guest runs in its own process, whose output is a pipe that stays full.

#![cfg(any(unix, windows))]
#![allow(
    clippy::disallowed_methods,
    reason = "the test runs itself in separate processes; no guest work is done there"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dynload_caps::Scopes;
use dynload_sandbox::*;

/// Set in the processes in which the guests run: the name of the guest.
const GUEST: &str = "DYNLOAD_TEST_GUEST";

/// More than the guest's one second, on a busy machine. Without its deadline the guest runs forever.
const ROOM: Duration = Duration::from_secs(60);

/// Guests that write more than a pipe accepts: a page at a time forever, or 200 000 bytes from a worker.
const GUESTS: [(&str, &str); 4] = [
    (
        "vais.print",
        r#"(module (import "vais" "print" (func $print (param i32 i32))) (memory (export "memory") 1)
            (func (export "run") (loop (call $print (i32.const 0) (i32.const 4096)) (br 0))))"#,
    ),
    (
        "a host function",
        r#"(module (import "env" "say" (func $say)) (func (export "run") (loop (call $say) (br 0))))"#,
    ),
    (
        "a worker that is joined",
        r#"(module
            (import "dynload" "thread_spawn" (func $spawn (param i32 i32 i64 i32) (result i32)))
            (import "dynload" "thread_join" (func $join (param i32 i32) (result i32)))
            (import "vais" "print" (func $print (param i32 i32)))
            (memory (export "memory") 4) (data (i32.const 0) "work")
            (func (export "work") (param i64) (result i64)
                (call $print (i32.const 8) (i32.const 200000)) (i64.const 0))
            (func (export "run")
                (drop (call $spawn (i32.const 0) (i32.const 4) (i64.const 0) (i32.const 8)))
                (drop (call $join (i32.load (i32.const 8)) (i32.const 16)))))"#,
    ),
    (
        "a worker that is not joined",
        r#"(module
            (import "dynload" "thread_spawn" (func $spawn (param i32 i32 i64 i32) (result i32)))
            (import "vais" "print" (func $print (param i32 i32)))
            (memory (export "memory") 4) (data (i32.const 0) "work")
            (func (export "work") (param i64) (result i64)
                (call $print (i32.const 8) (i32.const 200000)) (loop (br 0)) (i64.const 0))
            (func (export "run")
                (drop (call $spawn (i32.const 0) (i32.const 4) (i64.const 0) (i32.const 8)))
                (loop (br 0))))"#,
    ),
];

/// Runs one guest and exits with 0 if it exceeded its time limit.
fn run(guest: &str) -> ! {
    let (_, text) = GUESTS.iter().find(|(name, _)| *name == guest).unwrap();
    let scopes = Scopes::none().with_max_workers(1);
    let mut sandbox = Sandbox::new(Limits::DEFAULT.with_time(Duration::from_millis(1_000)))
        .with_capabilities(Capabilities::CONSOLE | Capabilities::THREADING)
        .with_scopes(scopes)
        .with_console(Console::new(ConsoleOutput::Inherit));
    sandbox.func_wrap(
        "env",
        "say",
        Capabilities::CONSOLE,
        |caller: &mut Caller<'_>, (): ()| {
            caller.print(Stream::Out, &[b'x'; 4096]);
            Ok(())
        },
    );
    let module = Module::new(&Engine::default(), wat::parse_str(text).unwrap()).unwrap();
    let outcome = sandbox.instantiate(&module).unwrap().call("run", &[]);
    let in_time = outcome.is_err_and(|error| {
        matches!(
            error.kind(),
            ErrorKind::LimitExceeded {
                limit: Limit::Time,
                ..
            }
        )
    });
    std::process::exit(if in_time { 0 } else { 3 })
}

#[test]
fn a_guest_with_unread_output_ends_at_its_deadline() {
    if let Ok(guest) = std::env::var(GUEST) {
        run(&guest);
    }
    for (guest, _) in GUESTS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_guest_with_unread_output_ends_at_its_deadline",
                "--nocapture",
            ])
            .env(GUEST, guest)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + ROOM;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    panic!("{guest}: it still waits for its output to be read");
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert_eq!(status.code(), Some(0), "{guest}");
    }
}
