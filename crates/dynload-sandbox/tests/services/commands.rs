//! C programs that do real work: with the capability, without it, and with it revoked partway.

use super::guest::*;
use dynload_caps::{Access, EnvScope};
use dynload_sandbox::*;
use std::{
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

const FILES: Capabilities = Capabilities::FS_READ
    .union(Capabilities::FS_WRITE)
    .union(Capabilities::CONSOLE);

#[test]
#[cfg_attr(windows, ignore = "creating symlinks requires a privilege")]
fn a_tree_of_files() {
    let module = c_program("files", &[]);
    let dir = tempfile::tempdir().unwrap();
    let mut sandbox = sandbox(dir.path(), Access::ReadWrite, FILES);
    let (code, text) = run(&mut sandbox, &module, &["work"]);
    assert_eq!((code, text.as_str()), (0, "100 files, 2000 bytes\n94 files\n"));
    // The host sees what the guest did.
    assert_eq!(
        std::fs::read_to_string(dir.path().join("moved/f7.txt")).unwrap(),
        "directory 0, file 7\n"
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("d9/renamed.txt")).unwrap(),
        "directory 3, file 4\n"
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("second-name")).unwrap(),
        "directory 1, file 1\nmore\n"
    );
    assert_eq!(
        std::fs::read_link(dir.path().join("link")).unwrap().to_str(),
        Some("d2/f2.txt")
    );
    assert!(!dir.path().join("d5").exists());
    let numbers = std::fs::read(dir.path().join("numbers")).unwrap();
    let numbers: Vec<u32> = numbers
        .chunks(4)
        .map(|n| u32::from_le_bytes(n.try_into().unwrap()))
        .collect();
    assert!(numbers.len() == 50_000 && numbers.is_sorted());
}

#[test]
fn a_tree_of_files_without_the_capability() {
    let module = c_program("files", &[]);
    let dir = tempfile::tempdir().unwrap();
    for (access, capabilities) in [
        (Access::ReadOnly, FILES),
        (Access::ReadWrite, FILES - Capabilities::FS_WRITE),
    ] {
        let mut sandbox = sandbox(dir.path(), access, capabilities);
        assert_eq!(run(&mut sandbox, &module, &["make"]).0, 76);
        assert_eq!(run(&mut sandbox, &module, &["walk"]).0, 0);
    }
    // Without either of the two the guest has no directory, for which the C library reports the same errno.
    let mut sandbox = sandbox(dir.path(), Access::ReadWrite, Capabilities::CONSOLE);
    assert_eq!(run(&mut sandbox, &module, &["walk"]).0, 76);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn files_revoked_partway() {
    let module = c_program("files", &[]);
    let dir = tempfile::tempdir().unwrap();
    let mut sandbox = sandbox(dir.path(), Access::ReadWrite, FILES);
    let authority = sandbox.authority().clone();
    let lines = dir.path().join("lines");
    let revoking = thread::spawn(move || {
        while std::fs::metadata(&lines).map_or(0, |metadata| metadata.len()) < 500 {
            thread::yield_now();
        }
        authority.revoke(Capabilities::FS_WRITE);
    });
    // Any of the calls may fail; for `write` the C library turns NOTCAPABLE into BADF.
    let code = run(&mut sandbox, &module, &["endless"]).0;
    assert!([76, 8].contains(&code), "{code}");
    revoking.join().unwrap();
}

#[test]
fn time() {
    let module = c_program("clock", &[]);
    let console = Capabilities::CONSOLE;
    let mut sandbox = Sandbox::new(Limits::DEFAULT).with_capabilities(console | Capabilities::TIME);
    let (code, text) = run(&mut sandbox, &module, &["30"]);
    assert_eq!(code, 0, "{text}");
    let wall: u64 = text.trim().split(' ').nth(1).unwrap().parse().unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(now.abs_diff(wall) < 60);
    let mut without = Sandbox::new(Limits::DEFAULT).with_capabilities(console);
    assert_eq!(run(&mut without, &module, &["30"]).0, 76);
    // Revoked while it sleeps: the C library has its own errno for a sleep that fails.
    let authority = sandbox.authority().clone();
    let revoking = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        authority.revoke(Capabilities::TIME);
    });
    let before = std::time::Instant::now();
    assert_eq!(run(&mut sandbox, &module, &["100000"]).0, 58);
    assert!(before.elapsed() < Duration::from_secs(60));
    revoking.join().unwrap();
}

#[test]
fn standard_streams_arguments_and_variables() {
    let module = c_program("stdio", &[]);
    let mut scopes = Scopes::none();
    scopes.env.push(EnvScope::fixed("COLOUR", "blue").unwrap());
    scopes
        .env
        .push(EnvScope::host("THE_HOST_DOES_NOT_HAVE_THIS").unwrap());
    let console = || Console::new(ConsoleOutput::Buffer).with_input(b"shout\n".as_slice());
    let all = Capabilities::CONSOLE | Capabilities::ENV;
    let mut sandbox = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(all)
        .with_scopes(scopes.clone())
        .with_console(console());
    assert_eq!(
        run(&mut sandbox, &module, &["one", "two"]),
        (2, "SHOUT\none\ntwo\nCOLOUR=blue\n".into())
    );
    sandbox.revoke(Capabilities::ENV);
    assert_eq!(run(&mut sandbox, &module, &["one"]), (1, "SHOUT\none\n".into()));
    sandbox.revoke(Capabilities::CONSOLE);
    assert_eq!(run(&mut sandbox, &module, &[]), (0, String::new()));
}

#[test]
fn console_sinks() {
    let module = c_program("stdio", &[]);
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = seen.clone();
    let callback = move |stream: Stream, bytes: &[u8]| {
        sink.lock().unwrap().push((stream, bytes.to_vec()));
        Ok(())
    };
    let console = Console::new(ConsoleOutput::callback(callback)).with_input(b"abc".as_slice());
    let mut sandbox = Sandbox::new(Limits::DEFAULT)
        .with_capabilities(Capabilities::CONSOLE)
        .with_console(console.with_limit(5));
    // Three bytes of output, and two of the five bytes of the argument: then the console is full.
    assert_eq!(run(&mut sandbox, &module, &["12345"]).0, 1);
    let all: Vec<u8> = seen
        .lock()
        .unwrap()
        .iter()
        .flat_map(|(_, bytes)| bytes.clone())
        .collect();
    assert_eq!(all.len(), 5);
    assert_eq!(
        seen.lock()
            .unwrap()
            .iter()
            .filter(|(stream, _)| *stream == Stream::Err)
            .count(),
        1
    );
}

#[test]
fn a_reactor() {
    let module = c_program("reactor", &["-mexec-model=reactor"]);
    let mut instance = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap();
    assert_eq!(instance.call_i64("add", &[5]).unwrap(), 105);
    assert_eq!(instance.call_i64("add", &[5]).unwrap(), 110);
    instance.reset().unwrap();
    assert_eq!(instance.call_i64("add", &[5]).unwrap(), 105);
}

const MISSING: &str = if cfg!(unix) {
    "/does/not/exist"
} else {
    r"C:\does\not\exist"
};

#[test]
fn a_missing_directory() {
    let mut sandbox = sandbox(
        std::path::Path::new(MISSING),
        Access::ReadOnly,
        Capabilities::NONE,
    );
    let error = sandbox.instantiate(&module("")).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(MISSING) && cause.contains("/data"), "{cause}");
    // A guest without host services is not affected.
    sandbox.set_args(["nothing"]);
    let plain = Module::new(&Engine::default(), wat::parse_str("(module)").unwrap()).unwrap();
    sandbox.instantiate(&plain).unwrap();
}

/// The example, as a user runs it.
#[test]
fn the_run_example() {
    let guest = c_file("stdio", &[]);
    let example = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .join("../examples/run");
    let mut child = Command::new(example)
        .args([
            "--limits",
            "restrictive",
            "--fuel",
            "10000000",
            "--grant",
            "console,env",
            "--env",
            "A=b",
            "--usage",
        ])
        .arg(guest)
        .args(["x", "--usage"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"in\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"IN\n");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("x\n--usage\nA=b\nfuel: "), "{errors}");
    assert!(
        errors.contains("peak memory: ") && errors.contains("peak stack: "),
        "{errors}"
    );
}

/// Unread output does not keep the guest from its deadline.
#[test]
fn unread_output() {
    let guest = c_file("stdio", &[]);
    let example = std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .join("../examples/run");
    let mut child = Command::new(example)
        .args(["--limits", "restrictive", "--grant", "console"])
        .arg(guest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut endless = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || while std::io::Write::write_all(&mut endless, &[0; 4096]).is_ok() {});
    let before = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    feeding.join().unwrap();
    assert!(
        (900..3000).contains(&before.elapsed().as_millis()),
        "{:?}",
        before.elapsed()
    );
    let mut errors = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut errors).unwrap();
    assert!(errors.contains("exceeded the time limit of 1 s"), "{errors}");
}
