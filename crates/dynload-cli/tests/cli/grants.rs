//! The capabilities and scopes of `dynload run`.

#[cfg(unix)]
use super::Workplace;
use super::functions;

/// A program that exists.
const PROGRAM: &str = if cfg!(windows) {
    r"--program C:\windows\system32\cmd.exe"
} else {
    "--program /bin/true"
};

#[test]
fn a_scope_without_its_capability_is_a_usage_error() {
    let place = functions();
    for (options, remedy) in [
        ("--dir .", "--grant fs_read,fs_write"),
        ("--grant fs_write --dir-ro .", "--grant fs_read"),
        ("--env A=b", "--grant env"),
        ("--net *:443", "--grant network"),
        (PROGRAM, "--grant process"),
        ("--workers 2", "--grant threading"),
    ] {
        place
            .words(&format!("run {options} --invoke nothing f.wat"))
            .fails(2, &["has no effect without the capability", remedy]);
    }
    place
        .words(&format!(
            "run --grant fs_read,fs_write|env --grant network --grant process,threading --dir . --env A=b --net *:443 \
             {PROGRAM} --workers 2 --invoke nothing f.wat",
        ))
        .prints("");
}

#[test]
fn wrong_scopes_are_usage_errors() {
    let place = functions();
    place
        .words("run --grant consol f.wat")
        .fails(2, &["did you mean `console`?"]);
    place
        .words("run --grant network --net example.com f.wat")
        .fails(2, &["'example.com'"]);
    place
        .words("run --grant process --program git f.wat")
        .fails(2, &["absolute path"]);
    place
        .words("run --grant env --env =x f.wat")
        .fails(2, &["the name is empty"]);
    place
        .words("run --grant fs_read --dir .::/a/../b f.wat")
        .fails(2, &["`..`"]);
    place.words("run --grant env --env DYNLOAD_UNSET f.wat").fails(
        2,
        &[
            "the variable `DYNLOAD_UNSET` of `--env` is not set",
            "`--env DYNLOAD_UNSET=VALUE`",
        ],
    );
    #[cfg(unix)]
    place
        .words("run --grant process --program /nothing/here f.wat")
        .fails(
            2,
            &["the program `/nothing/here` of `--program` is not an existing file"],
        );
    #[cfg(unix)]
    place
        .words("run --grant fs_read --dir nothing f.wat")
        .fails(2, &["cannot open the directory `nothing`"]);
}

/// A command that creates a directory and exits with the errno.
#[cfg(unix)]
const MAKE_DIRECTORY: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_create_directory" (func $create (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 0) "new")
    (func (export "_start") (call $exit (call $create (i32.const 3) (i32.const 0) (i32.const 3)))))"#;

#[cfg(unix)]
#[test]
fn directories_are_writable_or_read_only() {
    let place = Workplace::new();
    place.write("make.wat", MAKE_DIRECTORY);
    place.write("data/file", "");
    let new = place.path().join("data/new");
    for denied in [
        "run --grant fs_read,fs_write --dir-ro data make.wat",
        "run --grant fs_read --dir data make.wat",
        "run make.wat",
    ] {
        assert_ne!(place.words(denied).code, Some(0), "{denied}");
        assert!(!new.exists(), "{denied}");
    }
    place
        .words("run --grant fs_read,fs_write --dir data::/d make.wat")
        .prints("");
    assert!(new.is_dir());
}

#[cfg(unix)]
#[test]
fn variables_have_the_value_of_the_host_or_a_fixed_one() {
    let place = Workplace::new();
    place.write(
        "env.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (drop (call $sizes (i32.const 0) (i32.const 4)))
                (drop (call $get (i32.const 100) (i32.const 1000)))
                (i32.store (i32.const 16) (i32.const 1000))
                (i32.store (i32.const 20) (i32.load (i32.const 4)))
                (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))"#,
    );
    let output = place
        .command()
        .args([
            "run",
            "--grant",
            "console,env",
            "--env",
            "HOST",
            "--env",
            "FIXED=a=b",
            "env.wat",
        ])
        .env("HOST", "of the host")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "HOST=of the host\0FIXED=a=b\0"
    );
}

/// A guest that calls a function of `dynload` and exits with its errno.
#[cfg(unix)]
fn calls(import: &str, data: &str, call: &str) -> String {
    format!(
        r#"(module
            (import "dynload" {import})
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1) (data (i32.const 0) "{data}")
            (func (export "work") (param i64) (result i64) (local.get 0))
            (func (export "_start") {call}))"#
    )
}

#[cfg(unix)]
const NOT_CAPABLE: i32 = 76;

#[cfg(unix)]
#[test]
fn addresses_are_those_of_the_patterns() {
    let place = Workplace::new();
    let listen = calls(
        r#""tcp_listen" (func $listen (param i32 i32 i32 i32) (result i32))"#,
        "127.0.0.1",
        "(call $exit (call $listen (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 100)))",
    );
    place.write("listen.wat", listen);
    place
        .words("run --grant network --net 127.0.0.1:* listen.wat")
        .prints("");
    place
        .words("run --grant network --net example.com:* --net 127.0.0.1:* listen.wat")
        .prints("");
    place
        .words("run --grant network --net 127.0.0.2:* listen.wat")
        .code(NOT_CAPABLE);
    place.words("run --grant network listen.wat").code(NOT_CAPABLE);
}

#[cfg(unix)]
#[test]
fn programs_are_those_of_the_scopes() {
    let place = Workplace::new();
    // A structure with the address and the length of the path.
    let process = calls(
        r#""process_run" (func $run (param i32) (result i32))"#,
        "/bin/sh",
        "(i32.store (i32.const 104) (i32.const 7))
         (i32.store (i32.const 100) (i32.const 0))
         (call $exit (call $run (i32.const 100)))",
    );
    place.write("process.wat", process);
    place
        .words("run --grant process --program /bin/sh process.wat")
        .prints("");
    place
        .words("run --grant process --program /bin/true process.wat")
        .code(NOT_CAPABLE);
}

#[cfg(unix)]
#[test]
fn the_number_of_workers_is_limited() {
    let place = Workplace::new();
    let spawn = "(call $spawn (i32.const 0) (i32.const 4) (i64.const 1) (i32.const 100))";
    let workers = calls(
        r#""thread_spawn" (func $spawn (param i32 i32 i64 i32) (result i32))"#,
        "work",
        &format!("(drop {spawn}) (call $exit {spawn})"),
    );
    place.write("workers.wat", workers);
    place
        .words("run --grant threading --workers 2 workers.wat")
        .prints("");
    // AGAIN
    place
        .words("run --grant threading --workers 1 workers.wat")
        .code(6);
    place.words("run workers.wat").code(NOT_CAPABLE);
}
