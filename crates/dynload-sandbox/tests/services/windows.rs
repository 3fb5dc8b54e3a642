//! What only Windows does: names with another meaning, files that are open, programs.

use super::{
    guest::{errno::*, *},
    process::run_program,
};
use dynload_caps::{
    Access::{self, ReadOnly, ReadWrite},
    DirScope, ProgramScope,
};
use dynload_sandbox::*;
use std::{
    fs,
    io::{Read, Write},
    path::Path,
    time::Duration,
};

const FILES: Capabilities = Capabilities::FS_READ.union(Capabilities::FS_WRITE);
const APPEND: i64 = 1;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Backslashes, drives, streams, shares, devices, and endings that the system drops.
#[test]
fn names_with_another_meaning_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
    fs::create_dir_all(inside.join("d")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(inside.join("file"), "inside").unwrap();
    fs::write(outside.join("secret"), "outside").unwrap();
    let mut guest = Guest::new(&sandbox(&inside, ReadWrite, FILES));
    for path in [
        r"..\outside\secret",
        r"d\..\..\outside\secret",
        r"d\new",
        r"\new",
        r"\\server\share\new",
        r"\\?\C:\new",
        r"\\.\pipe\new",
        r"\??\C:\new",
        "C:",
        "C:new",
        "C:/new",
        "//?/C:/new",
        "file:stream",
        "file::$DATA",
        "d:stream",
        "d::$INDEX_ALLOCATION",
        "file.",
        "file ",
        "d./new",
        "d /new",
        ".../new",
        "new*",
        "new?",
        "a<b",
        "a>b",
        "a|b",
        "a\"b",
        "new\nline",
        "tab\t",
        "\u{1}",
        "\u{7f}",
        "con",
        "NUL",
        "nul.txt",
        "Aux.tar.gz",
        "prn",
        "COM1",
        "com9.log",
        "lpt0",
        "COM¹",
        "lpt³.x",
        "CONIN$",
        "conout$",
        "nul .txt",
        "d/NUL",
        "NUL/new",
    ] {
        // `//?/C:/new` is absolute for every system.
        let refused = |errno: i64| assert!([INVAL, PERM].contains(&errno), "{path:?} returned {errno}");
        refused(guest.write(path, b"new").unwrap_err());
        refused(guest.read(path).unwrap_err());
        refused(guest.open(path, DIRECTORY, READ_RIGHTS).unwrap_err());
        refused(guest.mkdir(path));
        refused(guest.rmdir_at(3, path));
        refused(guest.unlink(path));
        refused(guest.rename("file", path));
        refused(guest.rename(path, "other"));
        refused(guest.hard_link("file", path));
        refused(guest.hard_link(path, "other"));
        refused(guest.touch_at(3, path, true));
        refused(guest.stat(path, true));
        refused(guest.stat(path, false));
        refused(guest.symlink("file", path));
    }
    assert_eq!(names(&inside), ["d", "file"]);
    assert_eq!(names(&inside.join("d")), [""; 0]);
    assert_eq!(fs::read(inside.join("file")).unwrap(), b"inside");
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"outside");
    assert_eq!(names(&outside), ["secret"]);
    // Names that only resemble them.
    for path in [
        "console", "com", "com10", "lpt", "nulls", "a.con", "_nul", ".hidden", "COMx",
    ] {
        assert_eq!(guest.write(path, b"new"), Ok(()), "{path}");
        assert_eq!(guest.read(path).unwrap(), b"new", "{path}");
    }
}

/// As on Unix, and unlike the system.
#[test]
fn files_and_directories_do_not_replace_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&sandbox(dir.path(), ReadWrite, FILES));
    guest.write("file", b"file").unwrap();
    assert_eq!(guest.mkdir("d"), SUCCESS);
    assert_eq!(guest.rename("d", "file"), NOTDIR);
    assert_eq!(guest.rename("file", "d"), ISDIR);
    assert_eq!(guest.read("file").unwrap(), b"file");
    assert_eq!(names(dir.path()), ["d", "file"]);
}

#[test]
fn network_shares_are_not_granted() {
    let scope = DirScope::new(r"\\localhost\share", "/data", ReadOnly).unwrap();
    let sandbox = Sandbox::new(Limits::DEFAULT).with_scopes(Scopes::none().with_dir(scope));
    sandbox.check_directories().unwrap_err();
}

#[test]
fn symlinks_are_not_created() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&sandbox(dir.path(), ReadWrite, FILES));
    assert_eq!(guest.symlink("file", "link"), NOTSUP);
    for target in ["/file", "../file", r"..\file", r"C:\file", r"\\server\share"] {
        assert_ne!(guest.symlink(target, "link"), SUCCESS, "{target}");
    }
    assert_eq!(names(dir.path()), [""; 0]);
}

/// Names differ in case, directories do not.
#[test]
fn a_read_only_directory_by_another_case() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("a/keys");
    fs::create_dir_all(&keys).unwrap();
    fs::write(keys.join("secret"), "as it was").unwrap();
    let dirs: [(&Path, Access); 2] = [(dir.path(), ReadWrite), (&keys, ReadOnly)];
    let mut guest = Guest::new(&sandbox_of(&dirs, FILES));
    for path in [
        "a/keys/secret",
        "A/KEYS/SECRET",
        "a/Keys/secret",
        "A/../a/KEYS/./secret",
    ] {
        assert_eq!(guest.write(path, b"changed"), Err(NOTCAPABLE), "{path}");
        assert_eq!(guest.unlink(path), NOTCAPABLE, "{path}");
        assert_eq!(guest.rename(path, "stolen"), NOTCAPABLE, "{path}");
        assert_eq!(guest.hard_link(path, "stolen"), NOTCAPABLE, "{path}");
        assert_eq!(guest.touch_at(3, path, true), NOTCAPABLE, "{path}");
    }
    for path in ["A", "a/KEYS", "A/keys"] {
        assert_ne!(guest.rename(path, "gone"), SUCCESS, "{path}");
        assert_ne!(guest.rmdir_at(3, path), SUCCESS, "{path}");
    }
    assert_eq!(guest.read("A/KEYS/SECRET").unwrap(), b"as it was");
    assert_eq!(names(dir.path()), ["a"]);
}

/// As on Unix: what is open can be removed and renamed, and what replaces it is another file.
#[test]
fn open_files_are_removed_and_renamed() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&sandbox(dir.path(), ReadWrite, FILES));
    guest.write("file", b"first").unwrap();
    let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
    assert_eq!(guest.rename("file", "other"), SUCCESS);
    guest.write("file", b"second").unwrap();
    let [list, count] = guest.buffer(DATA, 5);
    assert_eq!(guest.call("fd_read", &[fd, list, count, OUT.into()]), SUCCESS);
    assert_eq!(guest.bytes(DATA, 5), b"first");
    assert_eq!(guest.unlink("other"), SUCCESS);
    assert_eq!(guest.call("fd_close", &[fd]), SUCCESS);
    assert_eq!(names(dir.path()), ["file"]);
    assert_eq!(guest.read("file").unwrap(), b"second");
}

fn write(guest: &mut Guest, fd: i64, bytes: &[u8]) {
    guest.put(DATA, bytes);
    let [list, count] = guest.buffer(DATA, bytes.len() as u32);
    assert_eq!(guest.call("fd_write", &[fd, list, count, OUT.into()]), SUCCESS);
    assert_eq!(guest.u32(OUT), bytes.len() as u32);
}

fn position(guest: &mut Guest, fd: i64) -> u64 {
    assert_eq!(guest.call("fd_tell", &[fd, OUT.into()]), SUCCESS);
    guest.u64(OUT)
}

#[test]
fn appending_writes_at_the_end_whoever_wrote_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&sandbox(dir.path(), ReadWrite, FILES));
    let open = |guest: &mut Guest| guest.open_with("file", 1, CREAT, ALL_RIGHTS, APPEND).unwrap();
    let (one, two) = (open(&mut guest), open(&mut guest));
    write(&mut guest, one, b"a");
    write(&mut guest, two, b"bb");
    write(&mut guest, one, b"ccc");
    assert_eq!(position(&mut guest, one), 6);
    // The offset counts, and the position stays.
    guest.put(DATA, b"X");
    let [list, count] = guest.buffer(DATA, 1);
    assert_eq!(
        guest.call("fd_pwrite", &[one, list, count, 1, OUT.into()]),
        SUCCESS
    );
    assert_eq!(position(&mut guest, one), 6);
    let [list, count] = guest.buffer(DATA, 3);
    assert_eq!(
        guest.call("fd_pread", &[one, list, count, 0, OUT.into()]),
        SUCCESS
    );
    assert_eq!(guest.bytes(DATA, 3), b"aXb");
    assert_eq!(position(&mut guest, one), 6);
    // From now on it writes at its position.
    assert_eq!(guest.call("fd_fdstat_set_flags", &[two, 0]), SUCCESS);
    assert_eq!(guest.call("fd_seek", &[two, 0, 0, OUT.into()]), SUCCESS);
    write(&mut guest, two, b"A");
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"AXbccc");
    // Offsets that the system gives another meaning.
    for offset in [i64::MAX, i64::MIN, -1, -2] {
        let args = [one, list, count, offset, OUT.into()];
        assert_ne!(guest.call("fd_pwrite", &args), SUCCESS, "{offset}");
    }
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"AXbccc");
}

/// Regression: a write behind the end cost nothing, but the system writes all zeros of the gap in that one call.
#[test]
fn gaps_cost_fuel() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let mut scopes = Scopes::none();
    let scope = DirScope::new(dir.path().to_str().unwrap(), "/data", ReadWrite);
    scopes.dirs.push(scope.unwrap());
    let sandbox = Sandbox::new(Limits::PERMISSIVE.with_fuel(1 << 16))
        .with_capabilities(FILES)
        .with_scopes(scopes);
    let far = 1 << 40;
    for call in ["pwrite", "seek", "size", "allocate"] {
        let mut guest = Guest::new(&sandbox);
        let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
        let [list, count] = guest.buffer(DATA, 1);
        let result = match call {
            "pwrite" => guest.try_call("fd_pwrite", &[fd, list, count, far, OUT.into()]),
            "seek" => {
                assert_eq!(guest.call("fd_seek", &[fd, far, 0, OUT.into()]), SUCCESS);
                guest.try_call("fd_write", &[fd, list, count, OUT.into()])
            }
            "size" => guest.try_call("fd_filestat_set_size", &[fd, far]),
            _ => guest.try_call("fd_allocate", &[fd, 0, far]),
        };
        // On a small disk, there is no room.
        match result {
            Ok(errno) => assert_ne!(errno, SUCCESS, "{call}"),
            Err(error) => assert_eq!(error.limit(), Some(Limit::Fuel), "{call}: {error}"),
        }
        assert!(
            fs::metadata(dir.path().join("file")).unwrap().len() < 1 << 26,
            "{call}"
        );
    }
    // What fits is zero.
    fs::write(dir.path().join("file"), "x").unwrap();
    let mut guest = Guest::new(&sandbox);
    let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
    guest.put(DATA, b"y");
    let [list, count] = guest.buffer(DATA, 1);
    assert_eq!(
        guest.call("fd_pwrite", &[fd, list, count, 50_000, OUT.into()]),
        SUCCESS
    );
    assert_eq!(guest.call("fd_filestat_set_size", &[fd, 60_000]), SUCCESS);
    let mut expected = vec![0; 60_000];
    (expected[0], expected[50_000]) = (b'x', b'y');
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), expected);
}

/// Regression: `file/` was `file`, and creating it was possible.
#[test]
fn only_directories_have_a_slash_or_a_dot_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&sandbox(dir.path(), ReadWrite, FILES));
    guest.write("file", b"text").unwrap();
    assert_eq!(guest.mkdir("d"), SUCCESS);
    for path in ["file/", "file/.", "d/../file/", "file//"] {
        assert_eq!(guest.read(path), Err(NOTDIR), "{path}");
        assert_eq!(guest.open(path, TRUNC, ALL_RIGHTS), Err(NOTDIR), "{path}");
        assert_ne!(guest.write(path, b""), Ok(()), "{path}");
        assert_eq!(guest.stat(path, true), NOTDIR, "{path}");
        assert_eq!(guest.stat(path, false), NOTDIR, "{path}");
    }
    for path in ["new/", "new/.", "d/new/."] {
        assert_ne!(guest.write(path, b""), Ok(()), "{path}");
    }
    for path in ["d/", "d/.", ".", "./", "d/.."] {
        assert_eq!(guest.stat(path, true), SUCCESS, "{path}");
        guest.open(path, 0, READ_RIGHTS).unwrap();
    }
    assert_eq!(guest.read("file").unwrap(), b"text");
    assert_eq!(names(dir.path()), ["d", "file"]);
    assert_eq!(names(&dir.path().join("d")), [""; 0]);
}

/// Regression: it was ACCES, at which the `remove` of C libraries gives up.
#[test]
fn unlinking_a_directory_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::new(&sandbox(dir.path(), ReadWrite, FILES));
    assert_eq!(guest.mkdir("d"), SUCCESS);
    for path in ["d", "d/", "d/.", "."] {
        assert_eq!(guest.unlink(path), ISDIR, "{path}");
    }
    assert_eq!(guest.rmdir_at(3, "d"), SUCCESS);
}

#[test]
fn times_are_set_and_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    let mut guest = Guest::new(&sandbox(dir.path(), ReadWrite, FILES));
    guest.write("file", b"").unwrap();
    let time = 1_000_000_000_i64 * 1_000_000_000;
    for path in ["file", "d"] {
        let [ptr, len] = guest.path(path);
        let args = [3, 1, ptr, len, time, time + 1_000_000_000, 1 | 4];
        assert_eq!(guest.call("path_filestat_set_times", &args), SUCCESS, "{path}");
        assert_eq!(guest.stat(path, true), SUCCESS);
        assert_eq!(guest.u64(OUT + 40), time as u64, "{path}");
        assert_eq!(guest.u64(OUT + 48), time as u64 + 1_000_000_000, "{path}");
        assert_ne!(guest.u64(OUT + 8), 0, "a file has an inode");
    }
    let fd = guest.open("file", 0, ALL_RIGHTS).unwrap();
    assert_eq!(
        guest.call("fd_filestat_set_times", &[fd, 0, 5_000_000_000, 4]),
        SUCCESS
    );
    assert_eq!(guest.call("fd_filestat_get", &[fd, OUT.into()]), SUCCESS);
    assert_eq!(guest.u64(OUT + 48), 5_000_000_000);
}

/// Not a test of its own: the program of the tests below. It has no variables to be told so, and a name that no test of a
/// whole run has.
#[test]
#[ignore = "other tests run it as a program"]
fn child() {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).unwrap();
    let variables: Vec<_> = std::env::vars_os()
        .map(|(name, _)| name.to_string_lossy().to_uppercase())
        .collect();
    let mut out = std::io::stdout();
    write!(
        out,
        "<{} {:?} {variables:?}>",
        input.len(),
        std::env::current_dir().unwrap()
    )
    .unwrap();
    std::io::stderr().write_all(&[b'e'; 70_000]).unwrap();
    let text = String::from_utf8_lossy(&input);
    if text == "wait" {
        std::thread::sleep(Duration::from_secs(600));
    }
    if let Some(port) = text.strip_prefix("listen ") {
        let _listener = std::net::TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
        std::thread::sleep(Duration::from_secs(600));
    }
    if let Some(port) = text.strip_prefix("leave ") {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(CHILD).stdin(std::process::Stdio::piped());
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut left = command.spawn().unwrap();
        write!(left.stdin.take().unwrap(), "listen {port}").unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).is_err() {}
    }
    std::process::exit(7);
}

fn programs(limits: Limits) -> (Guest, String) {
    let program = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let mut scopes = Scopes::none();
    scopes.programs.push(ProgramScope::new(program.clone()).unwrap());
    let sandbox = Sandbox::new(limits)
        .with_capabilities(Capabilities::PROCESS)
        .with_scopes(scopes);
    (Guest::new(&sandbox), program)
}

const CHILD: [&str; 4] = ["--exact", "windows::child", "--ignored", "--nocapture"];

#[test]
fn a_program_runs_to_its_end() {
    let (mut guest, program) = programs(Limits::PERMISSIVE);
    for len in [0, 3, 40_000] {
        let (status, written, output, errors) =
            run_program(&mut guest, &program, &CHILD, &vec![b'i'; len], 2000);
        let output = String::from_utf8(output).unwrap();
        assert_eq!(status, 7, "{output}");
        assert_eq!(written as usize, output.len());
        assert!(output.contains(&format!("<{len} \"C:\\\\\" [")), "{output}");
        assert!(!output.contains("PATH"), "{output}");
        assert!(errors >= 70_000, "{errors}");
    }
    let at = super::process::request(&mut guest, r"C:\windows\system32\cmd.exe", &[], b"", 10);
    assert_eq!(guest.call("process_run", &[at]), NOTCAPABLE);
}

/// A program that inherited the sockets of a guest would keep its port and its connections.
#[test]
fn a_program_inherits_no_sockets() {
    let sandbox = Sandbox::new(Limits::PERMISSIVE)
        .with_capabilities(Capabilities::NETWORK)
        .with_scopes(Scopes::none().with_net("127.0.0.1:*".parse().unwrap()));
    let mut server = Guest::new(&sandbox);
    let [ptr, len] = server.path("127.0.0.1");
    assert_eq!(server.call("tcp_listen", &[ptr, len, 0, OUT.into()]), SUCCESS);
    let (listener, port) = (server.u32(OUT), server.u32(OUT + 4) as u16);
    let mut client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert_eq!(
        server.call("sock_accept", &[listener.into(), 0, OUT.into()]),
        SUCCESS
    );
    let connection = server.u32(OUT);
    let (mut guest, program) = programs(Limits::PERMISSIVE.with_time(Duration::from_secs(15)));
    let running = std::thread::spawn(move || {
        let at = super::process::request(&mut guest, &program, &CHILD, b"wait", 10);
        guest.try_call("process_run", &[at]).unwrap_err();
    });
    // The program has started by then, or else the test proves nothing.
    std::thread::sleep(Duration::from_secs(3));
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_err());
    assert_eq!(server.call("fd_close", &[connection.into()]), SUCCESS);
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    assert_eq!(server.call("fd_close", &[listener.into()]), SUCCESS);
    std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    assert!(!running.is_finished());
    running.join().unwrap();
}

/// What a program leaves running is killed when it ends, although no process is its parent any more.
#[test]
fn what_a_program_starts_ends_with_it() {
    let (mut guest, program) = programs(Limits::PERMISSIVE);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let input = format!("leave {port}");
    let (status, _, output, _) = run_program(&mut guest, &program, &CHILD, input.as_bytes(), 2000);
    assert_eq!(status, 7, "{}", String::from_utf8_lossy(&output));
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while let Err(error) = std::net::TcpListener::bind(("127.0.0.1", port)) {
        assert!(std::time::Instant::now() < deadline, "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Regression: each socket could be inherited until it was duplicated.
#[test]
fn a_program_started_meanwhile_inherits_no_sockets() {
    let sandbox = Sandbox::new(Limits::PERMISSIVE)
        .with_capabilities(Capabilities::NETWORK)
        .with_scopes(Scopes::none().with_net("127.0.0.1:*".parse().unwrap()));
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|threads| {
        let sockets = threads.spawn(|| {
            let mut server = Guest::new(&sandbox);
            let mut ports = Vec::new();
            while !is_over.load(order) {
                let [ptr, len] = server.path("127.0.0.1");
                assert_eq!(server.call("tcp_listen", &[ptr, len, 0, OUT.into()]), SUCCESS);
                let (listener, port) = (server.u32(OUT), server.u32(OUT + 4) as u16);
                assert_eq!(server.call("fd_close", &[listener.into()]), SUCCESS);
                ports.push(port);
            }
            ports
        });
        for _ in 0..6 {
            threads.spawn(|| {
                let (mut guest, program) = programs(Limits::PERMISSIVE.with_time(Duration::from_secs(8)));
                let at = super::process::request(&mut guest, &program, &CHILD, b"wait", 10);
                guest.try_call("process_run", &[at]).unwrap_err();
            });
            std::thread::sleep(Duration::from_millis(250));
        }
        std::thread::sleep(Duration::from_secs(2));
        is_over.store(true, order);
        let mut kept = sockets.join().unwrap();
        // Other tests have ports too, but not for long.
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(500));
            kept.retain(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_err());
        }
        assert_eq!(kept, [0; 0]);
    });
}

#[test]
fn a_program_ends_with_the_call() {
    let (mut guest, program) = programs(Limits::PERMISSIVE.with_time(Duration::from_secs(10)));
    let at = super::process::request(&mut guest, &program, &CHILD, b"wait", 10);
    let error = guest.try_call("process_run", &[at]).unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Time), "{error}");
}
